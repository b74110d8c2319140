#include "server/jobs/idempotent_calls.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "server/jobs/job_errors.h"

namespace tessera {
namespace {

// Equal for equal requests, whatever their id.
std::string ContentOf(v1::GenerateImageRequest request) {
  request.clear_request_id();
  request.DiscardUnknownFields();
  return request.SerializeAsString();  // a message without maps has one form only
}

int64_t BytesOf(const JobSuccess& success) {
  auto bytes = static_cast<int64_t>(success.metadata.ByteSizeLong());
  for (const std::string& png : success.pngs) bytes += static_cast<int64_t>(png.size());
  return bytes;
}

// The result, or the error that it does not fit the reply of this call.
JobResult ReplyTo(int64_t max_reply_bytes, const JobResult& result) {
  const JobSuccess* success = std::get_if<JobSuccess>(&result);
  if (success == nullptr) return result;
  const int64_t bytes = BytesOf(*success);
  if (bytes <= max_reply_bytes) return result;
  return ReplyTooLarge(bytes, max_reply_bytes);
}

}  // namespace

// A job and the calls that wait for it, of which there is at least one until it has ended. Tells
// them what the scheduler tells it; those that come later hear first where the job stands.
class IdempotentCalls::SharedJob final : public JobListener {
 public:
  SharedJob(IdempotentCalls& owner, std::string request_id, std::string job_id)
      : owner_(owner), request_id_(std::move(request_id)), job_id_(std::move(job_id)) {}

  const std::string& request_id() const { return request_id_; }
  const std::string& job_id() const { return job_id_; }
  size_t calls() const { return calls_.size(); }

  void Add(const JobSpec& spec, std::shared_ptr<JobListener> listener) {
    calls_.push_back({spec.id, spec.max_reply_bytes, std::move(listener)});
    JobListener& added = *calls_.back().listener;
    if (position_.has_value()) added.OnQueued(*position_, wait_s_);
    if (attempt_ > 0) added.OnAttemptStarted(attempt_, ranks_);
    if (step_ > 0) added.OnStepDone(step_, steps_, remaining_s_);
  }

  // Takes the call out; its listener hears that it was cancelled.
  void Remove(const std::string& call_id) {
    const auto it = std::find_if(calls_.begin(), calls_.end(),
                                 [&](const Call& call) { return call.id == call_id; });
    const std::shared_ptr<JobListener> listener = std::move(it->listener);
    calls_.erase(it);
    listener->OnFinished(CallLeft(job_id_));
  }

  void OnQueued(int position, std::optional<double> predicted_wait_s) override {
    position_ = position;
    wait_s_ = predicted_wait_s;
    attempt_ = 0;
    step_ = 0;
    for (const Call& call : calls_) call.listener->OnQueued(position, predicted_wait_s);
  }

  void OnAttemptStarted(int attempt, int ranks) override {
    position_.reset();
    attempt_ = attempt;
    ranks_ = ranks;
    step_ = 0;
    for (const Call& call : calls_) call.listener->OnAttemptStarted(attempt, ranks);
  }

  void OnStepDone(int step, int steps, std::optional<double> predicted_remaining_s) override {
    step_ = step;
    steps_ = steps;
    remaining_s_ = predicted_remaining_s;
    for (const Call& call : calls_) call.listener->OnStepDone(step, steps, predicted_remaining_s);
  }

  void OnFinished(JobResult result) override {
    std::vector<Call> calls = std::move(calls_);
    for (const Call& call : calls) owner_.job_of_call_.erase(call.id);
    owner_.OnFinished(*this, result);
    for (const Call& call : calls) {
      call.listener->OnFinished(ReplyTo(call.max_reply_bytes, result));
    }
  }

 private:
  struct Call {
    std::string id;
    int64_t max_reply_bytes;
    std::shared_ptr<JobListener> listener;
  };

