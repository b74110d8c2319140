#include "server/workers/worker_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/wire/link_conversion.h"
#include "common/wire/link_responses.h"
#include "spdlog/spdlog.h"

namespace tessera {

WorkerClass ClassOf(const internal::v1::Register& info) {
  return {
      info.model().fingerprint(), info.device_kind(), info.dtype(), info.threads(), info.build(),
      info.text_encoder()};
}

WorkerPool::WorkerPool(const WorkerPoolOptions& options, const Clock& clock,
                       WorkerLauncher* launcher, std::optional<ModelInfo> model)
    : options_(options),
      clock_(clock),
      launcher_(launcher),
      model_(std::move(model)),
      silence_(options.silence) {}

void WorkerPool::OnMessage(const std::shared_ptr<WorkerChannel>& channel,
                           const internal::v1::ConnectRequest& message) {
  const auto it = workers_.find(channel.get());
  if (it == workers_.end()) {
    if (message.has_register_()) Register(channel, message.register_());
    return;  // else a link that was already given up
  }
  Worker& worker = *it->second;
  worker.heard_at = clock_.Now();
  if (message.has_heartbeat()) {
    worker.heartbeat = message.heartbeat();
  } else {
    listener_->OnWorkerMessage(worker, message);
  }
}

void WorkerPool::Register(const std::shared_ptr<WorkerChannel>& channel,
                          const internal::v1::Register& message) {
  const absl::Status admitted = Admit(message);
  if (!admitted.ok()) {
    spdlog::error("event=worker_refused name={} host={} why=\"{}\"", message.name(), message.host(),
                  std::string(admitted.message()));
    channel->Close(admitted);
    return;
  }
  const auto same_process = [&](const auto& entry) {
    return entry.second->info.pid() == message.pid() &&
           entry.second->info.host() == message.host() &&
           entry.second->info.name() == message.name();
  };
  const auto old = std::find_if(workers_.begin(), workers_.end(), same_process);
  if (old != workers_.end()) {
    const absl::Status why = absl::AbortedError("linked again");
    old->second->channel->Close(why);
    Lose(old, why);
  }
  const TimePoint now = clock_.Now();
  auto worker = std::make_unique<Worker>();
  worker->id = ++last_id_;
  worker->info = message;
  worker->channel = channel;
  worker->heard_at = now;
  workers_.emplace(channel.get(), std::move(worker));
  if (message.supervised_index() >= 0) {
    arrived_.insert(message.supervised_index());
    start_failures_.erase(message.supervised_index());
    if (launcher_ != nullptr) launcher_->MarkArrived(message.supervised_index());
  }
  silence_.OnArrived(now);
  channel->Send(Welcome(last_id_, options_.silence.heartbeat_interval_s));
  spdlog::info("event=worker_registered worker={} name={} host={} pid={} device={} dtype={}",
               last_id_, message.name(), message.host(), message.pid(), message.device(),
               message.dtype());
  listener_->OnWorkerArrived();
}

absl::Status WorkerPool::Admit(const internal::v1::Register& message) {
  const absl::StatusOr<ModelInfo> model = FromLinkModel(message.model());
  if (!model.ok()) return model.status();
  if (!model_.has_value()) {
    model_ = *model;
    spdlog::info("event=model_known name={} fingerprint={}", model->name, model->fingerprint);
    listener_->OnModelKnown(*model_);
  }
  if (model->fingerprint == model_->fingerprint) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("this server serves model ", model_->name, " (",
                                                    model_->fingerprint, "), the worker has ",
                                                    model->name, " (", model->fingerprint, ")"));
}

void WorkerPool::OnClosed(const WorkerChannel& channel) {
  const auto it = workers_.find(&channel);
  if (it != workers_.end()) Lose(it, absl::UnavailableError("its link was closed"));
}

