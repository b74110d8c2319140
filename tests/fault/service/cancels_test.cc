// Clients that leave at random moments, by a cancel or by a connection that breaks, leave nothing
// behind.
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
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

enum class Leaving { kCancel, kDisconnect };

class CancelsTest : public ::testing::Test {
 protected:
  // A call that leaves at one of its events: it is queued, begins, or has done a step.
  void Leave(int event_number, Leaving how) {
    const auto stub = how == Leaving::kCancel ? nullptr : ConnectByProxy();
    int events = 0;
    const auto leave = [&](ImageCall& call, const ImageCall::Event&) {
      if (events++ != event_number) return;
      if (how == Leaving::kCancel) {
        call.Cancel();
      } else {
        proxy_.CutAll();
      }
    };
    ImageCall call(stub == nullptr ? service_.stub() : *stub, ShortJob(), leave);
    const grpc::StatusCode code = call.Wait().status.error_code();
    if (code != grpc::StatusCode::OK) {  // it had ended before
      EXPECT_EQ(code, how == Leaving::kCancel ? grpc::StatusCode::CANCELLED
                                              : grpc::StatusCode::UNAVAILABLE);
    }
  }

  std::unique_ptr<v1::ImageService::Stub> ConnectByProxy() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    return v1::ImageService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", proxy_.port()), grpc::InsecureChannelCredentials(), arguments));
  }

  const ServiceProcess service_{kRanks};
  TcpProxy proxy_{service_.port()};
};

TEST_F(CancelsTest, AThousandLeaveNothingBehind) {
  const int calls = testing::WholeFaultSuite() ? 1000 : 200;
  const auto undisturbed = UndisturbedPngs(service_, ShortJob());
  // Warm: every kind of call was made once.
  for (int event = 0; event < kSteps; ++event) {
    Leave(event, Leaving::kCancel);
    Leave(event, Leaving::kDisconnect);
  }
  EXPECT_TRUE(UndisturbedPngs(service_, ShortJob()) == undisturbed);
  const auto before = Footprints(service_);

  std::mt19937 random(1);
  for (int i = 1; i <= calls; ++i) {
    const bool disconnects = std::uniform_int_distribution(0, 3)(random) == 0;
    Leave(std::uniform_int_distribution(0, kSteps + 1)(random),
          disconnects ? Leaving::kDisconnect : Leaving::kCancel);
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