  IdempotentCalls& owner_;
  const std::string request_id_;
  const std::string job_id_;
  std::vector<Call> calls_;
  // The latest of what the scheduler told.
  std::optional<int> position_;
  std::optional<double> wait_s_;
  int attempt_ = 0;
  int ranks_ = 0;
  int step_ = 0;
  int steps_ = 0;
  std::optional<double> remaining_s_;
};

IdempotentCalls::IdempotentCalls(const IdempotentCallsOptions& options, const Clock& clock,
                                 Scheduler& scheduler, JobObserver& observer)
    : options_(options), clock_(clock), scheduler_(scheduler), observer_(observer) {}

IdempotentCalls::~IdempotentCalls() = default;

void IdempotentCalls::Submit(JobSpec spec, std::shared_ptr<JobListener> listener) {
  ForgetOldAnswers();
  const std::string request_id = spec.request.request_id();
  if (request_id.empty()) return scheduler_.Submit(std::move(spec), std::move(listener));
  const auto it = entries_.find(request_id);
  std::string content = ContentOf(spec.request);
  if (it == entries_.end()) return Start(std::move(spec), std::move(content), std::move(listener));
  Entry& entry = it->second;
  if (entry.content != content) {
    FieldViolation other = {"request_id", "belongs to a request of other content"};
    return scheduler_.Refuse(spec, *listener, InvalidRequest({std::move(other)}));
  }
  if (entry.answer.has_value()) {
    const JobSuccess& success = entry.answer->success;
    Notify(JobEvent::kAnsweredAgain, spec, success.metadata.job_id());
    return listener->OnFinished(ReplyTo(spec.max_reply_bytes, success));
  }
  Notify(JobEvent::kJoined, spec, entry.job->job_id());
  job_of_call_[spec.id] = entry.job;
  scheduler_.ExtendDeadline(entry.job->job_id(), spec.deadline);
  entry.job->Add(spec, std::move(listener));
}

void IdempotentCalls::Start(JobSpec spec, std::string content,
                            std::shared_ptr<JobListener> listener) {
  const std::string& request_id = spec.request.request_id();
  const auto job = std::make_shared<SharedJob>(*this, request_id, spec.id);
  job->Add(spec, std::move(listener));
  job_of_call_[spec.id] = job;
  entries_[request_id] = {.content = std::move(content), .job = job, .answer = std::nullopt};
  scheduler_.Submit(std::move(spec), job);  // which may end it at once
}

void IdempotentCalls::Cancel(const std::string& call_id) {
  const auto it = job_of_call_.find(call_id);
  if (it == job_of_call_.end()) return scheduler_.Cancel(call_id);
  const std::shared_ptr<SharedJob> job = it->second;
  if (job->calls() > 1) {
    job_of_call_.erase(it);
    job->Remove(call_id);
    return;
  }
  // Whoever comes now with this id gets a job of its own.
  const auto entry = entries_.find(job->request_id());
  if (entry != entries_.end() && entry->second.job == job) entries_.erase(entry);
  scheduler_.Cancel(job->job_id());
}

void IdempotentCalls::OnFinished(const SharedJob& job, const JobResult& result) {
  const auto it = entries_.find(job.request_id());
  if (it == entries_.end() || it->second.job.get() != &job) return;
  const JobSuccess* success = std::get_if<JobSuccess>(&result);
  const int64_t bytes = success == nullptr ? 0 : BytesOf(*success);
  if (success == nullptr || bytes > options_.max_bytes) {
    entries_.erase(it);
    return;
  }
  it->second.job = nullptr;
  it->second.answer = {
      .success = *success, .bytes = bytes, .expires_at = clock_.Now() + Seconds(options_.keep_s)};
  answered_.push_back(it->first);
  bytes_ += bytes;
  ForgetOldAnswers();
}

void IdempotentCalls::Notify(JobEvent event, const JobSpec& call, const std::string& job_id) {
  observer_.OnTransition({.event = event, .call = call, .job_id = job_id, .now = clock_.Now()});
}

void IdempotentCalls::ForgetOldAnswers() {
  while (!answered_.empty()) {
    const auto it = entries_.find(answered_.front());
    const Answer& answer = *it->second.answer;
    if (bytes_ <= options_.max_bytes && clock_.Now() < answer.expires_at) return;
    bytes_ -= answer.bytes;
    entries_.erase(it);
    answered_.pop_front();
  }
}

}  // namespace tessera
