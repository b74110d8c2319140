#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/text/added_tokens.h"

namespace tessera {

// What a tokenizer folder says beside its vocabulary, read as transformers 5 reads it: the tokens
// of tokenizer_config.json's added_tokens_decoder, or else of special_tokens_map.json and
// tokenizer.json, and those that *_token, extra_special_tokens and additional_special_tokens name.
class ControlTokens {
 public:
  // A token's id in the vocabulary, if it is there.
  using Lookup = std::function<std::optional<int>(const std::string&)>;
  static constexpr int kNoId = -1;

  // Every file may be missing. INVALID_ARGUMENT naming file and field for one that is malformed.
  static absl::StatusOr<ControlTokens> Read(const std::string& folder);

  // A token without an id (kNoId) of its own replaces an earlier one of its content without id, and
  // nothing else does.
  void Add(AddedToken token);
  bool Has(const std::string& content) const { return index_.contains(content); }
  // Adds `content` as the token of a role ("eos_token") that no file names.
  void SetDefault(const std::string& role, const std::string& content);

  // Gives every token its id: the vocabulary's, else the one a file states, else the next unused
  // one from `vocabulary_size` on.
  void AssignIds(const Lookup& lookup, int vocabulary_size);
  // After AssignIds; the role has a default or a file names it.
  int IdOf(const std::string& role) const { return tokens_[index_.at(roles_.at(role))].id; }

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  std::optional<int64_t> extra_ids() const { return extra_ids_; }  // T5's number of sentinels
  std::optional<int64_t> model_max_length() const { return model_max_length_; }  // tokens

 private:
  friend class ControlTokensReader;

  std::vector<AddedToken> tokens_;                      // each content once
  std::unordered_map<std::string, size_t> index_;       // content -> place in tokens_
  std::unordered_map<std::string, std::string> roles_;  // "eos_token" -> content
  std::optional<int64_t> extra_ids_;
  std::optional<int64_t> model_max_length_;
};

}  // namespace tessera
