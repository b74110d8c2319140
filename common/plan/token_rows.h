#pragma once

#include <cstdint>

namespace tessera {

// Rows [begin, end) of a token sequence.
struct RowRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

// What one forward pass computes: a range of the text sequence and a range of the image sequence,
// each counted in its own sequence. In the joint sequence all text rows come before all image rows.
struct TokenRows {
  RowRange text;
  RowRange image;
  int64_t size() const { return text.size() + image.size(); }
};

}  // namespace tessera
