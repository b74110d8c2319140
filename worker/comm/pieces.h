#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// What Communicator::AllGather takes: [rank][tensor].
using Pieces = std::span<const std::vector<at::Tensor>>;

// INVALID_ARGUMENT unless there is a list for each of `size` ranks, all of the same number, of
// contiguous tensors, the i-th of every list with the same dtype and device.
absl::Status CheckPieces(Pieces pieces, int size);

// The bytes of one rank's piece.
int64_t PieceBytes(std::span<const at::Tensor> piece);

}  // namespace tessera
