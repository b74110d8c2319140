#include "server/jobs/job_table.h"

#include "common/base/check.h"

namespace tessera {

Job& JobTable::Add(std::unique_ptr<Job> job) {
  Job& added = *job;
  const auto [it, is_new] =
      entries_.try_emplace(added.id(), Entry{.job = std::move(job), .state = added.state()});
  Check(is_new, "a job's id is new");
  EnterIndices(it->second, next_place_++);
  return added;
}

Job* JobTable::Find(const std::string& id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : it->second.job.get();
}

void JobTable::Update(const Job& job) {
  Entry& entry = entries_.at(job.id());
  const bool returns = entry.state != JobState::kQueued && job.state() == JobState::kQueued;
  LeaveIndices(entry);
  EnterIndices(entry, returns ? --first_place_ : entry.place);
}

std::unique_ptr<Job> JobTable::Remove(const Job& job) {
  const auto it = entries_.find(job.id());
  Check(it != entries_.end(), "a job that is removed is in the table");
  LeaveIndices(it->second);
  std::unique_ptr<Job> removed = std::move(it->second.job);
  entries_.erase(it);
  return removed;
}

int JobTable::Count(JobState state) const {
  const auto it = counts_.find(state);
  return it == counts_.end() ? 0 : it->second;
}

TimePoint JobTable::NextDue() const { return due_.empty() ? kNever : due_.begin()->first; }

std::vector<Job*> JobTable::Due(TimePoint now) const {
  std::map<int64_t, Job*> by_place;
  for (const auto& [due, job] : due_) {
    if (due > now) break;
    by_place.emplace(entries_.at(job->id()).place, job);
  }
  std::vector<Job*> jobs;
  for (const auto& [place, job] : by_place) jobs.push_back(job);
  return jobs;
}

std::vector<Job*> JobTable::All() const {
  std::vector<Job*> jobs;
  for (const auto& [id, entry] : entries_) jobs.push_back(entry.job.get());
  return jobs;
}

void JobTable::LeaveIndices(const Entry& entry) {
  if (entry.state == JobState::kQueued) line_.erase(entry.place);
  --counts_[entry.state];
  if (entry.due != kNever) due_.erase({entry.due, entry.job.get()});
}

void JobTable::EnterIndices(Entry& entry, int64_t place) {
  entry.state = entry.job->state();
  entry.place = place;
  entry.due = due_of_(*entry.job);
  if (entry.state == JobState::kQueued) line_.emplace(place, entry.job.get());
  ++counts_[entry.state];
  if (entry.due != kNever) due_.emplace(entry.due, entry.job.get());
}

}  // namespace tessera
