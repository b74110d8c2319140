#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "worker/text/text_encoders.h"

namespace tessera {

// The embeddings that were used last, bounded by the bytes of their tensors and keys. Not
// thread-safe.
class PromptCache {
 public:
  explicit PromptCache(size_t max_bytes) : max_bytes_(max_bytes) {}
  PromptCache(const PromptCache&) = delete;
  PromptCache& operator=(const PromptCache&) = delete;

  // The embedding of `key`, now the one used last; null if there is none. Valid until Put.
  const PromptEmbedding* Get(std::string_view key);

  // Drops those not used for longest until the new one fits; one that never fits is not kept.
  void Put(std::string key, PromptEmbedding embedding);

  size_t bytes() const { return bytes_; }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    PromptEmbedding embedding;
    size_t bytes;
  };
  void Erase(std::list<Entry>::iterator entry);

  size_t max_bytes_;
  size_t bytes_ = 0;
  std::list<Entry> entries_;                                                 // used last first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;  // views of entry keys
};

}  // namespace tessera
