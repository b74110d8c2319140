#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/jobs/job_counter.h"
#include "server/jobs/scheduler.h"
#include "tests/unit/server/jobs/fake_picture_encoder.h"
#include "tests/unit/server/jobs/recording_listener.h"
#include "tests/unit/server/workers/group_harness.h"

namespace tessera::testing {

inline constexpr double kRunSeconds =
    9;  // of a whole job; GroupHarness reports 8 of them as denoising

struct Submitted {
  std::string id;
  std::shared_ptr<RecordingListener> listener;
};

// A scheduler, and a group of three workers that the test speaks for.
class SchedulerTest : public ::testing::Test {
 protected:
  using Link = GroupHarness::Link;

  void Start(SchedulerOptions options = {.max_queue_length = 2}) {
    scheduler_.emplace(options, h_.clock, h_.group, encoder_, counter_, [] { return 42u; });
    h_.group.SetListener(*scheduler_);
  }
  void StartReady(SchedulerOptions options = {.max_queue_length = 2}) {
    Start(options);
    MakeReady();
  }
  void MakeReady() {
    links_ = {h_.Arrive(0), h_.Arrive(1), h_.Arrive(2)};
    h_.Join(links_);
  }

  Submitted Submit(v1::GenerateImageRequest request = {}, double deadline_s = 0,
                   int64_t max_reply_bytes = std::numeric_limits<int64_t>::max()) {
    Submitted job = {.id = "job" + std::to_string(++last_job_),
                     .listener = std::make_shared<RecordingListener>()};
    scheduler_->Submit({.id = job.id,
                        .request = std::move(request),
                        .max_reply_bytes = max_reply_bytes,
                        .submitted_at = h_.clock.Now(),
                        .deadline = deadline_s > 0 ? h_.clock.Now() + Seconds(deadline_s) : kNever},
                       job.listener);
    return job;
  }

  // Every rank reports; a success brings its pictures.
  void FinishRun(const absl::Status& outcome = absl::OkStatus(), bool group_whole = true) {
    const internal::v1::JobKey key = h_.RunningKey(links_[0]);
    if (outcome.ok()) h_.SayPictures(links_[0], key);
    for (const Link& link : links_) h_.SayDone(link, key, outcome, group_whole);
  }
  // A job of the default shape, so that its cost is known.
  void Measure() {
    Submit();
    h_.Pass(kRunSeconds, links_);
    FinishRun();
  }
  // A worker's process ends in mid-job; the others leave the epoch.
  void LoseRank(int lost) {
    const internal::v1::JobKey key = h_.RunningKey(links_[lost == 0 ? 1 : 0]);
    h_.pool.OnClosed(*links_[lost]);
    for (int rank = 0; rank < static_cast<int>(links_.size()); ++rank) {
      if (rank == lost) continue;
      h_.SayDone(links_[rank], key, absl::UnavailableError("peer lost"), false);
      h_.SayEnded(links_[rank], key.epoch());
    }
  }
  void ReplaceRank(int lost) {
    links_[lost] = h_.Arrive(lost);
    h_.Join(links_);
  }
  std::string RunningJob() { return h_.RunningKey(links_[0]).job_id(); }
  int Runs() { return links_[0]->Count(internal::v1::ConnectResponse::kRunJob); }

  GroupHarness h_{WorkerGroupOptions{.size = 3, .min_ranks = 2, .regroup_wait_s = 60}};
  FakePictureEncoder encoder_;
  JobCounter counter_;
  std::optional<Scheduler> scheduler_;
  std::vector<Link> links_;
  int last_job_ = 0;
};

}  // namespace tessera::testing
