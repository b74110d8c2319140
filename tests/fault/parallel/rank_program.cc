// One rank as a process of its own, for tests that kill, stop and fail it. It obeys the lines of
// its standard input:
//
//   host
//     -> port PORT, of a new store
//   join EPOCH RANK SIZE PORT JOIN_TIMEOUT_S COLLECTIVE_TIMEOUT_S
//     -> joined STATUS
//   run STEPS FAILING_STEP BYTES
//     -> running, after a few steps; ended STATUS
//   leave
//     -> left
#include <ATen/ATen.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status_macros.h"
#include "worker/comm/gloo/gloo_communicator.h"
#include "worker/comm/gloo/group_store.h"

namespace tessera {
namespace {

constexpr int kSettled = 10;  // steps

void Say(const std::string& what, const absl::Status& status) {
  std::cout << what << " " << status.ToString() << std::endl;
}

// What rank `rank` contributes in `step`: uneven, and nothing from the last rank in the second
// tensor.
std::vector<at::Tensor> Piece(int rank, int size, int step, int64_t bytes) {
  const at::Scalar value = 1000 * rank + step % 1000;
  return {at::full({bytes / 4 - rank}, value, at::kFloat),
          at::full({rank == size - 1 ? 0 : 5, 3}, value, at::kInt)};
}

absl::Status RunStep(Communicator& communicator, int step, int64_t bytes) {
  const int size = communicator.size();
  std::vector<std::vector<at::Tensor>> pieces;
  pieces.reserve(size);
  for (int rank = 0; rank < size; ++rank) {
    pieces.push_back(Piece(rank, size, rank == communicator.rank() ? step : -1, bytes));
  }
  TESSERA_RETURN_IF_ERROR(communicator.AllGather(pieces));
  for (int rank = 0; rank < size; ++rank) {
    const std::vector<at::Tensor> expected = Piece(rank, size, step, bytes);
    for (size_t i = 0; i < expected.size(); ++i) {
      if (!at::equal(pieces[rank][i], expected[i])) {
        return absl::DataLossError("gathered something else than what was sent");
      }
    }
  }
  TESSERA_ASSIGN_OR_RETURN(const std::vector<int64_t> votes, communicator.Vote(step));
  return votes == std::vector<int64_t>(size, step) ? absl::OkStatus()
                                                   : absl::DataLossError("a vote is wrong");
}

absl::Status Run(Communicator& communicator, int steps, int failing_step, int64_t bytes) {
  for (int step = 0; step < steps; ++step) {
    if (step == failing_step) communicator.Abort(absl::InternalError("told to fail"));
    TESSERA_RETURN_IF_ERROR(RunStep(communicator, step, bytes));
    if (step == kSettled) std::cout << "running" << std::endl;
  }
  return absl::OkStatus();
}

void Main() {
  std::unique_ptr<GroupStore> store;
  std::unique_ptr<GlooCommunicator> communicator;
  std::string command;
  while (std::cin >> command) {
    if (command == "host") {
      auto hosted = GroupStore::Host("127.0.0.1");
      if (!hosted.ok()) return Say("failed", hosted.status());
      store = *std::move(hosted);
      std::cout << "port " << store->port() << std::endl;
    } else if (command == "join") {
      GlooOptions options;
      options.store_host = "127.0.0.1";
      std::cin >> options.epoch >> options.rank >> options.size >> options.store_port >>
          options.join_timeout_s >> options.collective_timeout_s;
      auto joined = GlooCommunicator::Join(options, options.rank == 0 ? store.get() : nullptr);
      Say("joined", joined.status());
      if (joined.ok()) communicator = *std::move(joined);
    } else if (command == "run") {
      int steps = 0;
      int failing_step = 0;
      int64_t bytes = 0;
      std::cin >> steps >> failing_step >> bytes;
      Say("ended", Run(*communicator, steps, failing_step, bytes));
    } else if (command == "leave") {
      communicator = nullptr;
      store = nullptr;
      std::cout << "left" << std::endl;
    }
  }
}

}  // namespace
}  // namespace tessera

int main() {
  tessera::Main();
  return 0;
}
