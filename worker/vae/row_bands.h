#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace tessera {

// One activation [1, C, H, W] as bands of whole rows, [1, C, rows, W] each, from top to bottom.
using RowBands = std::vector<at::Tensor>;

// Cuts bands of more than max_bytes into smaller ones (views), down to a single row.
RowBands SplitRows(const RowBands& bands, int64_t max_bytes);

// Calls visit(i, rows) for one band after the other: rows [1, C, rows + 2, W] is a copy of band i
// with its neighbours' rows above and below. At the top and the bottom of the picture, where there
// is none, the band's own row is repeated. visit may overwrite or drop band i.
void ForEachBandWithHalo(const RowBands& bands,
                         const std::function<void(size_t i, at::Tensor rows)>& visit);

// Zeroes the halo rows of band i that lie outside the picture: the padding of a convolution.
void ClearOutside(const RowBands& bands, size_t i, at::Tensor& rows);

// Mean and variance (biased) of each group of channels over the whole activation, repeated for each
// channel of the group: float32 [C]. Gathered row by row and joined in float64, so that they do not
// depend on where the bands are cut.
struct GroupStatistics {
  at::Tensor mean, variance;
};
GroupStatistics MeasureGroups(const RowBands& bands, int64_t groups);

}  // namespace tessera
