#pragma once

#include <condition_variable>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "common/base/mutex.h"
#include "server/loop/clock.h"

namespace tessera {

// The one thread on which every decision of the server is taken. Other threads hand it tasks and
// never wait for it; a task never blocks.
//
// Post and Stop may be called from any thread; a single thread calls Run or RunDue.
class EventLoop {
 public:
  using Task = absl::AnyInvocable<void()>;
  // Does what is due at `now` and returns when it wants to be called next.
  using Timer = absl::AnyInvocable<TimePoint(TimePoint now)>;

  explicit EventLoop(const Clock& clock) : clock_(clock) {}

  // Before the loop runs. The timer is called after each batch of tasks and when it asked to be.
  void SetTimer(Timer timer) { timer_ = std::move(timer); }

  // Tasks run in the order in which they were posted; those posted after Stop may never run.
  void Post(Task task);

  // Returns after Stop. Waits in real time, so `clock` must be a SteadyClock.
  void Run();
  void Stop();

  // Runs whatever is posted, and the timer, until nothing is posted any more.
  void RunDue();

 private:
  std::vector<Task> TakeTasks();
  TimePoint RunBatch(std::vector<Task> tasks);

  const Clock& clock_;
  Timer timer_ = [](TimePoint) { return kNever; };
  Mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tessera
