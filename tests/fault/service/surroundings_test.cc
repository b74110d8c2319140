// What a real service stands on fails: links, the server itself, the disk, the checkpoint, a host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/fault/service/disturbed_call.h"
#include "tests/fault/service/tcp_proxy.h"
#include "tests/support/status_details.h"
#include "tests/support/temp_dir.h"
#include "tests/support/worker_process.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using testing::Disturb;
using testing::Disturbed;
using testing::ExpectRecovered;
using testing::GroupOf;
using ::testing::HasSubstr;
using testing::ImageCall;
using testing::LongJob;
using testing::Report;
using testing::ServiceProcess;
using testing::ServiceProcessOptions;
using testing::StepReached;
using testing::TcpProxy;
using testing::TempDir;
using testing::UndisturbedPngs;
using testing::WorkerPids;
using testing::WorkerProcess;

bool IsReady(const v1::GetServerInfoResponse& info) {
  return GroupOf(info).state() == v1::GROUP_STATE_READY;
}

ServiceProcessOptions ForWorkersThatDialIn(std::vector<std::string> flags = {}) {
  flags.insert(flags.begin(), {"--group-size", "3", "--token", testing::kWorkerToken});
  return {.flags = std::move(flags)};
}

TEST(FaultySurroundingsTest, ACutLinkIsDialledAgainWithoutLoadingAnything) {
  const ServiceProcess service(ForWorkersThatDialIn());
  TcpProxy proxy(service.worker_port());
  const WorkerProcess a(service.worker_port());
  const WorkerProcess b(service.worker_port());
  const WorkerProcess behind_proxy(proxy.port());
  service.AwaitServing();
  const auto undisturbed = UndisturbedPngs(service, LongJob());
  const std::set<int64_t> before = WorkerPids(service);
  ExpectRecovered("a worker's link is cut",
                  Disturb(service, LongJob(), StepReached(3), [&] { proxy.CutAll(); }),
                  undisturbed);
  EXPECT_EQ(WorkerPids(service), before);
}

// A killed server, or one that is told to end, which finishes the job.
class NextServerTest : public ::testing::TestWithParam<int> {};

TEST_P(NextServerTest, WorkersWaitForItAndKeepTheirWeights) {
  ServiceProcessOptions options = ForWorkersThatDialIn();
  auto first = std::make_unique<ServiceProcess>(options);
  options.port = first->port();
  options.worker_port = first->worker_port();
  const WorkerProcess a(options.worker_port);
  const WorkerProcess b(options.worker_port);
  const WorkerProcess c(options.worker_port);
  first->AwaitServing();
  const auto undisturbed = UndisturbedPngs(*first, LongJob());
  const std::set<int64_t> before = WorkerPids(*first);
  const Disturbed seen =
      Disturb(*first, LongJob(), StepReached(3), [&] { first->Signal(GetParam()); });
  const bool killed = GetParam() == SIGKILL;
  EXPECT_EQ(seen.result.status.error_code(),
            killed ? grpc::StatusCode::UNAVAILABLE : grpc::StatusCode::OK);
  first->AwaitEnd();
  first.reset();
  const ServiceProcess second(options);
  second.AwaitServing();
  const bool same = UndisturbedPngs(second, LongJob()) == undisturbed;
  Report(absl::StrCat(killed ? "SIGKILL" : "SIGTERM", " of the server, and another one"), seen,
         absl::StrCat(seen.result.status.ok() ? "OK" : seen.result.status.error_message(),
                      "; then ", same ? "the same bytes" : "OTHER BYTES"));
  EXPECT_TRUE(same);
  EXPECT_EQ(WorkerPids(second), before);
}

INSTANTIATE_TEST_SUITE_P(, NextServerTest, ::testing::Values(SIGKILL, SIGTERM),
                         [](const ::testing::TestParamInfo<int>& test) {
                           return test.param == SIGKILL ? "Killed" : "Ended";
                         });

TEST(FaultySurroundingsTest, AGroupGoesOnSmallerAndGrowsAgain) {
  const ServiceProcess service(ForWorkersThatDialIn({"--min-ranks", "2", "--regroup-wait", "0.5"}));
  const WorkerProcess a(service.worker_port());
  const WorkerProcess b(service.worker_port());
  auto c = std::make_unique<WorkerProcess>(service.worker_port());
  service.AwaitInfo("three ranks", [](const v1::GetServerInfoResponse& info) {
    return IsReady(info) && GroupOf(info).ranks() == 3;
  });
  const auto undisturbed = UndisturbedPngs(service, LongJob());
  v1::GenerateImageRequest request = LongJob();
  request.set_allow_ranks_change(true);
  const Disturbed seen = Disturb(service, request, StepReached(3), [&] { c.reset(); });
  Report("rank lost for good, --min-ranks 2", seen,
         absl::StrCat("OK with ", seen.result.metadata.ranks(), " of ",
                      seen.result.metadata.first_attempt_ranks(), " ranks"));
  EXPECT_TRUE(seen.result.status.ok()) << seen.result.status.error_message();
  EXPECT_EQ(seen.result.metadata.ranks(), 2);
  EXPECT_EQ(seen.result.metadata.first_attempt_ranks(), 3);
  EXPECT_EQ(GroupOf(service.Info()).reason(), "2 of 3 workers");

  const WorkerProcess successor(service.worker_port());
  service.AwaitInfo("three ranks again", [](const v1::GetServerInfoResponse& info) {
    return IsReady(info) && GroupOf(info).ranks() == 3;
  });
  EXPECT_TRUE(UndisturbedPngs(service, LongJob()) == undisturbed);
}

