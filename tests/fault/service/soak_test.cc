// Traffic under random faults: whatever was admitted is answered once, and nothing grows.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/fault/service/disturbed_call.h"
#include "tests/fault/service/process_footprint.h"

namespace tessera {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::FootprintOf;
using testing::GroupOf;
using testing::ImageCall;
using testing::ProcessFootprint;
using testing::ServiceProcess;
using testing::UndisturbedPngs;

constexpr int kRanks = 3;
constexpr int kClients = 3;
constexpr double kSpareMib = 24;

seconds SoakTime() {
  const char* asked = std::getenv("TESSERA_SOAK_SECONDS");
  return seconds(asked == nullptr ? 60 : std::atoi(asked));
}

v1::GenerateImageRequest Job(int steps) {
  v1::GenerateImageRequest request = testing::LongJob(steps);
  request.set_width(256);
  request.set_height(256);
  return request;
}

class SoakTest : public ::testing::Test {
 protected:
  using Pictures = std::map<int, std::vector<std::string>>;  // by number of steps

  // Calls one after the other, some of which leave early.
  void CallUntil(steady_clock::time_point end, unsigned seed, const Pictures& undisturbed) {
    std::mt19937 random(seed);
    while (steady_clock::now() < end) {
      const int steps = std::uniform_int_distribution(2, 6)(random);
      const bool leaves = std::uniform_int_distribution(0, 5)(random) == 0;
      ImageCall call(service_, Job(steps), [&](ImageCall& self, const ImageCall::Event& event) {
        if (leaves && event.has_step_done()) self.Cancel();
      });
      const auto& result = call.Wait();
      const std::lock_guard lock(mutex_);
      ++answers_[result.status.error_code()];
      if (result.status.ok()) {
        EXPECT_TRUE(result.pngs == undisturbed.at(steps)) << steps << " steps: other bytes";
      }
    }
  }

  // A fault, and the next one some whole jobs later.
  void StrikeUntil(steady_clock::time_point end) {
    std::mt19937 random(7);
    while (steady_clock::now() < end) {
      const int64_t wanted = service_.Info().jobs().succeeded() + 3;
      service_.AwaitInfo("jobs that succeed", [&](const v1::GetServerInfoResponse& info) {
        return info.jobs().succeeded() >= wanted || steady_clock::now() >= end;
      });
      const v1::GetServerInfoResponse info = service_.Info();
      const auto& workers = GroupOf(info).workers();
      if (workers.empty()) continue;
      const int victim = std::uniform_int_distribution(0, workers.size() - 1)(random);
      const bool stops = std::uniform_int_distribution(0, 3)(random) == 0;
      kill(static_cast<pid_t>(workers[victim].pid()), stops ? SIGSTOP : SIGKILL);
      ++faults_;
    }
  }

  const ServiceProcess service_{kRanks};
  std::mutex mutex_;
  std::map<grpc::StatusCode, int64_t> answers_;
  std::atomic<int> faults_ = 0;
};

TEST_F(SoakTest, AdmittedIsAnsweredAndMemoryStaysFlat) {
  Pictures undisturbed;
  for (int steps = 2; steps <= 6; ++steps)
    undisturbed[steps] = UndisturbedPngs(service_, Job(steps));
  const int64_t quiet_jobs = static_cast<int64_t>(undisturbed.size());
  const ProcessFootprint before = FootprintOf(service_.pid());
  {
    const auto end = steady_clock::now() + SoakTime();
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kClients; ++i) {
      threads.emplace_back([this, end, i, &undisturbed] { CallUntil(end, i, undisturbed); });
    }
    threads.emplace_back([this, end] { StrikeUntil(end); });
  }
  const v1::GetServerInfoResponse info =
      service_.AwaitInfo("a quiet server", [](const v1::GetServerInfoResponse& now) {
        return GroupOf(now).state() == v1::GROUP_STATE_READY;
      });
  const v1::JobTallies& jobs = info.jobs();
  int64_t calls = quiet_jobs;
  for (const auto& [code, count] : answers_) calls += count;
  const ProcessFootprint after = FootprintOf(service_.pid());
  std::printf(
      "%d faults; calls %ld; admitted %ld = %ld succeeded + %ld failed + %ld cancelled, in "
      "%ld attempts\nserver: %s; at the end: %s\n",
      faults_.load(), static_cast<long>(calls), static_cast<long>(jobs.admitted()),
      static_cast<long>(jobs.succeeded()), static_cast<long>(jobs.failed()),
      static_cast<long>(jobs.cancelled()), static_cast<long>(jobs.attempts()),
      ToString(before).c_str(), ToString(after).c_str());
  EXPECT_EQ(jobs.admitted(), calls);
  EXPECT_EQ(jobs.refused(), 0);
  EXPECT_EQ(jobs.admitted(), jobs.succeeded() + jobs.failed() + jobs.cancelled());
  EXPECT_GE(jobs.succeeded(), answers_[grpc::StatusCode::OK] + quiet_jobs);
  EXPECT_EQ(jobs.failed(),
            answers_[grpc::StatusCode::UNAVAILABLE] + answers_[grpc::StatusCode::INTERNAL]);
  EXPECT_GT(faults_.load(), 0);
  EXPECT_LE(after.resident_mib, before.resident_mib + kSpareMib);
  EXPECT_LE(after.descriptors, before.descriptors + 4);
}

}  // namespace
}  // namespace tessera
