// A rank of a real service is killed or stopped: the rank is replaced, the others are kept, and
// both the job under way, which runs again, and the next one give an undisturbed picture, byte for
// byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <set>

#include "tests/support/image_call.h"
#include "tests/support/service_process.h"

namespace tessera {
namespace {

using testing::CallResult;
using testing::GroupOf;
using testing::ImageCall;
using testing::OnceAt;
using testing::ServiceProcess;
using testing::StepReached;

constexpr int kRanks = 3;
constexpr int kManySteps = 12;  // make a job of over a second on two cores
constexpr int kFaultStep = 4;
constexpr int kFewSteps = 2;

v1::GenerateImageRequest Request(int steps) {
  v1::GenerateImageRequest request;
  request.set_prompt("a red fox");
  request.set_width(512);
  request.set_height(512);
  request.set_num_inference_steps(steps);
  request.set_seed(7);
  request.set_max_sequence_length(50);
  return request;
}

std::set<int64_t> PidsOf(const v1::GetServerInfoResponse& info) {
  std::set<int64_t> pids;
  for (const v1::WorkerDescription& worker : GroupOf(info).workers()) pids.insert(worker.pid());
  return pids;
}

// A request and what it gives on a group that loses nobody.
struct Undisturbed {
  v1::GenerateImageRequest request;
  std::vector<std::string> pngs;
};

class LostRankTest : public ::testing::TestWithParam<int> {
 protected:
  void Strike(pid_t worker) const { kill(worker, GetParam()); }

  Undisturbed Run(int steps) const {
    const v1::GenerateImageRequest request = Request(steps);
    const CallResult result = ImageCall(service_, request).Wait();
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    std::printf("%d steps take %.1f s\n", steps, result.metadata.stage_seconds().total());
    return {request, result.pngs};
  }

  void ExpectSame(const CallResult& result, const Undisturbed& undisturbed) const {
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    EXPECT_TRUE(result.pngs == undisturbed.pngs) << "other bytes";
  }

  // Loses a rank at a point of a job's progress.
  void CheckLoss(int rank, const ImageCall::Matcher& when, const Undisturbed& job,
                 const Undisturbed& next) const {
    SCOPED_TRACE(rank);
    const pid_t victim = service_.WorkerPid(rank);
    std::set<int64_t> survivors = PidsOf(service_.Info());
    survivors.erase(victim);
    ImageCall call(service_, job.request, OnceAt(when, [&](ImageCall&) { Strike(victim); }));
    ExpectSame(call.Wait(), job);
    EXPECT_EQ(call.Wait().metadata.attempts(), 2);
    ExpectSame(ImageCall(service_, next.request).Wait(), next);
    const std::set<int64_t> now = PidsOf(service_.Info());
    EXPECT_EQ(now.size(), kRanks);
    EXPECT_THAT(now, ::testing::IsSupersetOf(survivors));
    EXPECT_EQ(now.count(victim), 0u);
  }

  const ServiceProcess service_{kRanks};
};

TEST_P(LostRankTest, EachRankInMidJob) {
  const Undisturbed job = Run(kManySteps);
  const Undisturbed next = Run(kFewSteps);
  for (int rank = 0; rank < kRanks; ++rank) CheckLoss(rank, StepReached(kFaultStep), job, next);
}

TEST_P(LostRankTest, TheOneThatDecodes) {
  const Undisturbed job = Run(kFewSteps);
  CheckLoss(0, StepReached(kFewSteps), job, job);
}

// A job that arrives meanwhile waits for a whole group.
TEST_P(LostRankTest, WhileTheGroupForms) {
  const Undisturbed job = Run(kFewSteps);
  const int64_t epoch = GroupOf(service_.Info()).epoch();
  const pid_t victim = service_.WorkerPid(1);
  Strike(service_.WorkerPid(2));
  service_.AwaitInfo("a new epoch", [&](const v1::GetServerInfoResponse& info) {
    return GroupOf(info).epoch() > epoch;
  });
  Strike(victim);
  ExpectSame(ImageCall(service_, job.request).Wait(), job);
  EXPECT_EQ(PidsOf(service_.Info()).count(victim), 0u);
}

INSTANTIATE_TEST_SUITE_P(, LostRankTest, ::testing::Values(SIGKILL, SIGSTOP),
                         [](const ::testing::TestParamInfo<int>& test) {
                           return test.param == SIGKILL ? "Killed" : "Stopped";
                         });

}  // namespace
}  // namespace tessera