void WorkerPool::OnChildEnded(int supervised_index, const std::string& description) {
  const std::string why =
      absl::StrCat("worker process ", supervised_index, " ended: ", description);
  spdlog::log(dismissed_ ? spdlog::level::info : spdlog::level::warn,
              "event=worker_process_ended supervised_index={} how=\"{}\"", supervised_index,
              description);
  if (arrived_.erase(supervised_index) == 0) {
    listener_->OnStartFailure(why, ++start_failures_[supervised_index]);
    return;
  }
  const auto it = std::find_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second->info.supervised_index() == supervised_index;
  });
  if (it == workers_.end()) return;  // its closed link was seen first
  it->second->channel->Close(absl::UnavailableError(why));
  Lose(it, absl::UnavailableError(why));
}

void WorkerPool::Drop(Worker& worker, const absl::Status& why) {
  worker.channel->Close(why);
  if (worker.info.supervised_index() >= 0 && launcher_ != nullptr) {
    launcher_->Kill(worker.info.supervised_index());
  }
  Lose(workers_.find(worker.channel.get()), why);
}

void WorkerPool::DismissAll(const std::string& why) {
  dismissed_ = true;
  for (auto& [channel, worker] : workers_) {
    if (worker->info.supervised_index() >= 0) {
      worker->channel->Send(Leave(why));
    } else {
      worker->channel->Close(absl::UnavailableError(why));
    }
  }
}

void WorkerPool::Lose(Workers::iterator it, const absl::Status& why) {
  const std::unique_ptr<Worker> worker = std::move(it->second);
  workers_.erase(it);
  spdlog::log(dismissed_ ? spdlog::level::info : spdlog::level::warn,
              "event={} worker={} name={} pid={} why=\"{}\"",
              dismissed_ ? "worker_left" : "worker_lost", worker->id, worker->info.name(),
              worker->info.pid(), std::string(why.message()));
  listener_->OnWorkerLost(*worker, why);
}

std::vector<Worker*> WorkerPool::SelectCompatible(int count) const {
  std::map<WorkerClass, std::vector<Worker*>> classes;
  const TimePoint now = clock_.Now();
  for (const auto& [channel, worker] : workers_) {
    if (!silence_.IsSilent(worker->heard_at, now))
      classes[ClassOf(worker->info)].push_back(worker.get());
  }
  std::vector<Worker*> picked;
  for (auto& [worker_class, members] : classes) {
    if (members.size() > picked.size()) picked = std::move(members);
  }
  std::sort(picked.begin(), picked.end(), [](const Worker* a, const Worker* b) {
    return std::pair(a->info.supervised_index(), a->id) <
           std::pair(b->info.supervised_index(), b->id);
  });
  if (picked.size() > static_cast<size_t>(count)) picked.resize(count);
  return picked;
}

std::vector<const Worker*> WorkerPool::workers() const {
  std::vector<const Worker*> all;
  for (const auto& [channel, worker] : workers_) all.push_back(worker.get());
  std::sort(all.begin(), all.end(), [](const Worker* a, const Worker* b) { return a->id < b->id; });
  return all;
}

void WorkerPool::OnTime(TimePoint now) {
  const TimePoint due = NextDue();
  if (now < due) return;
  const TimePoint::duration excused = silence_.Excused(due, now);
  for (auto& [channel, worker] : workers_) worker->heard_at += excused;
  DropSilent(now);
  if (silence_.TakePing(now, !workers_.empty())) PingAll();
}

void WorkerPool::DropSilent(TimePoint now) {
  std::vector<Worker*> silent;
  for (auto& [channel, worker] : workers_) {
    if (silence_.IsSilent(worker->heard_at, now)) silent.push_back(worker.get());
  }
  for (Worker* worker : silent) {
    Drop(*worker, absl::DeadlineExceededError(absl::StrCat(
                      "it was silent for ", SecondsBetween(worker->heard_at, now), " s")));
  }
}

void WorkerPool::PingAll() {
  ++last_ping_;
  for (auto& [channel, worker] : workers_) {
    worker->channel->Send(Ping(last_ping_));
  }
}

TimePoint WorkerPool::NextDue() const {
  TimePoint due = silence_.next_ping();
  for (const auto& [channel, worker] : workers_) {
    due = std::min(due, silence_.SilentAt(worker->heard_at));
  }
  return due;
}

}  // namespace tessera
