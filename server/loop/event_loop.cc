#include "server/loop/event_loop.h"

#include <utility>

namespace tessera {

void EventLoop::Post(Task task) {
  {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void EventLoop::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_one();
}

void EventLoop::Run() {
  TimePoint due = clock_.Now();
  for (;;) {
    std::vector<Task> tasks;
    {
      MutexLock lock(mutex_);
      while (!stopped_ && tasks_.empty() && clock_.Now() < due) {
        if (due == kNever) {
          wake_.wait(mutex_);
        } else {
          wake_.wait_until(mutex_, due);
        }
      }
      if (stopped_) return;
      tasks.swap(tasks_);
    }
    due = RunBatch(std::move(tasks));
  }
}

void EventLoop::RunDue() {
  std::vector<Task> tasks = TakeTasks();
  do {
    RunBatch(std::move(tasks));
    tasks = TakeTasks();
  } while (!tasks.empty());
}

std::vector<EventLoop::Task> EventLoop::TakeTasks() {
  MutexLock lock(mutex_);
  return std::exchange(tasks_, {});
}

TimePoint EventLoop::RunBatch(std::vector<Task> tasks) {
  for (Task& task : tasks) task();
  return timer_(clock_.Now());
}

}  // namespace tessera
