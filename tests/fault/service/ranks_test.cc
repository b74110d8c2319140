// Ranks of a real service die, stop and stumble in mid-job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/fault/service/disturbed_call.h"
#include "tests/support/status_details.h"

namespace tessera {
namespace {

using testing::AttemptBegan;
using testing::Disturb;
using testing::Disturbed;
using testing::ExpectRecovered;
using testing::GroupOf;
using testing::ImageCall;
using testing::LongJob;
using testing::Report;
using testing::ServiceProcess;
using testing::StepReached;
using testing::UndisturbedPngs;
using testing::WorkerPids;

constexpr int kRanks = 3;
constexpr int kSteps = 10;

class FaultyRanksTest : public ::testing::Test {
 protected:
  FaultyRanksTest() : undisturbed_(UndisturbedPngs(service_, LongJob(kSteps))) {}
  // Answered = admitted, whatever happened.
  ~FaultyRanksTest() override {
    const v1::JobTallies jobs = service_.Info().jobs();
    EXPECT_EQ(jobs.admitted(),
              jobs.succeeded() + jobs.failed() + jobs.cancelled() + jobs.expired());
  }

  std::function<void()> Strike(int rank, int number) const {
    return [victim = service_.WorkerPid(rank), number] { kill(victim, number); };
  }

  // A rank is lost in the course of a job and replaced; the others keep their processes.
  Disturbed Lose(int rank, int number, const ImageCall::Matcher& when) const {
    const pid_t victim = service_.WorkerPid(rank);
    std::set<int64_t> survivors = WorkerPids(service_);
    survivors.erase(victim);
    const Disturbed seen = Disturb(service_, LongJob(kSteps), when, Strike(rank, number));
    if (seen.result.metadata.attempts() < 2) return seen;  // the loss came after the pictures
    const std::set<int64_t> now = WorkerPids(service_);
    EXPECT_EQ(now.size(), static_cast<size_t>(kRanks));
    EXPECT_THAT(now, ::testing::IsSupersetOf(survivors));
    EXPECT_EQ(now.count(victim), 0u);
    return seen;
  }

