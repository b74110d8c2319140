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

void ForEachBandWithHalo(const RowBands& bands,
                         const std::function<void(size_t i, at::Tensor rows)>& visit) {
  at::Tensor above = FirstRow(bands.front());
  for (size_t i = 0; i < bands.size(); ++i) {
    const at::Tensor below = i + 1 < bands.size() ? FirstRow(bands[i + 1]) : LastRow(bands[i]);
    at::Tensor rows = at::cat({above, bands[i], below}, kRowDim);
    above = LastRow(bands[i]).clone();
    visit(i, std::move(rows));
  }
}

void ClearOutside(const RowBands& bands, size_t i, at::Tensor& rows) {
  if (i == 0) FirstRow(rows).zero_();
  if (i + 1 == bands.size()) LastRow(rows).zero_();
}

GroupStatistics MeasureGroups(const RowBands& bands, int64_t groups) {
  std::vector<at::Tensor> means, variances;  // of each row of a channel, [1, C, rows, 1]
  for (const at::Tensor& band : bands) {
    means.push_back(band.mean(/*dim=*/3, /*keepdim=*/true, at::kFloat));
    variances.push_back((band - means.back()).square_().mean(/*dim=*/3, /*keepdim=*/true));
  }
  const auto by_group = [&](const std::vector<at::Tensor>& rows) {
    return at::cat(rows, kRowDim).to(at::kDouble).reshape({groups, -1});
  };
  const at::Tensor row_means = by_group(means), row_variances = by_group(variances);
  const at::Tensor mean = row_means.mean(/*dim=*/1, /*keepdim=*/true);
  const at::Tensor variance =
      (row_variances + (row_means - mean).square_()).mean(/*dim=*/1, /*keepdim=*/true);
  const auto by_channel = [&](const at::Tensor& value) {
    return value.expand({groups, means.front().size(1) / groups}).flatten().to(at::kFloat);
  };
  return {by_channel(mean), by_channel(variance)};
}

}  // namespace tessera
