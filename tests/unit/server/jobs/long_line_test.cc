// Thousands of jobs in line: no change may cost as much as all of them.
#include <gtest/gtest.h>

#include "tests/unit/server/jobs/scheduler_fixture.h"

namespace tessera {
namespace {

using testing::SchedulerTest;
using testing::Submitted;

constexpr int kJobs = 3000;

class LongLineTest : public SchedulerTest {
 protected:
  void Fill() {
    StartReady({.max_queue_length = kJobs});
    Measure();
    for (int i = 0; i <= kJobs; ++i) jobs_.push_back(Submit());  // the first one runs
  }
  size_t TimesTold() const {
    size_t told = 0;
    for (const Submitted& job : jobs_) told += job.listener->positions.size();
    return told;
  }

  std::vector<Submitted> jobs_;
};

TEST_F(LongLineTest, ANewJobHearsItsPlaceAndItsWaitAtOnce) {
  Fill();
  const Submitted& last = jobs_.back();
  ASSERT_FALSE(last.listener->positions.empty());
  EXPECT_EQ(last.listener->positions.back(), kJobs);
  EXPECT_NEAR(*last.listener->last_wait_s, kJobs * testing::kRunSeconds, 1e-3);
  EXPECT_NEAR(static_cast<double>(scheduler_->DescribeQueue().predicted_wait().seconds()),
              (kJobs + 1) * testing::kRunSeconds, 1);
}

TEST_F(LongLineTest, AChangeIsToldToTheFirstPlacesAtOnceAndToAllWithinASecond) {
  Fill();
  scheduler_->Cancel(jobs_[1].id);
  EXPECT_EQ(jobs_[2].listener->positions.back(), 1);
  EXPECT_EQ(jobs_[kJobs].listener->positions.back(), kJobs);
  h_.clock.Advance(PositionTeller::kRestS);
  EXPECT_LE(scheduler_->NextDue(), h_.clock.Now());
  scheduler_->OnTime(h_.clock.Now());
  EXPECT_EQ(jobs_[kJobs].listener->positions.back(), kJobs - 1);
  EXPECT_EQ(scheduler_->NextDue(), kNever);
}

TEST_F(LongLineTest, CancellingAllTellsEachJobAFewTimesOnly) {
  Fill();
  const size_t told = TimesTold();
  for (int i = 1; i <= kJobs; ++i) scheduler_->Cancel(jobs_[i].id);
  for (const Submitted& job : jobs_) EXPECT_LE(job.listener->finished, 1);
  EXPECT_EQ(counter_.tallies().cancelled(), kJobs);
  EXPECT_LE(TimesTold() - told, static_cast<size_t>(kJobs) * PositionTeller::kAtOnce);
}

}  // namespace
}  // namespace tessera
