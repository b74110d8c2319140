// A rank of a real group of processes is killed, stopped or fails in mid-job: the others say which
// one, and a new epoch with the same survivors gives the right picture.

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/engine_processes.h"
#include "tests/support/golden.h"

namespace tessera {
namespace {

using testing::EngineGroup;

// Lasts over a second on two cores.
constexpr char kFields[] = R"({"width":512,"height":512,"steps":10})";
constexpr int kRanks = 3;
constexpr int kFaultStep = 4;

enum class Fault { kKilled, kStopped, kFails };

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

class LostRankTest : public ::testing::TestWithParam<std::tuple<Fault, int>> {
 protected:
  std::string Generate(EngineGroup& group) {
    std::filesystem::remove(file_);
    group.Start(file_, kFields);
    for (int rank = 0; rank < kRanks; ++rank) EXPECT_EQ(group.Finish(rank), "ok");
    return ReadFile(file_);
  }
  ~LostRankTest() override { std::filesystem::remove(file_); }

  const std::string file_ = absl::StrCat(::testing::TempDir(), "lost-rank-", ::getpid(), ".rgb");
};

TEST_P(LostRankTest, IsNamedByAllOthersAndANewEpochGivesTheRightPicture) {
  const auto [fault, victim] = GetParam();
  EngineGroup group(testing::TinyFluxDir(), kRanks);
  for (const std::string& answer : group.Join()) ASSERT_EQ(answer, "ok");
  const std::string undisturbed = Generate(group);
  ASSERT_FALSE(undisturbed.empty());

  group.Start(file_, kFields, /*timeout_s=*/3, victim, fault == Fault::kFails ? kFaultStep : -1);
  ASSERT_EQ(group.rank(victim).ReadUntil(absl::StrCat("step ", kFaultStep)),
            absl::StrCat("step ", kFaultStep));
  if (fault == Fault::kKilled) group.rank(victim).Signal(SIGKILL);
  if (fault == Fault::kStopped) group.rank(victim).Signal(SIGSTOP);
  for (int rank = 0; rank < kRanks; ++rank) {
    if (rank == victim && fault != Fault::kFails) continue;
    const std::string answer = group.Finish(rank);
    EXPECT_TRUE(absl::StartsWith(answer, "error")) << answer;
    EXPECT_TRUE(absl::StrContains(answer, "denoise, step ")) << answer;
    if (rank == victim) continue;
    EXPECT_TRUE(absl::StrContains(answer, absl::StrCat("rank ", victim))) << answer;
  }

  std::vector<pid_t> survivors;
  for (int rank = 0; rank < kRanks; ++rank) survivors.push_back(group.rank(rank).pid());
  if (fault != Fault::kFails) group.Replace(victim);
  for (const std::string& answer : group.Join()) ASSERT_EQ(answer, "ok");
  for (int rank = 0; rank < kRanks; ++rank) {
    if (rank == victim) continue;
    EXPECT_EQ(group.rank(rank).pid(), survivors[rank]);  // their weights stayed
  }
  EXPECT_EQ(Generate(group), undisturbed);
}

std::string NameOf(const ::testing::TestParamInfo<std::tuple<Fault, int>>& test) {
  const char* const names[] = {"Killed", "Stopped", "Fails"};
  return absl::StrCat(names[static_cast<int>(std::get<0>(test.param))], "Rank",
                      std::get<1>(test.param));
}

INSTANTIATE_TEST_SUITE_P(EachRank, LostRankTest,
                         ::testing::Combine(::testing::Values(Fault::kKilled, Fault::kStopped,
                                                              Fault::kFails),
                                            ::testing::Range(0, kRanks)),
                         NameOf);

}  // namespace
}  // namespace tessera
