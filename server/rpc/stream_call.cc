#include "server/rpc/stream_call.h"

#include <algorithm>
#include <utility>

#include "server/loop/duration.h"
#include "server/rpc/reply_limit.h"
#include "server/rpc/status_conversion.h"

namespace tessera {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

}  // namespace

StreamCall* StreamCall::Start(ServerCore& core, grpc::CallbackServerContext& context,
                              const v1::GenerateImageRequest& request, TimePoint deadline) {
  std::shared_ptr<StreamCall> call(new StreamCall(core, context));
  MutexLock lock(call->mutex_);  // the job's first event waits for its id
  call->self_ = call;
  call->job_id_ = core.Submit(request, kMaxStreamReplyBytes, deadline, call);
  return call.get();
}

void StreamCall::OnQueued(int position, std::optional<double> predicted_wait_s) {
  MutexLock lock(mutex_);
  queued_.emplace().set_position(position);
  if (predicted_wait_s.has_value()) {
    *queued_->mutable_predicted_wait() = ToDuration(*predicted_wait_s);
  }
  attempt_.reset();
  step_.reset();
  Advance();
}

void StreamCall::OnAttemptStarted(int attempt, int ranks) {
  MutexLock lock(mutex_);
  attempt_.emplace().set_attempt(attempt);
  attempt_->set_ranks(ranks);
  step_.reset();
  Advance();
}

void StreamCall::OnStepDone(int step, int steps, std::optional<double> predicted_remaining_s) {
  MutexLock lock(mutex_);
  step_.emplace().set_step(step);
  step_->set_steps(steps);
  if (predicted_remaining_s.has_value()) {
    *step_->mutable_predicted_remaining() = ToDuration(*predicted_remaining_s);
  }
  Advance();
}

void StreamCall::OnFinished(JobResult result) {
  MutexLock lock(mutex_);
  job_ended_ = true;
  if (JobError* error = std::get_if<JobError>(&result)) {
    error_ = std::move(*error);
  } else {
    success_ = std::get<JobSuccess>(std::move(result));
  }
  Advance();
}

void StreamCall::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  broken_ |= !ok;
  Advance();
}

void StreamCall::OnCancel() {
  MutexLock lock(mutex_);
  core_.Cancel(job_id_);
}

void StreamCall::OnDone() {
  std::shared_ptr<StreamCall> self;  // goes after the lock
  MutexLock lock(mutex_);
  self.swap(self_);
}

void StreamCall::Advance() {
  if (writing_ || ended_) return;
  if (broken_) {
    if (job_ended_) End(grpc::Status::CANCELLED);
    return;  // the job is being given up; its end is waited for
  }
  if (error_.has_value()) {
    AddPushback(*error_, context_);
    End(ToGrpcStatus(*error_));
  } else if (TakeProgress() || TakePicture()) {
    writing_ = true;
    StartWrite(&message_);
  } else if (all_sent_) {
    End(grpc::Status::OK);
  }
}

bool StreamCall::TakeProgress() {
  message_.Clear();
  if (queued_.has_value()) {
    *message_.mutable_queued() = *std::exchange(queued_, std::nullopt);
  } else if (attempt_.has_value()) {
    *message_.mutable_attempt_started() = *std::exchange(attempt_, std::nullopt);
  } else if (step_.has_value()) {
    *message_.mutable_step_done() = *std::exchange(step_, std::nullopt);
  } else {
    return false;
  }
  return true;
}

bool StreamCall::TakePicture() {
  if (!success_.has_value() || all_sent_) return false;
  message_.Clear();
  if (image_ == success_->pngs.size()) {
    *message_.mutable_metadata() = std::move(success_->metadata);
    all_sent_ = true;
    return true;
  }
  std::string& png = success_->pngs[image_];
  v1::ImageChunk& chunk = *message_.mutable_image_chunk();
  chunk.set_image_index(static_cast<int>(image_));
  chunk.set_data(png.data() + offset_, std::min(kChunkBytes, png.size() - offset_));
  offset_ += chunk.data().size();
  chunk.set_last(offset_ == png.size());
  if (chunk.last()) {
    std::string().swap(png);
    ++image_;
    offset_ = 0;
  }
  return true;
}

void StreamCall::End(const grpc::Status& status) {
  ended_ = true;
  Finish(status);
}

}  // namespace tessera
