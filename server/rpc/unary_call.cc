#include "server/rpc/unary_call.h"

#include <utility>

#include "server/rpc/status_conversion.h"

namespace tessera {

UnaryCall* UnaryCall::Start(ServerCore& core, grpc::CallbackServerContext& context,
                            const v1::GenerateImageRequest& request, int64_t max_reply_bytes,
                            TimePoint deadline, v1::GenerateImageResponse& response) {
  std::shared_ptr<UnaryCall> call(new UnaryCall(core, context, response));
  MutexLock lock(call->mutex_);
  call->self_ = call;
  call->job_id_ = core.Submit(request, max_reply_bytes, deadline, call);
  return call.get();
}

void UnaryCall::OnCancel() {
  MutexLock lock(mutex_);
  core_.Cancel(job_id_);
}

void UnaryCall::OnDone() {
  std::shared_ptr<UnaryCall> self;  // goes after the lock
  MutexLock lock(mutex_);
  self.swap(self_);
}

void UnaryCall::OnFinished(JobResult result) {
  if (const JobError* error = std::get_if<JobError>(&result)) {
    AddPushback(*error, context_);
    Finish(ToGrpcStatus(*error));
    return;
  }
  auto& success = std::get<JobSuccess>(result);
  for (std::string& png : success.pngs) {
    v1::Image& image = *response_.add_images();
    image.set_png(std::move(png));
    image.set_width(success.metadata.effective_request().width());
    image.set_height(success.metadata.effective_request().height());
  }
  *response_.mutable_metadata() = std::move(success.metadata);
  Finish(grpc::Status::OK);
}

}  // namespace tessera
