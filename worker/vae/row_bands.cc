#include "worker/vae/row_bands.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tessera {
namespace {

constexpr int kRowDim = 2;

at::Tensor FirstRow(const at::Tensor& band) { return band.narrow(kRowDim, 0, 1); }
at::Tensor LastRow(const at::Tensor& band) { return band.narrow(kRowDim, -1, 1); }

}  // namespace

RowBands SplitRows(const RowBands& bands, int64_t max_bytes) {
  RowBands pieces;
  for (const at::Tensor& band : bands) {
    const int64_t row_bytes = band.size(1) * band.size(3) * band.element_size();
    const int64_t rows = std::max<int64_t>(1, max_bytes / row_bytes);
    for (at::Tensor& piece : band.split(rows, kRowDim)) pieces.push_back(std::move(piece));
  }
  return pieces;
}

void ForEachBandWithHalo(const RowBands& bands, const Halo& halo,
                         const std::function<void(size_t i, const BandWithHalo& rows)>& visit) {
  at::Tensor above = halo.above.defined() ? halo.above : FirstRow(bands.front());
  for (size_t i = 0; i < bands.size(); ++i) {
    const at::Tensor last = halo.below.defined() ? halo.below : LastRow(bands.back());
    const at::Tensor below = i + 1 < bands.size() ? FirstRow(bands[i + 1]) : last;
    const BandWithHalo rows = {above, bands[i], below};
    above = LastRow(bands[i]).clone();
    visit(i, rows);
  }
}

void ClearOutside(const RowBands& bands, const Halo& halo, size_t i, at::Tensor& rows) {
  if (i == 0 && !halo.above.defined()) FirstRow(rows).zero_();
  if (i + 1 == bands.size() && !halo.below.defined()) LastRow(rows).zero_();
}

}  // namespace tessera
