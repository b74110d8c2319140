#include "worker/comm/gloo/gloo_communicator.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <future>
#include <iterator>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "tests/support/rank_threads.h"
#include "tests/unit/worker/comm/gloo/gloo_threads.h"
#include "worker/comm/gloo/group_store.h"

namespace tessera {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr double kLongS = 20;

GlooOptions Options(int rank, int size, int port, double timeout_s) {
  GlooOptions options;
  options.epoch = 1;
  options.rank = rank;
  options.size = size;
  options.store_host = "127.0.0.1";
  options.store_port = port;
  options.join_timeout_s = timeout_s;
  options.collective_timeout_s = timeout_s;
  return options;
}

TEST(GlooCommunicatorTest, JoiningEndsWithoutTheRankThatNeverComes) {
  const auto store = GroupStore::Host("127.0.0.1");
  ASSERT_TRUE(store.ok()) << store.status();
  const auto join = [&](int rank, GroupStore* hosted) {
    return GlooCommunicator::Join(Options(rank, 3, (*store)->port(), /*timeout_s=*/4), hosted)
        .status();
  };
  auto other = std::async(std::launch::async, join, 2, nullptr);
  const absl::Status expected =
      absl::UnavailableError("rank 1 was lost: missing in the roll call of epoch 1");
  EXPECT_EQ(join(0, store->get()), expected);
  EXPECT_EQ(other.get(), expected);
}

TEST(GlooCommunicatorTest, JoiningEndsWhenTheStoreNeverAnswers) {
  // The kernel accepts the connection; nobody reads.
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), any, length), 0);
  ASSERT_EQ(listen(listener.get(), 8), 0);
  ASSERT_EQ(getsockname(listener.get(), any, &length), 0);

  const auto joined =
      GlooCommunicator::Join(Options(1, 2, ntohs(address.sin_port), /*timeout_s=*/0.5), nullptr);
  EXPECT_EQ(joined.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(joined.status().message()), StartsWith("rank 0 was lost: "));
}

