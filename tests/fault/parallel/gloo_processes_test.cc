#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fault/parallel/rank_process.h"

namespace tessera {
namespace {

using ::testing::StartsWith;

constexpr int kSize = 3;
constexpr int64_t kPieceBytes = 1'500'000;
constexpr int64_t kLargePieceBytes =
    20'000'000;                      // most of a step's time is in the midst of a message
constexpr int kForever = 1'000'000;  // steps
constexpr int kNever = -1;
constexpr double kLongS = 40;

// Three processes that form a group; the parameter is the rank that suffers.
class GlooProcessesTest : public ::testing::TestWithParam<int> {
 protected:
  GlooProcessesTest() {
    for (int rank = 0; rank < kSize; ++rank) ranks_.push_back(std::make_unique<RankProcess>());
  }

  int victim() const { return GetParam(); }

  std::vector<RankProcess*> Survivors() {
    std::vector<RankProcess*> survivors;
    for (int rank = 0; rank < kSize; ++rank) {
      if (rank != victim()) survivors.push_back(ranks_[rank].get());
    }
    return survivors;
  }

  void Join(int epoch, double collective_timeout_s) {
    ranks_[0]->Tell("host");
    const std::string port = ranks_[0]->Hear("port");
    for (int rank = 0; rank < kSize; ++rank) {
      ranks_[rank]->Tell(absl::StrCat("join ", epoch, " ", rank, " ", kSize, " ", port, " ", kLongS,
                                      " ", collective_timeout_s));
    }
    for (const auto& rank : ranks_) EXPECT_EQ(rank->Hear("joined"), "OK");
  }

  // Begins an endless run on all ranks and returns in the midst of it.
  void Run(int failing_step_of_victim, int64_t piece_bytes = kPieceBytes) {
    for (int rank = 0; rank < kSize; ++rank) {
      ranks_[rank]->Tell(absl::StrCat("run ", kForever, " ",
                                      rank == victim() ? failing_step_of_victim : kNever, " ",
                                      piece_bytes));
    }
    for (const auto& rank : ranks_) rank->Hear("running");
  }

  // A new process in the victim's place, a new epoch among all, and some steps that end well.
  void ExpectNewEpochWorks() {
    for (RankProcess* survivor : Survivors()) {
      survivor->Tell("leave");
      survivor->Hear("left");
    }
    ranks_[victim()] = std::make_unique<RankProcess>();
    Join(/*epoch=*/2, kLongS);
    for (const auto& rank : ranks_) rank->Tell(absl::StrCat("run 20 ", kNever, " ", kPieceBytes));
    for (const auto& rank : ranks_) {
      rank->Hear("running");
      EXPECT_EQ(rank->Hear("ended"), "OK");
    }
  }

  std::vector<std::unique_ptr<RankProcess>> ranks_;
};

TEST_P(GlooProcessesTest, AKilledRankIsNamedByAll) {
  Join(/*epoch=*/1, kLongS);
  Run(kNever, kLargePieceBytes);
  ranks_[victim()]->Signal(SIGKILL);
  for (RankProcess* survivor : Survivors()) {
    EXPECT_EQ(survivor->Hear("ended"),
              absl::StrCat("UNAVAILABLE: rank ", victim(), " was lost: its connections closed"));
  }
  ExpectNewEpochWorks();
}

TEST_P(GlooProcessesTest, AStoppedRankIsNamedByAllAndEndsWhenItResumes) {
  Join(/*epoch=*/1, /*collective_timeout_s=*/2);
  Run(kNever);
  ranks_[victim()]->Signal(SIGSTOP);
  for (RankProcess* survivor : Survivors()) {
    EXPECT_THAT(survivor->Hear("ended"),
                StartsWith(absl::StrCat("UNAVAILABLE: rank ", victim(),
                                        " was lost: no answer within 2 s")));
  }
  ranks_[victim()]->Signal(SIGCONT);
  EXPECT_THAT(
      ranks_[victim()]->Hear("ended"),
      StartsWith(absl::StrCat("UNAVAILABLE: rank ", victim(), " was lost: no answer within 2 s")));
  ExpectNewEpochWorks();
}

TEST_P(GlooProcessesTest, AFailingRankIsNamedByAllWithItsReason) {
  Join(/*epoch=*/1, kLongS);
  Run(/*failing_step_of_victim=*/25);
  for (const auto& rank : ranks_) {
    EXPECT_EQ(rank->Hear("ended"),
              absl::StrCat("ABORTED: rank ", victim(), " failed: INTERNAL: told to fail"));
  }
  ExpectNewEpochWorks();
}

INSTANTIATE_TEST_SUITE_P(Victims, GlooProcessesTest, ::testing::Range(0, kSize),
                         [](const auto& test) { return absl::StrCat("Rank", test.param); });

TEST(GlooJoinTest, AHostThatHangsIsNamedByThoseWhoJoin) {
  RankProcess host;
  RankProcess other;
  host.Tell("host");
  const std::string port = host.Hear("port");
  host.Signal(SIGSTOP);
  other.Tell(absl::StrCat("join 1 1 2 ", port, " 1 1"));
  EXPECT_THAT(other.Hear("joined"), StartsWith("UNAVAILABLE: rank 0 was lost: "));
}

}  // namespace
}  // namespace tessera
