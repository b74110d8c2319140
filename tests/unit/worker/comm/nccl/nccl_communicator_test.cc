#include "worker/comm/nccl/nccl_communicator.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "tests/support/rank_threads.h"
#include "tests/unit/worker/comm/nccl/fake_nccl.h"
#include "tests/unit/worker/comm/nccl/nccl_threads.h"

namespace tessera {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using Group = std::vector<std::unique_ptr<Communicator>>;
using Trouble = FakeNccl::Trouble;

constexpr double kLongS = 20;
constexpr double kShortS = 1;

// Every rank contributes its own number.
absl::Status Gather(Communicator& communicator) {
  std::vector<std::vector<at::Tensor>> pieces(communicator.size());
  for (auto& piece : pieces) piece.push_back(at::zeros({1000}));
  pieces[communicator.rank()][0].fill_(communicator.rank());
  const absl::Status status = communicator.AllGather(pieces);
  for (int rank = 0; status.ok() && rank < communicator.size(); ++rank) {
    EXPECT_TRUE(pieces[rank][0].eq(rank).all().item<bool>());
  }
  return status;
}

std::vector<absl::Status> GatherOnAll(const Group& group) { return RunRanks(group, Gather); }

// The last rank is the one in trouble.
class NcclCommunicatorTest : public ::testing::TestWithParam<int> {
 protected:
  int size() const { return GetParam(); }
  int last() const { return size() - 1; }
  std::string Last() const { return "rank " + std::to_string(last()); }

  void ExpectEachAbortedOnce() const {
    for (int rank = 0; rank < size(); ++rank) {
      EXPECT_EQ(nccl_.aborts(rank), nccl_.communicators(rank)) << rank;
      EXPECT_EQ(nccl_.communicators(rank), 1) << rank;
    }
    EXPECT_EQ(nccl_.misuses(), 0);
  }

  // The group is over, the next epoch is not troubled by it.
  void ExpectANewEpochWorks() {
    nccl_.Give(last(), Trouble::kNone);
    const Group next = JoinNcclThreads(nccl_, size(), kLongS, /*epoch=*/2);
    EXPECT_THAT(GatherOnAll(next), Each(absl::OkStatus()));
    EXPECT_EQ(nccl_.misuses(), 0);
  }

  // The last rank leaves while the others exchange, and they name it.
  void ExpectTheLastRankIsMissed(Group& group) {
    const auto results = RunRanks(group, [&](Communicator& communicator) {
      if (communicator.rank() != last()) return Gather(communicator);
      for (int peer = 0; peer < last(); ++peer) nccl_.AwaitExchange(peer);
      group[last()] = nullptr;
      return absl::OkStatus();
    });
    for (int rank = 0; rank < last(); ++rank) {
      EXPECT_EQ(results[rank],
                absl::UnavailableError(Last() + " was lost: its connections closed"));
    }
  }

  FakeNccl nccl_;
};

TEST_P(NcclCommunicatorTest, AbortsItsCommunicatorWhenItGoes) {
  {
    const Group group = JoinNcclThreads(nccl_, size(), kLongS);
    EXPECT_THAT(GatherOnAll(group), Each(absl::OkStatus()));
    for (int rank = 0; rank < size(); ++rank) EXPECT_EQ(nccl_.aborts(rank), 0);
  }
  ExpectEachAbortedOnce();
}

TEST_P(NcclCommunicatorTest, AnErrorOfOneRankIsNamedOnAll) {
  const Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kSystemError);
  const auto first = GatherOnAll(group);
  const absl::Status expected =
      absl::AbortedError(Last() + " failed: INTERNAL: NCCL: unhandled system error (made to fail)");
  EXPECT_THAT(first, Each(expected));
  ExpectEachAbortedOnce();
  EXPECT_THAT(GatherOnAll(group), Each(expected)) << "later calls return the same";
  ExpectEachAbortedOnce();
  ExpectANewEpochWorks();
}

