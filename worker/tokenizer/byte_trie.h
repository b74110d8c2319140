#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tessera {

// A set of byte strings, each with a value, that finds all its members at the start of a text.
class ByteTrie {
 public:
  // The value of a key that is added again is replaced. An empty key is never found.
  void Add(std::string_view key, int value) {
    uint32_t node = 0;
    for (const char byte : key) {
      const auto fresh = static_cast<uint32_t>(values_.size());
      const auto [child, added] = children_.try_emplace(Edge(node, byte), fresh);
      if (added) values_.push_back(kNone);
      node = child->second;
    }
    values_[node] = value;
  }

  // Calls visit(length in bytes, value) for every key that text[pos..] starts with, shortest first.
  template <typename Visit>
  void ForEachPrefix(std::string_view text, size_t pos, Visit visit) const {
    uint32_t node = 0;
    for (size_t end = pos; end < text.size(); ++end) {
      const auto child = children_.find(Edge(node, text[end]));
      if (child == children_.end()) return;
      node = child->second;
      if (values_[node] != kNone) visit(end + 1 - pos, values_[node]);
    }
  }

  bool empty() const { return children_.empty(); }

 private:
  static constexpr int kNone = -1;
  static uint64_t Edge(uint32_t node, char byte) {
    return uint64_t{node} << 8 | static_cast<unsigned char>(byte);
  }

  std::unordered_map<uint64_t, uint32_t> children_;
  std::vector<int> values_ = {kNone};
};

}  // namespace tessera