TEST(FaultySurroundingsTest, AJobBeyondTheMemoryOfItsRanksIsRefusedUntried) {
  const ServiceProcess service(2, {"--job-memory-mb", "256"});
  v1::GenerateImageRequest large = LongJob();
  large.set_width(4096);
  large.set_height(2048);
  ImageCall call(service, large);
  const testing::CallResult& result = call.Wait();
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(testing::HasRetryInfo(result.status));
  EXPECT_THAT(result.status.error_message(),
              AllOf(HasSubstr("width 4096, height 2048"), HasSubstr("it has 256 MiB")));
  EXPECT_TRUE(result.events.empty());
  EXPECT_EQ(service.Info().jobs().attempts(), 0);
  EXPECT_FALSE(UndisturbedPngs(service, LongJob()).empty());
}

TEST(FaultySurroundingsTest, AnotherRank0EncodesWhenTheFirstIsLost) {
  const ServiceProcess service(3, {"--text-encoder", "rank0"});
  const auto undisturbed = UndisturbedPngs(service, LongJob());
  const pid_t victim = service.WorkerPid(0);
  ExpectRecovered("--text-encoder rank0, SIGKILL of rank 0",
                  Disturb(service, LongJob(), StepReached(3), [&] { kill(victim, SIGKILL); }),
                  undisturbed);
}

TEST(FaultySurroundingsTest, AFullDiskForTheLogHoldsNobodyUp) {
  const ServiceProcess service({.spawn_workers = 3, .log = "/dev/full", .flags = {}});
  service.AwaitServing();
  const auto undisturbed = UndisturbedPngs(service, LongJob());
  const pid_t victim = service.WorkerPid(1);
  ExpectRecovered("the log's disk is full, SIGKILL of rank 1",
                  Disturb(service, LongJob(), StepReached(3), [&] { kill(victim, SIGKILL); }),
                  undisturbed);
}

// The group cannot form, says why, answers, and is back when the file is.
TEST(FaultySurroundingsTest, ACheckpointThatCannotBeReadAtRespawn) {
  const TempDir folder;
  const std::string model = folder / "model";
  std::filesystem::copy(TESSERA_TINY_FLUX_DIR, model, std::filesystem::copy_options::recursive);
  const ServiceProcess service({.spawn_workers = 3, .model = model, .flags = {}});
  service.AwaitServing();
  const auto undisturbed = UndisturbedPngs(service, LongJob());
  const std::string config = model + "/transformer/config.json";
  const pid_t victim = service.WorkerPid(1);
  const Disturbed seen = Disturb(service, LongJob(), StepReached(3), [&] {
    std::filesystem::rename(config, config + ".gone");
    kill(victim, SIGKILL);
  });
  Report("SIGKILL of rank 1, whose checkpoint is gone", seen, seen.result.status.error_message());
  EXPECT_EQ(seen.result.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(testing::HasRetryInfo(seen.result.status));
  const v1::GetServerInfoResponse info = service.Info();
  EXPECT_NE(GroupOf(info).state(), v1::GROUP_STATE_READY);
  EXPECT_NE(GroupOf(info).reason(), "");
  std::filesystem::rename(config + ".gone", config);
  service.AwaitServing();
  EXPECT_TRUE(UndisturbedPngs(service, LongJob()) == undisturbed);
}

// A checkpoint in float32 is mapped; what is cut off reads as zeros, and no process is lost.
TEST(FaultySurroundingsTest, ACheckpointThatIsTruncatedInUseEndsNoWorker) {
  const TempDir folder;
  const std::string model = folder / "model";
  std::filesystem::copy(TESSERA_TINY_FLUX_DIR, model, std::filesystem::copy_options::recursive);
  const ServiceProcess service({.spawn_workers = 3, .model = model, .flags = {}});
  service.AwaitServing();
  const std::set<int64_t> before = WorkerPids(service);
  const Disturbed seen = Disturb(service, LongJob(), StepReached(3), [&] {
    for (const auto& file : std::filesystem::directory_iterator(model + "/transformer")) {
      if (file.path().extension() == ".safetensors") std::filesystem::resize_file(file, 4096);
    }
  });
  Report("the transformer's files are truncated in use", seen, seen.result.status.error_message());
  EXPECT_EQ(seen.result.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(WorkerPids(service), before);
}

}  // namespace
}  // namespace tessera
