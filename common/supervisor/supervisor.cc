#include "common/supervisor/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/seconds_since.h"

namespace tessera {
namespace {

std::chrono::steady_clock::time_point After(double seconds) {
  using std::chrono::steady_clock;
  return steady_clock::now() +
         std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Start(std::vector<ChildCommand> commands,
                                                              const SupervisorOptions& options,
                                                              ExitCallback on_exit) {
  for (const ChildCommand& command : commands) {
    if (access(command.binary.c_str(), X_OK) != 0) {
      return absl::NotFoundError(
          absl::StrCat(command.binary, " cannot be executed: ", strerror(errno)));
    }
  }
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  int ends[2];
  if (wake.get() < 0 || pipe2(ends, O_CLOEXEC) != 0)
    return absl::ErrnoToStatus(errno, "supervisor");
  return std::unique_ptr<Supervisor>(new Supervisor(std::move(commands), options,
                                                    std::move(on_exit), std::move(wake),
                                                    UniqueFd(ends[0]), UniqueFd(ends[1])));
}

Supervisor::Supervisor(std::vector<ChildCommand> commands, const SupervisorOptions& options,
                       ExitCallback on_exit, UniqueFd wake, UniqueFd parent_read,
                       UniqueFd parent_write)
    : options_(options),
      on_exit_(std::move(on_exit)),
      wake_(std::move(wake)),
      parent_read_(std::move(parent_read)),
      parent_write_(std::move(parent_write)),
      children_(commands.size()) {
  for (size_t i = 0; i < commands.size(); ++i) {
    children_[i].command = std::move(commands[i]);
    children_[i].start_at = Clock::now();
  }
  std::promise<void> first_started;
  std::future<void> started = first_started.get_future();
  thread_ = std::jthread(std::bind_front(&Supervisor::Run, this), std::move(first_started));
  started.wait();
}

Supervisor::~Supervisor() { Stop(); }

void Supervisor::Kill(int index) {
  const MutexLock lock(mutex_);
  if (Runs(index)) SendSignal(children_[index].process, SIGKILL);
}

void Supervisor::MarkHealthy(int index) {
  const MutexLock lock(mutex_);
  if (Runs(index)) children_[index].healthy = true;
}

bool Supervisor::Runs(int index) const {
  return index >= 0 && static_cast<size_t>(index) < children_.size() &&
         children_[index].process.pid > 0;
}

void Supervisor::Respawn(int index) {
  const MutexLock lock(mutex_);
  if (children_[index].process.pid > 0) return;
  children_[index].start_at = Clock::now();
  eventfd_write(wake_.get(), 1);
}

pid_t Supervisor::pid(int index) const {
  const MutexLock lock(mutex_);
  return children_[index].process.pid;
}

void Supervisor::Stop() {
  const MutexLock lock(stop_mutex_);
  if (!thread_.joinable()) return;
  thread_.request_stop();
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

void Supervisor::Run(const std::stop_token& stop, std::promise<void> first_started) {
  std::vector<ChildExit> exits = StartDue();
  first_started.set_value();
  while (!stop.stop_requested()) {
    for (const ChildExit& exit : exits) Report(exit);
    Wait(NextStart());
    if (stop.stop_requested()) break;
    exits = ReapEnded();
    std::ranges::move(StartDue(), std::back_inserter(exits));
  }
  EndAll();
}

std::vector<ChildExit> Supervisor::StartDue() {
  const MutexLock lock(mutex_);
  std::vector<ChildExit> failures;
  for (Child& child : children_) {
    if (!child.start_at.has_value() || *child.start_at > Clock::now()) continue;
    child.start_at.reset();
    child.started = Clock::now();
    child.healthy = false;
    absl::StatusOr<ChildProcess> process = StartChild(child.command, parent_read_.get());
    if (process.ok()) {
      child.process = *std::move(process);
    } else {
      failures.push_back(
          Ended(child, absl::StrCat("could not be started: ", process.status().ToString())));
    }
  }
  return failures;
}

std::vector<ChildExit> Supervisor::ReapEnded() {
  const MutexLock lock(mutex_);
  std::vector<ChildExit> exits;
  for (Child& child : children_) {
    pollfd poll_child = {.fd = child.process.pidfd.get(), .events = POLLIN, .revents = 0};
    if (child.process.pid < 0 || poll(&poll_child, 1, 0) != 1) continue;
    exits.push_back(Ended(child, ReapChild(child.process)));
    child.process = ChildProcess();
  }
  return exits;
}

ChildExit Supervisor::Ended(Child& child, std::string description) {
  const bool was_short = !child.healthy && SecondsSince(child.started) < options_.short_life_s;
  child.short_lives = was_short ? child.short_lives + 1 : 0;
  const double doubled = options_.first_backoff_s * std::exp2(std::min(child.short_lives, 64) - 1);
  return {.index = static_cast<int>(&child - children_.data()),
          .pid = child.process.pid,
          .description = std::move(description),
          .short_lives = child.short_lives,
          .backoff_s = child.short_lives == 0 ? 0 : std::min(doubled, options_.max_backoff_s)};
}

void Supervisor::Report(const ChildExit& exit) {
  if (on_exit_(exit) == AfterExit::kStayEnded) return;
  const MutexLock lock(mutex_);
  Child& child = children_[exit.index];
  if (!child.start_at.has_value())
    child.start_at = After(exit.backoff_s);  // unless the callback asked for it
}

std::optional<Supervisor::Clock::time_point> Supervisor::NextStart() const {
  const MutexLock lock(mutex_);
  std::optional<Clock::time_point> next;
  for (const Child& child : children_) {
    if (child.start_at.has_value() && (!next || *child.start_at < *next)) next = child.start_at;
  }
  return next;
}

void Supervisor::Wait(std::optional<Clock::time_point> until) {
  std::vector<pollfd> watched = {{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  {
    const MutexLock lock(mutex_);
    for (const Child& child : children_) {
      const pollfd end = {.fd = child.process.pidfd.get(), .events = POLLIN, .revents = 0};
      if (child.process.pid > 0) watched.push_back(end);
    }
  }
  int timeout_ms = -1;
  if (until.has_value()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now());
    timeout_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
  }
  poll(watched.data(), watched.size(), timeout_ms);
  eventfd_t count = 0;
  if (watched[0].revents != 0) eventfd_read(wake_.get(), &count);
}

bool Supervisor::AnyRuns() const {
  const MutexLock lock(mutex_);
  return std::any_of(children_.begin(), children_.end(),
                     [](const Child& child) { return child.process.pid > 0; });
}

void Supervisor::SignalAll(int signal_number) {
  const MutexLock lock(mutex_);
  for (const Child& child : children_) {
    if (child.process.pid > 0) SendSignal(child.process, signal_number);
  }
}

void Supervisor::EndAll() {
  SignalAll(SIGTERM);
  const Clock::time_point end_of_grace = After(options_.stop_grace_s);
  while (AnyRuns() && Clock::now() < end_of_grace) {
    Wait(end_of_grace);
    ReapEnded();
  }
  SignalAll(SIGKILL);
  while (AnyRuns()) {
    Wait(std::nullopt);
    ReapEnded();
  }
}

}  // namespace tessera