TEST_P(NcclCommunicatorTest, ACallThatFailsEndsItsGroup) {
  const Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kSendFails);
  EXPECT_THAT(GatherOnAll(group),
              Each(absl::AbortedError(Last() +
                                      " failed: INTERNAL: NCCL: some other error (made to fail)")));
  ExpectEachAbortedOnce();
  ExpectANewEpochWorks();
}

TEST_P(NcclCommunicatorTest, AnExchangeThatNeverEndsIsAbortedAtTheTimeLimit) {
  const Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kNeverMoves);
  for (const auto& member : group) member->SetTimeout(kShortS);
  for (const absl::Status& status : GatherOnAll(group)) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("was lost: "));
  }
  ExpectEachAbortedOnce();
  ExpectANewEpochWorks();
}

TEST_P(NcclCommunicatorTest, TheOneRankThatDoesNotFinishIsToBlame) {
  const Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kNeverReports);
  group[last()]->SetTimeout(kShortS);
  EXPECT_THAT(GatherOnAll(group),
              Each(absl::AbortedError(Last() + " failed: DEADLINE_EXCEEDED: the others were done, "
                                               "this rank not within 1 s")));
  ExpectEachAbortedOnce();
  ExpectANewEpochWorks();
}

// NCCL notices nothing here, and the time limit is far.
TEST_P(NcclCommunicatorTest, ARankLostInAnExchangeIsNoticedByTheControlConnections) {
  Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kNeverMoves);
  ExpectTheLastRankIsMissed(group);
  ExpectEachAbortedOnce();
  ExpectANewEpochWorks();
}

TEST_P(NcclCommunicatorTest, ARankThatNcclMissesFirstIsNotTheSurvivorsFault) {
  Group group = JoinNcclThreads(nccl_, size(), kLongS);
  for (int rank = 0; rank < last(); ++rank) nccl_.Give(rank, Trouble::kRemoteError);
  ExpectTheLastRankIsMissed(group);
  ExpectEachAbortedOnce();
}

TEST_P(NcclCommunicatorTest, AbortFromAnotherThreadEndsAnExchange) {
  const Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kNeverMoves);
  auto gathered = std::async(std::launch::async, [&] { return GatherOnAll(group); });
  for (int rank = 0; rank < size(); ++rank) nccl_.AwaitExchange(rank);
  group[last()]->Abort(absl::CancelledError("told to stop"));
  EXPECT_THAT(gathered.get(),
              Each(absl::AbortedError(Last() + " failed: CANCELLED: told to stop")));
  ExpectEachAbortedOnce();
  ExpectANewEpochWorks();
}

// The others are done, so that no peer's message would end the wait.
TEST_P(NcclCommunicatorTest, AbortFromAnotherThreadEndsARankThatDoesNotFinish) {
  const Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kNeverReports);
  const auto results = RunRanks(group, [&](Communicator& communicator) {
    if (communicator.rank() != last()) return Gather(communicator);
    const std::jthread watcher([&] {
      nccl_.AwaitExchange(last());
      communicator.Abort(absl::CancelledError("told to stop"));
    });
    return Gather(communicator);
  });
  EXPECT_THAT(results, Each(absl::AbortedError(Last() + " failed: CANCELLED: told to stop")));
  ExpectEachAbortedOnce();
}

TEST_P(NcclCommunicatorTest, WhatIsNotOnTheDeviceGoesByTheControlConnections) {
  const Group group = JoinNcclThreads(nccl_, size(), kLongS);
  nccl_.Give(last(), Trouble::kNeverMoves);
  const auto votes = RunRanks(group, [](Communicator& communicator) {
    return communicator.Vote(communicator.rank()).status();
  });
  EXPECT_THAT(votes, Each(absl::OkStatus()));
}