  const ServiceProcess service_{kRanks};
  const std::vector<std::string> undisturbed_;
};

TEST_F(FaultyRanksTest, EachRankIsKilledAtEachStep) {
  const int between = testing::WholeFaultSuite() ? 1 : 4;
  int faults = 0;
  int in_mid_job = 0;
  for (int rank = 0; rank < kRanks; ++rank) {
    for (int step = 1; step < kSteps; step += between) {
      const Disturbed seen = Lose(rank, SIGKILL, StepReached(step));
      // A fault that comes when the pictures are made already disturbs nothing.
      const int attempts = seen.result.metadata.attempts();
      ExpectRecovered(absl::StrCat("SIGKILL of rank ", rank), seen, undisturbed_, attempts);
      ++faults;
      in_mid_job += attempts == 2 ? 1 : 0;
    }
  }
  EXPECT_GE(in_mid_job, 0.9 * faults);
}

TEST_F(FaultyRanksTest, EachRankIsStopped) {
  for (int rank = 0; rank < kRanks; ++rank) {
    ExpectRecovered(absl::StrCat("SIGSTOP of rank ", rank), Lose(rank, SIGSTOP, StepReached(3)),
                    undisturbed_);
  }
}

TEST_F(FaultyRanksTest, EachRankIsKilledInTheSyncStep) {
  for (int rank = 0; rank < kRanks; ++rank) {
    ExpectRecovered(absl::StrCat("SIGKILL of rank ", rank, " in the sync step"),
                    Lose(rank, SIGKILL, AttemptBegan(1)), undisturbed_);
  }
}

// Each decodes some of the rows.
TEST_F(FaultyRanksTest, EachRankIsKilledInDecode) {
  int in_mid_job = 0;
  for (int rank = 0; rank < kRanks; ++rank) {
    const Disturbed seen = Lose(rank, SIGKILL, StepReached(kSteps));
    const int attempts = seen.result.metadata.attempts();
    ExpectRecovered(absl::StrCat("SIGKILL of rank ", rank, " in decode"), seen, undisturbed_,
                    attempts);
    in_mid_job += attempts == 2 ? 1 : 0;
  }
  EXPECT_GE(in_mid_job, kRanks - 1);  // decoding may be over when the fault comes
}

TEST_F(FaultyRanksTest, TwoAreKilledAtOnce) {
  for (const auto& [a, b] : {std::pair(0, 2), std::pair(1, 2)}) {
    const auto both = [first = Strike(a, SIGKILL), second = Strike(b, SIGKILL)] {
      first();
      second();
    };
    ExpectRecovered(absl::StrCat("SIGKILL of ranks ", a, " and ", b, " at once"),
                    Disturb(service_, LongJob(kSteps), StepReached(2), both), undisturbed_);
  }
}

TEST_F(FaultyRanksTest, OneIsKilledWhileTheNextEpochForms) {
  const auto twice = [this, first = Strike(2, SIGKILL), second = Strike(1, SIGKILL)] {
    const int64_t epoch = GroupOf(service_.Info()).epoch();
    first();
    service_.AwaitInfo("a new epoch", [&](const v1::GetServerInfoResponse& info) {
      return GroupOf(info).epoch() > epoch;
    });
    second();
  };
  const Disturbed seen = Disturb(service_, LongJob(kSteps), StepReached(2), twice);
  // The second fault may have come when the next attempt ran already.
  ExpectRecovered("SIGKILL of rank 2, then of rank 1 while the group forms", seen, undisturbed_,
                  seen.result.metadata.attempts());
  EXPECT_GE(seen.result.metadata.attempts(), 2);
}

// A second without a sign of life is no reason to give a rank up.
TEST_F(FaultyRanksTest, ASlowRankIsWaitedFor) {
  const pid_t slow = service_.WorkerPid(1);
  const auto pause = [slow] {
    kill(slow, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(1));  // the fault itself
    kill(slow, SIGCONT);
  };
  const Disturbed seen = Disturb(service_, LongJob(kSteps), StepReached(2), pause);
  ExpectRecovered("rank 1 pauses for a second", seen, undisturbed_, /*attempts=*/1);
  EXPECT_EQ(service_.WorkerPid(1), slow);
}

TEST_F(FaultyRanksTest, AJobThatKillsARankEveryTimeEndsAlone) {
  v1::GenerateImageRequest poison = LongJob(kSteps);
  poison.set_seed(13);
  std::optional<ImageCall> behind;
  int killed = 0;
  ImageCall call(service_, poison, [&](ImageCall&, const ImageCall::Event& event) {
    if (!behind.has_value()) behind.emplace(service_, LongJob(kSteps));
    if (!event.has_attempt_started()) return;
    kill(service_.WorkerPid(event.attempt_started().attempt() % kRanks), SIGKILL);
    ++killed;
  });
  Disturbed seen;
  seen.result = call.Wait();
  seen.mid_job = killed > 0;
  const grpc::Status& status = seen.result.status;
  Report("a job that kills a rank in every attempt", seen, status.error_message());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(killed, 3);
  EXPECT_EQ(testing::DetailOf<google::rpc::ErrorInfo>(status).reason(), "JOB_BREAKS_WORKERS");
  EXPECT_TRUE(behind->Wait().status.ok()) << behind->Wait().status.error_message();
  EXPECT_TRUE(behind->Wait().pngs == undisturbed_);
}

// The job fails by itself; the worker lives on.
TEST_F(FaultyRanksTest, AWorkerOutOfMemoryFailsTheJobOnly) {
  const pid_t victim = service_.WorkerPid(1);
  rlimit before = {};
  const auto limit = [&] {
    const rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    prlimit(victim, RLIMIT_AS, &none, &before);
    prlimit(victim, RLIMIT_DATA, &none, nullptr);
  };
  const auto lift = [&] {
    prlimit(victim, RLIMIT_AS, &before, nullptr);
    prlimit(victim, RLIMIT_DATA, &before, nullptr);
  };
  // Keys and values alone are more than any job before took, and they come before what oneDNN makes
  // for new shapes, which does not say that it had no memory.
  v1::GenerateImageRequest large = LongJob(kSteps);
  large.set_width(2048);
  large.set_height(2048);
  const Disturbed seen = Disturb(service_, large, AttemptBegan(1), limit);
  lift();
  Report("rank 1 gets no more memory", seen, seen.result.status.error_message());
  EXPECT_EQ(seen.result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(testing::HasRetryInfo(seen.result.status));
  EXPECT_TRUE(UndisturbedPngs(service_, LongJob(kSteps)) == undisturbed_);
}

}  // namespace
}  // namespace tessera
