#include "server/core/server_core.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/jobs/job_errors.h"
#include "server/request/request_conversion.h"
#include "spdlog/spdlog.h"

namespace tessera {

ServerCore::ServerCore(const ServerCoreOptions& options, const Clock& clock, EventLoop& loop,
                       std::optional<ModelInfo> model, WorkerLauncher* launcher,
                       RequestResolver::SeedSource draw_seed, ReadyCallback on_ready_changed)
    : options_(options.scheduler),
      clock_(clock),
      loop_(loop),
      id_prefix_(absl::StrFormat("%08x", std::random_device()())),
      pool_(options.pool, clock, launcher, model),
      group_(options.group, clock, pool_),
      png_threads_(loop),
      scheduler_(options.scheduler, clock, group_, png_threads_, observers_, std::move(draw_seed)),
      calls_(options.calls, clock, scheduler_, observers_),
      on_ready_changed_(std::move(on_ready_changed)) {
  pool_.SetListener(group_);
  group_.SetListener(scheduler_);
  if (model.has_value()) scheduler_.OnModelKnown(*model);
  loop_.SetTimer([this](TimePoint now) { return OnTime(now); });
}

TimePoint ServerCore::OnTime(TimePoint now) {
  pool_.OnTime(now);
  group_.OnTime(now);
  scheduler_.OnTime(now);
  const bool ready = group_.healthy() && !scheduler_.draining();
  if (ready != was_ready_) {
    was_ready_ = ready;
    on_ready_changed_(ready);
  }
  return std::min({pool_.NextDue(), group_.NextDue(), scheduler_.NextDue()});
}

std::string ServerCore::Submit(v1::GenerateImageRequest request, int64_t max_reply_bytes,
                               TimePoint deadline, std::shared_ptr<JobListener> listener) {
  std::string id = absl::StrFormat("%s-%06d", id_prefix_, ++last_job_);
  JobSpec spec = {.id = id,
                  .request = std::move(request),
                  .max_reply_bytes = max_reply_bytes,
                  .submitted_at = clock_.Now(),
                  .deadline = deadline};
  loop_.Post([this, spec = std::move(spec), listener = std::move(listener)]() mutable {
    calls_.Submit(std::move(spec), std::move(listener));
  });
  return id;
}

void ServerCore::Cancel(std::string call_id) {
  loop_.Post([this, call_id = std::move(call_id)] { calls_.Cancel(call_id); });
}

void ServerCore::Describe(absl::AnyInvocable<void(v1::GetServerInfoResponse)> done) {
  loop_.Post([this, done = std::move(done)]() mutable { done(ServerInfo()); });
}

v1::GetServerInfoResponse ServerCore::ServerInfo() const {
  v1::GetServerInfoResponse info;
  info.set_tessera_version(TESSERA_VERSION);
  if (pool_.model().has_value()) *info.mutable_model() = DescribeModel(*pool_.model());
  *info.add_groups() = group_.Describe();
  *info.mutable_queue() = scheduler_.DescribeQueue();
  info.set_default_sync_steps(options_.defaults.sync_steps);
  info.set_default_refresh_every(options_.defaults.refresh_every);
  info.set_default_text_mode(options_.defaults.text_mode);
  *info.mutable_jobs() = job_counter_.tallies();
  return info;
}

void ServerCore::OnLinkMessage(std::shared_ptr<WorkerChannel> channel,
                               internal::v1::ConnectRequest message) {
  loop_.Post([this, channel = std::move(channel), message = std::move(message)] {
    pool_.OnMessage(channel, message);
  });
}

void ServerCore::OnLinkClosed(std::shared_ptr<WorkerChannel> channel) {
  loop_.Post([this, channel = std::move(channel)] { pool_.OnClosed(*channel); });
}

void ServerCore::OnChildEnded(int supervised_index, std::string description) {
  loop_.Post([this, supervised_index, description = std::move(description)] {
    pool_.OnChildEnded(supervised_index, description);
  });
}

void ServerCore::Drain(absl::AnyInvocable<void()> drained) {
  loop_.Post(
      [this, drained = std::move(drained)]() mutable { scheduler_.Drain(std::move(drained)); });
}

void ServerCore::FailAll() {
  loop_.Post([this] { scheduler_.FailAll(ServerStopped()); });
}

void ServerCore::DismissWorkers(std::string why) {
  loop_.Post([this, why = std::move(why)] { pool_.DismissAll(why); });
}

}  // namespace tessera
