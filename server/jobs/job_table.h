#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/jobs/job.h"

namespace tessera {

// Every admitted job that has not ended, by its id; those in state kQueued stand in line. No call
// takes longer than a logarithm of the number of jobs, but for those that say so. Used on the event
// loop's thread.
class JobTable {
 public:
  // When something is to be done about a job whatever its group does; kNever for nothing.
  using DueOf = std::function<TimePoint(const Job&)>;
  using Line = std::map<int64_t, Job*>;  // by place, in order

  explicit JobTable(DueOf due_of) : due_of_(std::move(due_of)) {}

  // A job that waits goes to the end of the line. The id is new.
  Job& Add(std::unique_ptr<Job> job);

  // Null when there is no such job.
  Job* Find(const std::string& id) const;

  // Has to follow every change of a job's state or deadline. A job that waits again goes to the
  // front of the line: it was admitted before all others there.
  void Update(const Job& job);

  // Takes the job out.
  std::unique_ptr<Job> Remove(const Job& job);

  const Line& line() const { return line_; }
  int waiting() const { return static_cast<int>(line_.size()); }
  int Count(JobState state) const;
  bool empty() const { return entries_.empty(); }

  // The earliest of all.
  TimePoint NextDue() const;
  // Those that are due by now, in order; n log n in their number.
  std::vector<Job*> Due(TimePoint now) const;

  // In no order; takes time in their number.
  std::vector<Job*> All() const;

 private:
  struct Entry {
    std::unique_ptr<Job> job;
    JobState state;     // as the indices below have it
    int64_t place = 0;  // in the line
    TimePoint due = kNever;
  };

  void LeaveIndices(const Entry& entry);
  void EnterIndices(Entry& entry, int64_t place);

  const DueOf due_of_;
  std::unordered_map<std::string, Entry> entries_;
  Line line_;
  std::map<JobState, int> counts_;
  std::set<std::pair<TimePoint, Job*>> due_;
  int64_t first_place_ = 0;  // places given to the front fall below it,
  int64_t next_place_ = 0;   // those given to the end rise from it
};

}  // namespace tessera
