#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/tokenizer/byte_trie.h"

namespace tessera {

// A token that is found in the prompt's text as it stands, before the vocabulary's own rules apply.
struct AddedToken {
  std::string content;
  int id = 0;
  bool normalized = false;  // found in the normalised text, else in the prompt as written
  bool lstrip = false;      // takes the white space before it
  bool rstrip = false;      // takes the white space behind it
};

// Cuts added tokens out of prompts as Hugging Face tokenizers' AddedVocabulary does: leftmost
// match, longest first; those that are not `normalized` come first. Immutable, so thread-safe.
class AddedTokenCutter {
 public:
  using Normalize = std::function<std::string(std::string_view)>;

  AddedTokenCutter() = default;
  AddedTokenCutter(std::vector<AddedToken> tokens, Normalize normalize);

  // Visits the prompt in order: on_token(id) for an added token, on_text(normalised text) for what
  // lies between.
  void Cut(std::string_view prompt, const std::function<void(int id)>& on_token,
           const std::function<void(std::string_view normalized)>& on_text) const;

 private:
  void CutWith(const ByteTrie& trie, std::string_view text,
               const std::function<void(int id)>& on_token,
               const std::function<void(std::string_view)>& on_text) const;

  std::vector<AddedToken> tokens_;  // the tries' values are indices into it
  Normalize normalize_;
  ByteTrie raw_;
  ByteTrie normalized_;
};

}  // namespace tessera
