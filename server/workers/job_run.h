#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// How one attempt at a job ended, judged over all ranks.
enum class RunOutcome {
  kSucceeded,    // every rank is done and the pictures are whole
  kFailed,       // a rank failed by itself; `status` is its own error
  kCancelled,    // every rank left the job after a vote
  kBroken,       // a rank's process ended or hung while it worked on the job, which may be why
  kInterrupted,  // a rank fell silent, or the epoch ended: not the job's fault
};

struct RunResult {
  internal::v1::JobKey key;
  RunOutcome outcome = RunOutcome::kInterrupted;
  absl::Status status;                // OK when it succeeded
  int rank = -1;                      // the one that `status` is about; -1: no single one
  std::vector<std::string> pictures;  // RGB8, [height, width, 3] each; when it succeeded
  internal::v1::JobReport report;     // rank 0's, when it succeeded
};

// One attempt at a job: gathers what its ranks report, until each has reported or is lost, and then
// judges it. Used on the event loop's thread.
class JobRun {
 public:
  JobRun(int ranks, const internal::v1::RunJob& job);

  const internal::v1::JobKey& key() const { return key_; }

  // INVALID_ARGUMENT when the piece cannot be part of the pictures.
  absl::Status AddChunk(const internal::v1::PixelChunk& chunk);

  // The first end of a rank counts. `why` as in WorkerPool::Listener::OnWorkerLost, or ABORTED when
  // the rank has left the epoch.
  void Report(int rank, const internal::v1::JobDone& done);
  void Lose(int rank, const absl::Status& why);

  bool complete() const;

  // Requires complete(). A rank's own error outranks a lost rank, which outranks the others' "peer
  // lost", which outranks a stop.
  RunResult TakeResult();

 private:
  // By rising weight.
  enum class RankEnd { kOk, kCancelled, kInterrupted, kSilent, kLost, kOwnError };
  struct Rank {
    RankEnd end = RankEnd::kOk;
    absl::Status status;
  };

  static RankEnd EndOf(absl::StatusCode code);
  absl::Status CheckPictures() const;

  const internal::v1::JobKey key_;
  const size_t picture_bytes_;  // of each
  std::vector<std::optional<Rank>> ranks_;
  std::vector<std::string> pictures_;
  internal::v1::JobReport report_;
};

}  // namespace tessera
