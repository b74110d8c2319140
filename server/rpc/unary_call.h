#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "common/base/mutex.h"
#include "server/core/server_core.h"
#include "server/jobs/job_listener.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// One GenerateImage call: answers when its job has ended, and cancels the job when the client
// leaves. Owns itself from Start until gRPC is done with it. The job's events come from the event
// loop, gRPC's from its own threads.
class UnaryCall final : public grpc::ServerUnaryReactor,
                        public JobListener,
                        public std::enable_shared_from_this<UnaryCall> {
 public:
  static UnaryCall* Start(ServerCore& core, grpc::CallbackServerContext& context,
                          const v1::GenerateImageRequest& request, int64_t max_reply_bytes,
                          TimePoint deadline, v1::GenerateImageResponse& response);

  void OnQueued(int, std::optional<double>) override {}
  void OnAttemptStarted(int, int) override {}
  void OnStepDone(int, int, std::optional<double>) override {}
  void OnFinished(JobResult result) override;

  void OnCancel() override;
  void OnDone() override;

 private:
  UnaryCall(ServerCore& core, grpc::CallbackServerContext& context,
            v1::GenerateImageResponse& response)
      : core_(core), context_(context), response_(response) {}

  ServerCore& core_;
  grpc::CallbackServerContext& context_;
  v1::GenerateImageResponse& response_;

  Mutex mutex_;
  std::shared_ptr<UnaryCall> self_ ABSL_GUARDED_BY(mutex_);
  std::string job_id_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tessera
