#include "server/job_queue.h"

#include <utility>

#include "worker/base/check.h"

namespace tessera {

void JobQueue::PushBack(std::unique_ptr<Job> job) {
  Check(!full(), "a job is queued where there is room");
  jobs_.push_back(std::move(job));
}

std::unique_ptr<Job> JobQueue::PopFront() {
  if (jobs_.empty()) return nullptr;
  std::unique_ptr<Job> job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

std::unique_ptr<Job> JobQueue::Remove(const std::string& job_id) {
  std::vector<std::unique_ptr<Job>> removed =
      RemoveIf([&](const Job& job) { return job.id() == job_id; });
  return removed.empty() ? nullptr : std::move(removed.front());
}

std::vector<std::unique_ptr<Job>> JobQueue::RemoveIf(
    const std::function<bool(const Job&)>& predicate) {
  std::vector<std::unique_ptr<Job>> removed;
  std::deque<std::unique_ptr<Job>> kept;
  for (std::unique_ptr<Job>& job : jobs_) {
    if (predicate(*job)) {
      removed.push_back(std::move(job));
    } else {
      kept.push_back(std::move(job));
    }
  }
  jobs_ = std::move(kept);
  return removed;
}

}  // namespace tessera
