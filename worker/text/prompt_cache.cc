#include "worker/text/prompt_cache.h"

#include <ATen/ATen.h>

#include <iterator>

namespace tessera {

const PromptEmbedding* PromptCache::Get(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &found->second->embedding;
}

void PromptCache::Put(std::string key, PromptEmbedding embedding) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) Erase(found->second);
  const size_t bytes = key.size() + embedding.text.nbytes() + embedding.pooled.nbytes();
  if (bytes > max_bytes_) return;
  while (bytes_ + bytes > max_bytes_) Erase(std::prev(entries_.end()));
  entries_.push_front({std::move(key), std::move(embedding), bytes});
  by_key_[entries_.front().key] = entries_.begin();
  bytes_ += bytes;
}

void PromptCache::Erase(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace tessera
