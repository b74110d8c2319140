// Clients that leave at random moments, by a cancel or by a connection that breaks, leave nothing
// behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "tests/fault/service/disturbed_call.h"
#include "tests/fault/service/process_footprint.h"
#include "tests/fault/service/tcp_proxy.h"

namespace tessera {
namespace {

using testing::FootprintOf;
using testing::GroupOf;
using testing::ImageCall;
using testing::ProcessFootprint;
using testing::ServiceProcess;
using testing::TcpProxy;
using testing::UndisturbedPngs;

constexpr int kRanks = 3;
constexpr int kSteps = 4;
constexpr int kBetweenWholeJobs = 20;
// Allocators keep some of what they were given.
constexpr double kSpareMib = 24;

v1::GenerateImageRequest ShortJob() {
  v1::GenerateImageRequest request = testing::LongJob(kSteps);
  request.set_width(64);
  request.set_height(64);
  return request;
}

std::map<int64_t, ProcessFootprint> Footprints(const ServiceProcess& service) {
  std::map<int64_t, ProcessFootprint> footprints;
  footprints[service.pid()] = FootprintOf(service.pid());
  const v1::GetServerInfoResponse info = service.Info();
  for (const auto& worker : GroupOf(info).workers()) {
    footprints[worker.pid()] = FootprintOf(static_cast<pid_t>(worker.pid()));
  }
  return footprints;
}

class CancelsTest : public ::testing::Test {
 protected:
  // A call that leaves at one of its events: it is queued, begins, or has done a step.
  void Leave(int event_number, const std::function<void(ImageCall&)>& how) {
    int events = 0;
    ImageCall call(service_, ShortJob(), [&](ImageCall& self, const ImageCall::Event&) {
      if (events++ == event_number) how(self);
    });
    const grpc::StatusCode code = call.Wait().status.error_code();
    EXPECT_TRUE(code == grpc::StatusCode::OK || code == grpc::StatusCode::CANCELLED ||
                code == grpc::StatusCode::UNAVAILABLE)
        << code;
  }

  const ServiceProcess service_{kRanks};
};

TEST_F(CancelsTest, AThousandLeaveNothingBehind) {
  const int calls = testing::WholeFaultSuite() ? 1000 : 200;
  const auto undisturbed = UndisturbedPngs(service_, ShortJob());
  const auto cancel = [](ImageCall& call) { call.Cancel(); };
  // Warm: every kind of call was made once.
  for (int event = 0; event < kSteps; ++event) Leave(event, cancel);
  EXPECT_TRUE(UndisturbedPngs(service_, ShortJob()) == undisturbed);
  const auto before = Footprints(service_);

  std::mt19937 random(1);
  for (int i = 1; i <= calls; ++i) {
    Leave(std::uniform_int_distribution(0, kSteps + 1)(random), cancel);
    if (i % kBetweenWholeJobs == 0) {
      ASSERT_TRUE(UndisturbedPngs(service_, ShortJob()) == undisturbed) << "after call " << i;
    }
  }
  const v1::GetServerInfoResponse info =
      service_.AwaitInfo("the end of all jobs", [](const v1::GetServerInfoResponse& now) {
        const v1::JobTallies& jobs = now.jobs();
        return jobs.admitted() ==
               jobs.succeeded() + jobs.failed() + jobs.cancelled() + jobs.expired();
      });
  EXPECT_EQ(info.jobs().failed(), 0);
  EXPECT_GT(info.jobs().cancelled(), calls / 4);
  for (const auto& [pid, after] : Footprints(service_)) {
    SCOPED_TRACE(pid);
    ASSERT_EQ(before.count(pid), 1u) << "a worker was replaced";
    const ProcessFootprint& then = before.at(pid);
    std::printf("%s %ld: %s; after %d calls that left: %s\n",
                pid == service_.pid() ? "server" : "worker", static_cast<long>(pid),
                ToString(then).c_str(), calls, ToString(after).c_str());
    EXPECT_LE(after.descriptors, then.descriptors + 2);
    EXPECT_LE(after.threads, then.threads + 4);  // gRPC's pool breathes
    EXPECT_LE(after.resident_mib, then.resident_mib + kSpareMib);
  }
}

}  // namespace
}  // namespace tessera
