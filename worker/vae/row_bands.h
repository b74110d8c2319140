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

// The rows that adjoin the first and the last of the bands, [1, C, 1, W]; undefined at the top and
// the bottom of the picture.
struct Halo {
  at::Tensor above, below;
};

// A band between the row above it and the row below it.
using BandWithHalo = std::vector<at::Tensor>;

// Calls visit(i, rows) for one band after the other: band i and its neighbours' rows. At the top
// and the bottom of the picture, where there is none, the band's own row is repeated. visit may
// replace or drop band i; if it overwrites the elements, only after its last use of `rows`.
void ForEachBandWithHalo(const RowBands& bands, const Halo& halo,
                         const std::function<void(size_t i, const BandWithHalo& rows)>& visit);

// Zeroes the halo rows of band i that lie outside the picture: the padding of a convolution. `rows`
// has them as its first and its last row.
void ClearOutside(const RowBands& bands, const Halo& halo, size_t i, at::Tensor& rows);

}  // namespace tessera
