#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/job/image_request.h"
#include "common/job/job_memory.h"
#include "common/model/model_info.h"
#include "worker/pipeline/job_hooks.h"
#include "worker/pipeline/pipeline_options.h"

namespace tessera {

// How one rank joins one epoch of a group.
struct GroupOptions {
  int64_t epoch = 0;
  int rank = 0;
  int size = 1;
  std::string store_host;  // where rank 0's rendezvous store listens
  int store_port = 0;
  std::string
      interface_address;  // this rank's own address, to which its data and control sockets bind
  double join_timeout_s = 30;
};

// One rank as the link sees it: loaded weights and the membership of at most one group at a time.
// Neither this header nor what it includes knows torch or gRPC. Every call comes from the device
// thread, except Abort. A call may throw what tensor code throws: callers make a Status of it with
// CatchExceptions (worker/base/exception_status.h).
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const ModelInfo& model() const = 0;
  virtual const std::string& dtype() const = 0;
  virtual int threads() const = 0;
  // What all ranks of a group must have in common: "cpu" with its vector instructions, or the GPU's
  // name, on which the bits of the results depend, and the tuned CUDA path and NCCL where
  // they were chosen.
  virtual const std::string& device_kind() const = 0;
  virtual const JobMemory& job_memory() const = 0;

  // Rank 0 of a coming epoch: starts the rendezvous store on `bind_address`, an ephemeral port,
  // which it returns. The store lives until the epoch is left.
  virtual absl::StatusOr<int> HostStore(int64_t epoch, const std::string& bind_address) = 0;

  // Leaves the current group, if any, and joins another. Ends within join_timeout_s on every rank.
  // Weights stay.
  virtual absl::Status JoinGroup(const GroupOptions& options) = 0;
  virtual void LeaveGroup() = 0;

  // Runs one job as one rank of the joined group. All ranks call it with the same request.
  // collective_timeout_s bounds each collective of this job. Errors carry stage and step:
  // OUT_OF_RANGE (more memory than the poorest rank has; tried by none), CANCELLED or
  // DEADLINE_EXCEEDED after a vote, INVALID_ARGUMENT on all ranks alike; UNAVAILABLE or ABORTED
  // from the communicator, RESOURCE_EXHAUSTED or INTERNAL for this rank's own failure.
  // GroupStaysWholeAfter says after which of them the group goes on. FAILED_PRECONDITION without a
  // group.
  virtual absl::StatusOr<ImageResult> Generate(const ImageRequest& request, const JobHooks& hooks,
                                               double collective_timeout_s) = 0;

  // Ends the membership from any thread: a JoinGroup or a collective in flight returns soon, with
  // this reason.
  virtual void Abort(const absl::Status& reason) = 0;
};

// What carries the tensors that the ranks of a group exchange. All of them choose the same.
enum class Collectives {
  kGloo,  // from host to host: device tensors go through pinned memory
  kNccl,  // from GPU to GPU, one for each rank; never run on GPUs yet
};

// Loads the weights. Errors name file, tensor or field: NOT_FOUND, INVALID_ARGUMENT, DATA_LOSS.
// kNccl needs a device other than the CPU (INVALID_ARGUMENT) and the library
// (FAILED_PRECONDITION).
absl::StatusOr<std::unique_ptr<Engine>> LoadEngine(const PipelineOptions& options,
                                                   Collectives collectives = Collectives::kGloo);

}  // namespace tessera
