#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "common/base/mutex.h"
#include "server/core/server_core.h"
#include "server/jobs/job_listener.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// One StreamGenerateImage call. A slow reader never holds anyone up and never makes more wait here
// than the latest event of each kind and the pictures: later progress takes the place of earlier
// progress that was not sent. Gives the job up when the client leaves. Owns itself from Start until
// gRPC is done with it. The job's events come from the event loop, gRPC's from its own threads.
class StreamCall final : public grpc::ServerWriteReactor<v1::StreamGenerateImageResponse>,
                         public JobListener,
                         public std::enable_shared_from_this<StreamCall> {
 public:
  static StreamCall* Start(ServerCore& core, grpc::CallbackServerContext& context,
                           const v1::GenerateImageRequest& request, TimePoint deadline);

  void OnQueued(int position, std::optional<double> predicted_wait_s) override;
  void OnAttemptStarted(int attempt, int ranks) override;
  void OnStepDone(int step, int steps, std::optional<double> predicted_remaining_s) override;
  void OnFinished(JobResult result) override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  StreamCall(ServerCore& core, grpc::CallbackServerContext& context)
      : core_(core), context_(context) {}

  // Starts the next write, or ends the call, unless a write is under way.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts what comes next into message_; false when there is nothing to send.
  bool TakeProgress() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakePicture() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ServerCore& core_;
  grpc::CallbackServerContext& context_;

  Mutex mutex_;
  std::shared_ptr<StreamCall> self_ ABSL_GUARDED_BY(mutex_);
  std::string job_id_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::Queued> queued_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::AttemptStarted> attempt_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::StepDone> step_ ABSL_GUARDED_BY(mutex_);
  std::optional<JobSuccess> success_ ABSL_GUARDED_BY(mutex_);
  size_t image_ ABSL_GUARDED_BY(mutex_) = 0;   // being sent
  size_t offset_ ABSL_GUARDED_BY(mutex_) = 0;  // into it
  bool all_sent_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<JobError> error_ ABSL_GUARDED_BY(mutex_);
  bool job_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // no write succeeds any more
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  v1::StreamGenerateImageResponse message_;  // gRPC's while writing_, else guarded by mutex_
};

}  // namespace tessera
