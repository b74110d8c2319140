#include "worker/vae/row_split.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "worker/base/status_exception.h"

namespace tessera {
namespace {

constexpr int kRowDim = 2;

// A row of a band as [1, C, 1, W], and as it lies in memory, [W, C].
at::Tensor PixelsOf(const at::Tensor& row) { return row.squeeze(kRowDim).squeeze(0).t(); }
at::Tensor RowOf(const at::Tensor& pixels) { return pixels.t().unsqueeze(0).unsqueeze(kRowDim); }

}  // namespace

RowSplit::RowSplit(Communicator& communicator, int64_t latent_rows)
    : communicator_(communicator.size() > 1 ? &communicator : nullptr),
      latent_rows_(latent_rows),
      owners_(static_cast<int>(std::min<int64_t>(communicator.size(), latent_rows))),
      chunk_(std::min(communicator.rank(), owners_ - 1)) {}

Halo RowSplit::ExchangeEdges(const RowBands& bands) const {
  ChannelSums none;
  return ExchangeEdges(bands, none);
}

Halo RowSplit::ExchangeEdges(const RowBands& bands, ChannelSums& sums) const {
  if (communicator_ == nullptr) return {};
  const int size = communicator_->size(), self = communicator_->rank();
  const at::Tensor first = PixelsOf(bands.front().narrow(kRowDim, 0, 1)).contiguous();
  const at::Tensor last = PixelsOf(bands.back().narrow(kRowDim, -1, 1)).contiguous();
  at::Tensor all_sums;  // [rank, 2, C]
  if (sums.sums.defined()) {
    all_sums = at::empty({size, 2, sums.sums.size(1)}, sums.sums.options());
    all_sums[self].copy_(sums.sums);
  }
  std::vector<std::vector<at::Tensor>> pieces(size);
  for (int rank = 0; rank < size; ++rank) {
    const auto edge = [&](const at::Tensor& own, bool needed) {
      const at::Tensor row = rank == self || !needed ? own : at::empty_like(own);
      return row.narrow(0, 0, needed ? row.size(0) : 0);
    };
    pieces[rank] = {edge(first, FirstIsNeeded(rank)), edge(last, LastIsNeeded(rank))};
    if (all_sums.defined()) pieces[rank].push_back(all_sums[rank]);
  }
  ThrowIfError(communicator_->AllGather(pieces));
  if (all_sums.defined()) {
    // The same tensors in the same order on every rank.
    sums.sums = all_sums.narrow(0, 0, owners_).sum(0);
    sums.pixels = sums.pixels / Mine(latent_rows_).size() * latent_rows_;
  }
  return {chunk_ > 0 ? RowOf(pieces[chunk_ - 1][1]) : at::Tensor(),
          chunk_ + 1 < owners_ ? RowOf(pieces[chunk_ + 1][0]) : at::Tensor()};
}

at::Tensor RowSplit::Gather(const at::Tensor& rows) const {
  if (communicator_ == nullptr) return rows;
  const int64_t scale = rows.size(1) / Mine(latent_rows_).size();
  const at::Tensor whole =
      at::empty({1, scale * latent_rows_, rows.size(2), rows.size(3)}, rows.options());
  std::vector<std::vector<at::Tensor>> pieces(communicator_->size());
  for (int rank = 0; rank < communicator_->size(); ++rank) {
    const RowRange range = rank < owners_ ? ChunkOf(latent_rows_, owners_, rank) : RowRange{};
    pieces[rank] = {whole[0].narrow(0, scale * range.begin, scale * range.size())};
  }
  if (communicator_->rank() < owners_) pieces[communicator_->rank()][0].copy_(rows[0]);
  ThrowIfError(communicator_->AllGather(pieces));
  return whole;
}

}  // namespace tessera
