#include "worker/link/device_thread.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

namespace pb = internal::v1;

// The epoch that a command belongs to; nothing for a message that is no command.
std::optional<int64_t> EpochOf(const pb::ConnectResponse& message) {
  switch (message.message_case()) {
    case pb::ConnectResponse::kHostStore:
      return message.host_store().epoch();
    case pb::ConnectResponse::kJoinGroup:
      return message.join_group().epoch();
    case pb::ConnectResponse::kRunJob:
      return message.run_job().key().epoch();
    case pb::ConnectResponse::kEndEpoch:
      return message.end_epoch().epoch();
    default:
      return std::nullopt;
  }
}

bool SameJob(const pb::JobKey& a, const pb::JobKey& b) {
  return a.job_id() == b.job_id() && a.attempt() == b.attempt() && a.epoch() == b.epoch();
}

StopReason ToStopReason(pb::StopReason reason) {
  return reason == pb::STOP_REASON_DEADLINE ? StopReason::kDeadline : StopReason::kCancelled;
}

}  // namespace

int64_t DeviceThread::SteadyClockNs() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

DeviceThread::DeviceThread(std::unique_ptr<Engine> engine, Clock clock)
    : engine_(std::move(engine)),
      clock_(std::move(clock)),
      executor_(*engine_, [this] { MarkProgress(); }),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

DeviceThread::~DeviceThread() {
  thread_.request_stop();
  EndSession("the worker is leaving");
}

void DeviceThread::BeginSession(std::string address, Send send) {
  const MutexLock lock(mutex_);
  address_ = std::move(address);
  send_ = std::move(send);
}

void DeviceThread::EndSession(const std::string& reason) {
  const MutexLock lock(mutex_);
  if (!send_) return;
  send_ = nullptr;
  pb::ConnectResponse leave;
  leave.mutable_end_epoch()->set_epoch(epoch_);
  leave.mutable_end_epoch()->set_reason(reason);
  Enqueue(std::move(leave));
  ++session_;
  epoch_ = 0;
  AbortIfStale(reason);
}

void DeviceThread::Handle(pb::ConnectResponse message) {
  const MutexLock lock(mutex_);
  if (!send_) return;
  if (message.has_cancel_job()) return Cancel(message.cancel_job());
  const std::optional<int64_t> epoch = EpochOf(message);
  if (!epoch.has_value() || *epoch < epoch_) return;
  if (message.has_run_job() && *epoch > epoch_) return;  // never joined
  if (message.has_end_epoch()) {
    EnterEpoch(*epoch + 1,
               absl::StrCat("epoch ", *epoch, " ended: ", message.end_epoch().reason()));
  } else {
    EnterEpoch(*epoch, absl::StrCat("epoch ", *epoch, " begins"));
  }
  Enqueue(std::move(message));
}

int64_t DeviceThread::SilentMs() const {
  const int64_t since_ns = last_progress_ns_;
  return since_ns == 0 ? 0 : (clock_() - since_ns) / 1'000'000;
}

bool DeviceThread::IsStale(const Command& command) const {
  if (command.message.has_end_epoch()) return false;  // left all the same
  return command.session != session_ || EpochOf(command.message) < epoch_;
}

void DeviceThread::Enqueue(pb::ConnectResponse message) {
  commands_.push_back({.session = session_,
                       .message = std::move(message),
                       .stop = std::make_shared<Stop>(StopReason::kNone)});
  changed_.notify_one();
}

void DeviceThread::EnterEpoch(int64_t epoch, const std::string& reason) {
  epoch_ = epoch;
  AbortIfStale(reason);
}

void DeviceThread::AbortIfStale(const std::string& reason) {
  if (running_ != nullptr && IsStale(*running_)) engine_->Abort(absl::UnavailableError(reason));
}

void DeviceThread::Cancel(const pb::CancelJob& cancel) {
  const auto set_stop = [&](const Command& command) {
    if (!command.message.has_run_job()) return;
    if (!SameJob(command.message.run_job().key(), cancel.key())) return;
    command.stop->store(std::max(command.stop->load(), ToStopReason(cancel.reason())));
  };
  if (running_ != nullptr) set_stop(*running_);
  std::for_each(commands_.begin(), commands_.end(), set_stop);
}

void DeviceThread::Run(const std::stop_token& stop) {
  Command command;
  for (;;) {
    {
      const MutexLock lock(mutex_);
      changed_.wait(mutex_, stop,
                    [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !commands_.empty(); });
      if (stop.stop_requested()) return;
      command = std::move(commands_.front());
      commands_.pop_front();
      if (IsStale(command)) continue;
      running_ = &command;
    }
    MarkProgress();
    Finish(command, Execute(command));
  }
}

pb::ConnectRequest DeviceThread::Execute(const Command& command) {
  pb::ConnectRequest answer;
  switch (command.message.message_case()) {
    case pb::ConnectResponse::kHostStore:
      *answer.mutable_store_ready() = executor_.HostStore(command.message.host_store(), Address());
      break;
    case pb::ConnectResponse::kJoinGroup:
      *answer.mutable_group_joined() = executor_.JoinGroup(command.message.join_group(), Address());
      break;
    case pb::ConnectResponse::kRunJob:
      *answer.mutable_job_done() = executor_.RunJob(command.message.run_job(), *command.stop,
                                                    [&](pb::ConnectRequest message) {
                                                      const MutexLock lock(mutex_);
                                                      Answer(command, std::move(message));
                                                    });
      break;
    default:
      *answer.mutable_epoch_ended() = executor_.EndEpoch(command.message.end_epoch());
      break;
  }
  return answer;
}

void DeviceThread::Finish(const Command& command, pb::ConnectRequest answer) {
  const MutexLock lock(mutex_);
  running_ = nullptr;
  last_progress_ns_ = 0;
  if (answer.has_job_done()) Count(answer.job_done());
  Answer(command, std::move(answer));
}

void DeviceThread::Count(const pb::JobDone& done) {
  switch (static_cast<absl::StatusCode>(done.outcome().code())) {
    case absl::StatusCode::kOk:
      ++attempts_.succeeded;
      break;
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
      ++attempts_.stopped;
      break;
    default:
      ++attempts_.failed;
  }
}

DeviceThread::Attempts DeviceThread::attempts() {
  const MutexLock lock(mutex_);
  return attempts_;
}

void DeviceThread::Answer(const Command& command, pb::ConnectRequest message) {
  if (send_ && command.session == session_) send_(std::move(message));
}

std::string DeviceThread::Address() {
  const MutexLock lock(mutex_);
  return address_;
}

void DeviceThread::MarkProgress() { last_progress_ns_ = clock_(); }

}  // namespace tessera
