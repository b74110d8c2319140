// N real processes over Gloo against N threads of one process: the same bytes.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/golden/pipeline/pipeline_run.h"
#include "tests/support/engine_processes.h"

namespace tessera {
namespace {

using testing::EngineGroup;
using testing::InProcessGroup;
using testing::LoadPipeline;
using testing::TinyFluxDir;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// The settings of the golden rotating runs.
struct Case {
  int ranks, sync_steps, refresh_every;
  bool replicated;
};

std::string Fields(const Case& c) {
  return absl::StrCat(R"({"width":112,"height":80,"steps":8,"seed":7,"sync_steps":)", c.sync_steps,
                      R"(,"refresh_every":)", c.refresh_every, R"(,"replicated":)",
                      c.replicated ? "true" : "false", R"(,"prompt":")", testing::Prompts()[0],
                      R"("})");
}

// Denoising of this request equals the golden run (rotating_golden_test.cc), so the bytes of its
// picture stand for that.
std::string InProcessPixels(const Case& c) {
  ImageRequest request = testing::DevRequest();
  request.width = 112;
  request.height = 80;
  request.num_inference_steps = 8;
  request.seed = 7;
  request.sync_steps = c.sync_steps;
  request.refresh_every = c.refresh_every;
  request.text_mode = c.replicated ? TextMode::kReplicated : TextMode::kSplit;
  std::vector<std::unique_ptr<FluxPipeline>> pipelines;
  for (int rank = 0; rank < c.ranks; ++rank) pipelines.push_back(LoadPipeline(TinyFluxDir()));
  const auto results = RunRanks(InProcessGroup(c.ranks), [&](Communicator& communicator) {
    return std::make_unique<absl::StatusOr<ImageResult>>(
        pipelines[communicator.rank()]->Generate(request, communicator, {}));
  });
  for (const auto& result : results) EXPECT_TRUE(result->ok()) << result->status();
  return results[0]->ok() ? (*results[0])->pictures.at(0) : "";
}

class ProcessesTest : public ::testing::TestWithParam<Case> {};

TEST_P(ProcessesTest, MakeTheBytesOfTheInProcessRunTwice) {
  const std::string expected = InProcessPixels(GetParam());
  const std::string file = absl::StrCat(::testing::TempDir(), "processes-", ::getpid(), ".rgb");
  EngineGroup group(TinyFluxDir(), GetParam().ranks);
  for (const std::string& answer : group.Join()) ASSERT_EQ(answer, "ok");
  for (int run = 0; run < 2; ++run) {
    std::filesystem::remove(file);
    group.Start(file, Fields(GetParam()));
    for (int rank = 0; rank < group.size(); ++rank) ASSERT_EQ(group.Finish(rank), "ok");
    EXPECT_EQ(ReadFile(file), expected);
  }
  std::filesystem::remove(file);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const bool replicated : {false, true}) {
    for (int ranks = 2; ranks <= 4; ++ranks) {
      for (int sync_steps = 1; sync_steps <= 2; ++sync_steps)
        cases.push_back({ranks, sync_steps, 0, replicated});
    }
    cases.push_back({3, 1, 3, replicated});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Golden, ProcessesTest, ::testing::ValuesIn(Cases()), [](const auto& test) {
  const Case& c = test.param;
  return absl::StrCat("N", c.ranks, "Sync", c.sync_steps, "Refresh", c.refresh_every,
                      c.replicated ? "Replicated" : "Split");
});

// (ranks, place): the bytes of a group whose ranks encode for themselves, also when another process
// has become rank 0.
class TextPlaceProcessesTest : public ::testing::TestWithParam<std::tuple<int, const char*>> {};

TEST_P(TextPlaceProcessesTest, MakeTheBytesOfEveryRankEncoding) {
  const auto [ranks, place] = GetParam();
  const Case c = {.ranks = ranks, .sync_steps = 1, .refresh_every = 0, .replicated = false};
  const std::string expected = InProcessPixels(c);
  const std::string file = absl::StrCat(::testing::TempDir(), "text-place-", ::getpid(), ".rgb");
  EngineGroup group(TinyFluxDir(), ranks, place);
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (const std::string& answer : group.Join()) ASSERT_EQ(answer, "ok");
    group.Start(file, Fields(c));
    for (int rank = 0; rank < group.size(); ++rank) ASSERT_EQ(group.Finish(rank), "ok");
    EXPECT_EQ(ReadFile(file), expected);
    std::filesystem::remove(file);
    group.Replace(0);
  }
}

INSTANTIATE_TEST_SUITE_P(RanksAndPlaces, TextPlaceProcessesTest,
                         ::testing::Combine(::testing::Values(2, 3),
                                            ::testing::Values("rank0", "cpu")),
                         [](const auto& test) {
                           return absl::StrCat("N", std::get<0>(test.param), "_",
                                               std::get<1>(test.param));
                         });

}  // namespace
}  // namespace tessera
