#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/rank_threads.h"
#include "tests/unit/worker/comm/gloo/gloo_threads.h"
#include "tests/unit/worker/comm/nccl/fake_nccl.h"
#include "tests/unit/worker/comm/nccl/nccl_threads.h"
#include "worker/comm/in_process_communicator.h"
#include "worker/comm/single_communicator.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr double kTimeoutS = 20;

enum class Kind { kInProcess, kGloo, kFakeNccl };

struct GroupCase {
  Kind kind;
  int size;
};

std::vector<std::unique_ptr<Communicator>> MakeGroup(const GroupCase& group, double timeout_s) {
  std::vector<std::unique_ptr<Communicator>> communicators;
  if (group.kind == Kind::kInProcess) {
    for (auto& member : InProcessCommunicator::MakeGroup(group.size, timeout_s)) {
      communicators.push_back(std::move(member));
    }
    return communicators;
  }
  if (group.kind == Kind::kFakeNccl) return JoinNcclThreads(FakeNccl(), group.size, timeout_s);
  return JoinGlooThreads(group.size, timeout_s);
}

// Rank r contributes r rows less than a chunk of `rows`, none below zero; filled with numbers that
// tell rank, tensor and element.
at::Tensor Piece(int rank, int tensor, int64_t rows, at::ScalarType dtype) {
  const int64_t mine = std::max<int64_t>(0, rows - rank);
  return (at::arange(mine * 3, at::kFloat) + (100 * rank + 10 * tensor)).to(dtype).view({mine, 3});
}

class CommunicatorTest : public ::testing::TestWithParam<GroupCase> {};

struct Gathered {
  absl::Status status;
  std::vector<std::vector<at::Tensor>> pieces;
  int64_t bytes_received = 0;
};

Gathered GatherOnce(Communicator& communicator, const std::vector<int64_t>& rows,
                    const std::vector<at::ScalarType>& dtypes) {
  Gathered result;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    auto& pieces = result.pieces.emplace_back();
    for (int i = 0; i < std::ssize(rows); ++i) {
      at::Tensor piece = Piece(rank, i, rows[i], dtypes[i]);
      pieces.push_back(rank == communicator.rank() ? piece : at::zeros_like(piece));
    }
  }
  result.status = communicator.AllGather(result.pieces);
  result.bytes_received = communicator.bytes_received();
  return result;
}

TEST_P(CommunicatorTest, GathersUnequalAndEmptyPiecesOfSeveralTypes) {
  const auto group = MakeGroup(GetParam(), kTimeoutS);
  const std::vector<int64_t> rows = {5, 1, 0, 70000, 2};
  const std::vector<at::ScalarType> dtypes = {at::kFloat, at::kBFloat16, at::kHalf, at::kLong,
                                              at::kByte};
  const auto results = RunRanks(
      group, [&](Communicator& communicator) { return GatherOnce(communicator, rows, dtypes); });
  for (int rank = 0; rank < std::ssize(results); ++rank) {
    ASSERT_TRUE(results[rank].status.ok()) << results[rank].status;
    int64_t bytes = 0;
    for (int peer = 0; peer < std::ssize(results); ++peer) {
      for (int i = 0; i < std::ssize(rows); ++i) {
        const at::Tensor expected = Piece(peer, i, rows[i], dtypes[i]);
        EXPECT_TRUE(at::equal(results[rank].pieces[peer][i], expected))
            << "rank " << rank << ", piece of " << peer << ", tensor " << i;
        if (peer != rank) bytes += expected.nbytes();
      }
    }
    EXPECT_EQ(results[rank].bytes_received, bytes);
  }
}

TEST_P(CommunicatorTest, GathersAgainAndAgainInOrder) {
  const auto group = MakeGroup(GetParam(), kTimeoutS);
  const auto results = RunRanks(group, [](Communicator& communicator) {
    std::vector<std::vector<at::Tensor>> pieces(communicator.size());
    for (auto& piece : pieces) piece.push_back(at::zeros({7}));
    int64_t wrong = 0;
    for (int round = 0; round < 200; ++round) {
      pieces[communicator.rank()][0].fill_(1000 * communicator.rank() + round);
      if (!communicator.AllGather(pieces).ok()) return int64_t{-1};
      for (int peer = 0; peer < communicator.size(); ++peer) {
        wrong += pieces[peer][0].ne(1000 * peer + round).sum().item<int64_t>();
      }
    }
    return wrong;
  });
  EXPECT_THAT(results, Each(0));
}

TEST_P(CommunicatorTest, VotesComeInRankOrder) {
  const auto group = MakeGroup(GetParam(), kTimeoutS);
  std::vector<int64_t> expected;
  for (int rank = 0; rank < GetParam().size; ++rank) expected.push_back((int64_t{1} << 40) - rank);
  const auto results = RunRanks(group, [&](Communicator& communicator) {
    return communicator.Vote(expected[communicator.rank()]);
  });
  for (const auto& votes : results) {
    ASSERT_TRUE(votes.ok()) << votes.status();
    EXPECT_THAT(*votes, ElementsAreArray(expected));
  }
}

