#include "server/jobs/job_queue.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace tessera {

void JobQueue::PushBack(std::unique_ptr<Job> job) {
  Check(!full(), "a job is queued where there is room");
  jobs_.push_back(std::move(job));
}

std::unique_ptr<Job> JobQueue::TakeFirst(const std::function<bool(const Job&)>& predicate) {
  const auto found =
      std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& job) { return predicate(*job); });
  if (found == jobs_.end()) return nullptr;
  std::unique_ptr<Job> job = std::move(*found);
  jobs_.erase(found);
  return job;
}

std::unique_ptr<Job> JobQueue::PopFront() {
  return TakeFirst([](const Job&) { return true; });
}

std::unique_ptr<Job> JobQueue::Remove(const std::string& job_id) {
  return TakeFirst([&](const Job& job) { return job.id() == job_id; });
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
