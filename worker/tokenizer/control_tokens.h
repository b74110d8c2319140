#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "worker/tokenizer/added_tokens.h"

namespace tessera {

// The added tokens of a tokenizer, and the roles that some of them play ("eos_token").
class ControlTokens {
 public:
  // A token's id in the vocabulary, if it is there.
  using Lookup = std::function<std::optional<int>(const std::string&)>;
  static constexpr int kNoId = -1;

  // A token without an id (kNoId) of its own replaces an earlier one of its content without id, and
  // nothing else does.
  void Add(AddedToken token);
  bool Has(const std::string& content) const { return index_.contains(content); }
  void SetRole(const std::string& role, AddedToken token);
  // As SetRole with a plain token, for a role that has none yet.
  void SetDefault(const std::string& role, const std::string& content);

  // Gives every token its id: the vocabulary's, else its own, else the next unused one from
  // `vocabulary_size` on.
  void AssignIds(const Lookup& lookup, int vocabulary_size);
  // After AssignIds; the role is set.
  int IdOf(const std::string& role) const { return tokens_[index_.at(roles_.at(role))].id; }

  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  std::vector<AddedToken> tokens_;                      // each content once
  std::unordered_map<std::string, size_t> index_;       // content -> place in tokens_
  std::unordered_map<std::string, std::string> roles_;  // role -> content
};

}  // namespace tessera