std::vector<absl::Status> VoteOnAll(const std::vector<std::unique_ptr<Communicator>>& group) {
  return RunRanks(group, [](Communicator& communicator) { return communicator.Vote(0).status(); });
}

TEST_P(CommunicatorTest, AbortNamesTheRankAndItsReasonOnEveryRank) {
  const int failing = GetParam().size - 1;
  const auto group = MakeGroup(GetParam(), kTimeoutS);
  const auto first = RunRanks(group, [&](Communicator& communicator) {
    if (communicator.rank() == failing) communicator.Abort(absl::InternalError("NaN in latents"));
    return communicator.Vote(0).status();
  });
  const absl::Status expected =
      absl::AbortedError("rank " + std::to_string(failing) + " failed: INTERNAL: NaN in latents");
  EXPECT_THAT(first, Each(expected));
  EXPECT_THAT(VoteOnAll(group), Each(expected)) << "later calls return the same";
}

TEST_P(CommunicatorTest, AbortFromAnotherThreadEndsACollectiveInFlight) {
  const auto group = MakeGroup(GetParam(), kTimeoutS);
  std::latch waiting(GetParam().size - 1);
  const auto results = RunRanks(group, [&](Communicator& communicator) {
    if (communicator.rank() == 0) {
      waiting.wait();
      group[1]->Abort(absl::CancelledError("told to stop"));
    } else {
      waiting.count_down();
    }
    // A rank that has everyone's vote by then ends well, and misses rank 1 in the next one.
    while (true) {
      const absl::Status status = communicator.Vote(0).status();
      if (!status.ok()) return status;
    }
  });
  EXPECT_THAT(results, Each(absl::AbortedError("rank 1 failed: CANCELLED: told to stop")));
}

TEST_P(CommunicatorTest, ARankThatNeverComesIsNamed) {
  const int absent = GetParam().size - 1;
  const auto group = MakeGroup(GetParam(), kTimeoutS);
  const auto results = RunRanks(group, [&](Communicator& communicator) {
    communicator.SetTimeout(0.2);
    return communicator.rank() == absent ? absl::OkStatus() : communicator.Vote(0).status();
  });
  for (int rank = 0; rank < absent; ++rank) {
    EXPECT_EQ(results[rank].code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(results[rank].message()),
                HasSubstr("rank " + std::to_string(absent) + " was lost"));
  }
}

TEST_P(CommunicatorTest, ARankThatLeavesIsNamed) {
  const int leaving = GetParam().size - 1;
  auto group = MakeGroup(GetParam(), kTimeoutS);
  const auto results = RunRanks(group, [&](Communicator& communicator) {
    if (communicator.rank() != leaving) return communicator.Vote(0).status();
    group[leaving] = nullptr;
    return absl::OkStatus();
  });
  for (int rank = 0; rank < leaving; ++rank) {
    EXPECT_EQ(results[rank].code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(results[rank].message()),
                HasSubstr("rank " + std::to_string(leaving) + " was lost"));
  }
}

TEST_P(CommunicatorTest, PiecesThatAreNotContiguousEndTheGroup) {
  const auto group = MakeGroup(GetParam(), kTimeoutS);
  const auto results = RunRanks(group, [](Communicator& communicator) {
    std::vector<std::vector<at::Tensor>> pieces(communicator.size());
    for (auto& piece : pieces) piece.push_back(at::zeros({4, 4}));
    if (communicator.rank() == 0) pieces[1][0] = pieces[1][0].t();
    return communicator.AllGather(pieces);
  });
  for (const absl::Status& status : results) {
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("rank 0 failed"), HasSubstr("tensor 0 for rank 1")));
  }
}

std::string NameOf(const ::testing::TestParamInfo<GroupCase>& test) {
  switch (test.param.kind) {
    case Kind::kInProcess:
      return "InProcess" + std::to_string(test.param.size);
    case Kind::kGloo:
      return "Gloo" + std::to_string(test.param.size);
    case Kind::kFakeNccl:
      return "FakeNccl" + std::to_string(test.param.size);
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Groups, CommunicatorTest,
                         ::testing::Values(GroupCase{Kind::kInProcess, 2},
                                           GroupCase{Kind::kInProcess, 3},
                                           GroupCase{Kind::kInProcess, 4},
                                           GroupCase{Kind::kGloo, 2}, GroupCase{Kind::kGloo, 3},
                                           GroupCase{Kind::kGloo, 4}, GroupCase{Kind::kFakeNccl, 2},
                                           GroupCase{Kind::kFakeNccl, 3}),
                         NameOf);

TEST(SingleCommunicatorTest, IsAGroupOfOne) {
  SingleCommunicator communicator;
  const at::Tensor piece = at::ones({3});
  const std::vector<std::vector<at::Tensor>> pieces = {{piece}};
  EXPECT_TRUE(communicator.AllGather(pieces).ok());
  EXPECT_THAT(*communicator.Vote(7), ElementsAreArray({7}));
  EXPECT_EQ(communicator.bytes_received(), 0);
  communicator.Abort(absl::InternalError("broken"));
  EXPECT_EQ(communicator.AllGather(pieces), absl::AbortedError("rank 0 failed: INTERNAL: broken"));
}

}  // namespace
}  // namespace tessera
