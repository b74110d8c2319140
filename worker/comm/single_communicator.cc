#include "worker/comm/single_communicator.h"

#include "common/base/status_macros.h"
#include "worker/comm/pieces.h"
#include "worker/comm/rank_error.h"

namespace tessera {

absl::Status SingleCommunicator::AllGather(std::span<const std::vector<at::Tensor>> pieces) {
  TESSERA_RETURN_IF_ERROR(status());
  const absl::Status valid = CheckPieces(pieces, size());
  if (!valid.ok()) Abort(valid);
  return status();
}

absl::StatusOr<std::vector<int64_t>> SingleCommunicator::Vote(int64_t mine) {
  TESSERA_RETURN_IF_ERROR(status());
  return std::vector<int64_t>{mine};
}

void SingleCommunicator::Abort(const absl::Status& reason) {
  const std::lock_guard lock(mutex_);
  if (status_.ok()) status_ = RankFailedError(0, reason);
}

absl::Status SingleCommunicator::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace tessera
