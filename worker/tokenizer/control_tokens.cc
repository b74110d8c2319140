#include "worker/tokenizer/control_tokens.h"

#include <algorithm>
#include <utility>

namespace tessera {

void ControlTokens::Add(AddedToken token) {
  const auto [place, added] = index_.try_emplace(token.content, tokens_.size());
  if (added) {
    tokens_.push_back(std::move(token));
  } else if (token.id == kNoId && tokens_[place->second].id == kNoId) {
    tokens_[place->second] = std::move(token);
  }
}

void ControlTokens::SetRole(const std::string& role, AddedToken token) {
  roles_[role] = token.content;
  Add(std::move(token));
}

void ControlTokens::SetDefault(const std::string& role, const std::string& content) {
  if (roles_.emplace(role, content).second) Add({content, kNoId});
}

void ControlTokens::AssignIds(const Lookup& lookup, int vocabulary_size) {
  int next = vocabulary_size;
  for (AddedToken& token : tokens_) {
    if (const std::optional<int> known = lookup(token.content)) token.id = *known;
    next = std::max(next, token.id + 1);
  }
  for (AddedToken& token : tokens_) {
    if (token.id == kNoId) token.id = next++;
  }
}

}  // namespace tessera