TEST(GlooCommunicatorTest, ARankOutsideItsGroupCannotJoin) {
  for (const int rank : {-1, 3}) {
    EXPECT_EQ(GlooCommunicator::Join(Options(rank, 3, /*port=*/1, kLongS), nullptr).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(GlooCommunicatorTest, AnAddressOfAnotherHostCannotBeBound) {
  const auto store = GroupStore::Host("192.0.2.1");
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("192.0.2.1"));
}

// The ranks would wait for hours.
TEST(GlooCommunicatorTest, AnAbandonedJoinEndsWithoutItsTimeOut) {
  auto store = GroupStore::Host("127.0.0.1");
  ASSERT_TRUE(store.ok()) << store.status();
  std::stop_source cancel;
  const auto join = [&](int rank, GroupStore* hosted) {
    GlooOptions options = Options(rank, 3, (*store)->port(), /*timeout_s=*/1e5);
    options.cancel = cancel.get_token();
    return GlooCommunicator::Join(options, hosted).status();
  };
  auto rank0 = std::async(std::launch::async, join, 0, store->get());
  auto rank1 = std::async(std::launch::async, join, 1, nullptr);
  auto watcher = GroupStore::Connect("127.0.0.1", (*store)->port(), DeadlineIn(kLongS));
  ASSERT_TRUE(watcher.ok()) << watcher.status();
  // Returns when ranks 0 and 1 have come.
  ASSERT_TRUE(
      (*watcher)->Gather("roll call of epoch 1", 0, 2, "", DeadlineIn(kLongS)).status().ok());
  cancel.request_stop();
  EXPECT_EQ(rank0.get().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(rank1.get().code(), absl::StatusCode::kUnavailable);
}

// A group of three in which the test itself plays rank 2, by the steps of GlooCommunicator.
class GlooUnderstudyTest : public ::testing::Test {
 protected:
  static constexpr int kSize = 3;

  void SetUp() override {
    auto store = GroupStore::Host("127.0.0.1");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    auto client = GroupStore::Connect("127.0.0.1", store_->port(), deadline_);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  // Joins, and votes until an error.
  std::future<absl::Status> StartRank(int rank, double join_timeout_s, double vote_timeout_s) {
    return std::async(std::launch::async, [=, this]() -> absl::Status {
      auto joined = GlooCommunicator::Join(Options(rank, kSize, store_->port(), join_timeout_s),
                                           rank == 0 ? store_.get() : nullptr);
      if (!joined.ok()) return joined.status();
      (*joined)->SetTimeout(vote_timeout_s);
      while (true) {
        const auto votes = (*joined)->Vote(rank);
        if (!votes.ok()) return votes.status();
      }
    });
  }

  void Answer(const std::string& round) {
    const auto gathered = client_->Gather(round + " of epoch 1", 2, kSize, "", deadline_);
    EXPECT_TRUE(gathered.status().ok()) << gathered.status();
  }

  void Connect() {
    const auto device = MakeGlooDevice("127.0.0.1");
    ASSERT_TRUE(device.ok()) << device.status();
    for (const std::string purpose : {"collectives", "abort notices"}) {
      auto mesh = GlooMesh::Connect(*client_, purpose + " of epoch 1", *device, 2, kSize, kLongS);
      ASSERT_TRUE(mesh.ok()) << mesh.status();
      meshes_.push_back(*std::move(mesh));
    }
  }

  const Deadline deadline_ = DeadlineIn(kLongS);
  std::unique_ptr<GroupStore> store_;
  std::unique_ptr<GroupStore> client_;
  std::vector<std::unique_ptr<GlooMesh>> meshes_;  // collectives, notices
};

// Rank 2 sends to rank 0 what it owes it in the first vote, and falls silent. Rank 1 waits for it
// in that vote, and rank 0, in the next one, for rank 1.
TEST_F(GlooUnderstudyTest, ARankThatIsMissedButMissesAnotherIsNotBlamed) {
  auto rank0 = StartRank(0, kLongS, /*vote_timeout_s=*/0.5);
  auto rank1 = StartRank(1, kLongS, /*vote_timeout_s=*/0.5);
  Answer("roll call");
  Connect();
  ASSERT_EQ(meshes_.size(), 2);
  Answer("connecting");
  const at::Tensor vote = at::zeros({1}, at::kLong);
  const at::Tensor signal = at::zeros({1}, at::kByte);
  std::vector<GlooTransfer> transfers;
  for (const int tag : {1, 2, 3}) {  // piece, end, receipt
    const at::Tensor& tensor = tag == 1 ? vote : signal;
    transfers.push_back(meshes_[0]->Receive(tensor, /*peer=*/0, tag));
    transfers.push_back(meshes_[0]->Send(tensor, /*peer=*/0, tag));
  }
  const absl::Status expected = absl::UnavailableError("rank 2 was lost: no answer within 0.5 s");
  EXPECT_EQ(rank0.get(), expected);
  EXPECT_EQ(rank1.get(), expected);
}

// Rank 2 confirms its connections when rank 1 has given up already, but rank 0 has not.
TEST_F(GlooUnderstudyTest, ARankThatGaveUpJoiningIsNotBlamedByThoseWhoJoined) {
  auto rank0 = StartRank(0, kLongS, kLongS);
  auto rank1 = StartRank(1, /*join_timeout_s=*/4, kLongS);
  Answer("roll call");
  Connect();
  ASSERT_EQ(meshes_.size(), 2);
  const absl::Status expected =
      absl::UnavailableError("rank 2 was lost: missing in the connecting of epoch 1");
  EXPECT_EQ(rank1.get(), expected);
  Answer("connecting");
  EXPECT_EQ(rank0.get(), expected);
}

std::ptrdiff_t CountEntries(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

TEST(GlooCommunicatorTest, AHundredEpochsEndedByAbortLeaveNoThreadOrDescriptor) {
  constexpr int kSize = 3;
  const auto run_epoch = [](int64_t epoch) {
    auto group = JoinGlooThreads(kSize, kLongS, epoch);
    ASSERT_FALSE(group.empty());
    std::latch turned(kSize);  // as many rounds as the epoch's number asks for, on every rank
    const std::jthread watcher([&] {
      turned.wait();
      group[epoch % kSize]->Abort(absl::CancelledError("epoch over"));
    });
    const auto ends = RunRanks(group, [&](Communicator& communicator) -> absl::Status {
      std::vector<std::vector<at::Tensor>> pieces(kSize);
      for (auto& piece : pieces) piece.push_back(at::zeros({1 + (epoch % 4) * 40'000}));
      for (int64_t round = 0;; ++round) {
        if (round == epoch % 5) turned.count_down();
        const absl::Status gathered = communicator.AllGather(pieces);
        if (!gathered.ok()) return gathered;
        const auto votes = communicator.Vote(round);
        if (!votes.ok()) return votes.status();
      }
    });
    const std::string rank = std::to_string(epoch % kSize);
    EXPECT_THAT(ends, Each(absl::AbortedError("rank " + rank + " failed: CANCELLED: epoch over")));
  };
  run_epoch(0);
  const std::ptrdiff_t descriptors = CountEntries("/proc/self/fd");
  const std::ptrdiff_t threads = CountEntries("/proc/self/task");
  for (int64_t epoch = 1; epoch <= 100; ++epoch) run_epoch(epoch);
  EXPECT_EQ(CountEntries("/proc/self/fd"), descriptors);
  EXPECT_EQ(CountEntries("/proc/self/task"), threads);
}

}  // namespace
}  // namespace tessera