TEST_P(NcclCommunicatorTest, TwoRanksOnOneGpuAreRefused) {
  const auto joined =
      JoinThreads(size(), kLongS, /*epoch=*/1, [&](const GlooOptions& control, GroupStore* hosted) {
        NcclOptions options = FakeGpuOptions(control);
        if (control.rank == last()) options.gpu = "gpu 0";
        return Joined(NcclCommunicator::Join(options, hosted, nccl_.Library(control.rank)));
      });
  const std::string expected = "ranks 0 and " + std::to_string(last()) + " share a GPU (gpu 0)";
  for (const Joined& each : joined) {
    EXPECT_THAT(each.status().code(),
                AnyOf(absl::StatusCode::kFailedPrecondition, absl::StatusCode::kAborted));
    EXPECT_THAT(std::string(each.status().message()), HasSubstr(expected));
  }
  for (int rank = 0; rank < size(); ++rank) EXPECT_EQ(nccl_.communicators(rank), 0);
}

TEST_P(NcclCommunicatorTest, JoiningEndsWhenNcclGivesNoIdentifier) {
  nccl_.Give(0, Trouble::kNoUniqueId);
  const auto joined = TryJoinNcclThreads(nccl_, size(), kLongS);
  EXPECT_EQ(joined[0].status(), absl::InternalError("NCCL: unhandled system error (made to fail)"));
  for (int rank = 1; rank < size(); ++rank) {
    EXPECT_EQ(joined[rank].status(), absl::AbortedError("rank 0 failed: INTERNAL: NCCL: unhandled "
                                                        "system error (made to fail)"));
  }
}

TEST_P(NcclCommunicatorTest, JoiningEndsInTimeWhenNcclDoesNotConnect) {
  nccl_.Give(last(), Trouble::kNeverReady);
  for (const Joined& each : TryJoinNcclThreads(nccl_, size(), /*timeout_s=*/10)) {
    EXPECT_EQ(each.status().code(), absl::StatusCode::kUnavailable) << each.status();
  }
  ExpectEachAbortedOnce();
  ExpectANewEpochWorks();
}

// The ranks would wait for hours.
TEST_P(NcclCommunicatorTest, AnAbandonedJoinEndsWithoutItsTimeOut) {
  nccl_.Give(last(), Trouble::kNeverReady);
  std::stop_source cancel;
  const auto joined = JoinThreads(
      size(), /*timeout_s=*/1e5, /*epoch=*/1, [&](const GlooOptions& control, GroupStore* hosted) {
        NcclOptions options = FakeGpuOptions(control);
        options.control.cancel = cancel.get_token();
        NcclLibrary library = nccl_.Library(control.rank);
        if (control.rank == last()) {
          library.comm_get_async_error = [&](NcclHandle, NcclResult* error) {
            cancel.request_stop();
            *error = NcclResult::kInProgress;
            return NcclResult::kSuccess;
          };
        }
        return Joined(NcclCommunicator::Join(options, hosted, std::move(library)));
      });
  for (int rank = 0; rank < size(); ++rank) {
    EXPECT_EQ(joined[rank].status().code(), absl::StatusCode::kAborted) << joined[rank].status();
    EXPECT_EQ(nccl_.aborts(rank), nccl_.communicators(rank));
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, NcclCommunicatorTest, ::testing::Values(2, 3),
                         ::testing::PrintToStringParamName());

TEST(NcclCommunicatorDeathTest, AnAbortThatDoesNotReturnEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto leave = [] {
    FakeNccl nccl;
    auto joined =
        JoinThreads(2, kLongS, /*epoch=*/1, [&](const GlooOptions& control, GroupStore* hosted) {
          NcclOptions options = FakeGpuOptions(control);
          options.abort_limit_s = 0.05;
          return Joined(NcclCommunicator::Join(options, hosted, nccl.Library(control.rank)));
        });
    nccl.Give(0, Trouble::kAbortHangs);
    joined.clear();
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(1),
              "this process ends: ncclCommAbort did not end within 0.05 s");
}

}  // namespace
}  // namespace tessera
