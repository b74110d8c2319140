#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/jobs/job.h"

namespace tessera {

// The admitted jobs that wait, first come, first served, never more than `max_length` of them.
// Used on the event loop's thread.
class JobQueue {
 public:
  explicit JobQueue(int max_length) : max_length_(max_length) {}

  int length() const { return static_cast<int>(jobs_.size()); }
  int max_length() const { return max_length_; }
  bool empty() const { return jobs_.empty(); }
  bool full() const { return length() >= max_length_; }

  // From the front.
  const Job& at(int position) const { return *jobs_[position]; }
  Job& at(int position) { return *jobs_[position]; }

  // Requires room.
  void PushBack(std::unique_ptr<Job> job);

  // In front of all others, where a job that runs again waits. It was admitted before, so it needs
  // no room.
  void PushFront(std::unique_ptr<Job> job) { jobs_.push_front(std::move(job)); }

  // The first that `predicate` holds for; null when there is none.
  std::unique_ptr<Job> TakeFirst(const std::function<bool(const Job&)>& predicate);
  // Null when empty.
  std::unique_ptr<Job> PopFront();

  // Null when no such job waits.
  std::unique_ptr<Job> Remove(const std::string& job_id);

  // In order.
  std::vector<std::unique_ptr<Job>> RemoveIf(const std::function<bool(const Job&)>& predicate);

 private:
  const int max_length_;
  std::deque<std::unique_ptr<Job>> jobs_;
};

}  // namespace tessera
