#include "worker/comm/pieces.h"

#include <ATen/ATen.h>

#include "absl/strings/str_format.h"

namespace tessera {

absl::Status CheckPieces(Pieces pieces, int size) {
  if (std::ssize(pieces) != size) {
    return absl::InvalidArgumentError(
        absl::StrFormat("all-gather: pieces for %d ranks in a group of %d", pieces.size(), size));
  }
  const std::vector<at::Tensor>& first = pieces.front();
  for (int rank = 0; rank < size; ++rank) {
    const std::vector<at::Tensor>& piece = pieces[rank];
    if (piece.size() != first.size()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "all-gather: %d tensors for rank %d, %d for rank 0", piece.size(), rank, first.size()));
    }
    for (size_t i = 0; i < piece.size(); ++i) {
      if (!piece[i].defined() || !piece[i].is_contiguous() ||
          piece[i].scalar_type() != first[i].scalar_type() ||
          piece[i].device() != first[i].device()) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "all-gather: tensor %d for rank %d is not contiguous, or its dtype or device is not "
            "that of rank 0's",
            i, rank));
      }
    }
  }
  return absl::OkStatus();
}

int64_t PieceBytes(std::span<const at::Tensor> piece) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : piece) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

}  // namespace tessera
