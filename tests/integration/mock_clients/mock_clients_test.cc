// Clients of all manners against a real server and three real workers: each request is answered
// once and rightly, and in the end clients, server and workers have counted the same.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "tests/integration/mock_clients/mock_requests.h"
#include "tests/integration/mock_clients/tallies.h"
#include "tests/support/image_call.h"
#include "tests/support/service_process.h"
#include "tests/support/status_details.h"

namespace tessera {
namespace {

using testing::CallResult;
using testing::ImageCall;
using testing::MockRequest;
using testing::OnceAt;
using testing::Reply;
using testing::StepReached;
using testing::WaitsAtPosition;

constexpr int kRanks = 3;
constexpr int kClients = 4;
constexpr int kMixed = 50;
constexpr int kOverflowing = testing::kMaxQueueLength + 4;  // of the mixed ones

class MockClientsTest : public ::testing::Test {
 protected:
  CallResult Call(const MockRequest& request) const {
    if (request.reply == Reply::kUnary) {
      return GenerateUnary(service_, request.request, request.deadline);
    }
    ImageCall::OnEvent on_event;
    if (request.cancel_at_step.has_value()) {
      on_event = OnceAt(StepReached(*request.cancel_at_step), [](ImageCall& c) { c.Cancel(); });
    }
    return ImageCall(service_, request.request, on_event, request.deadline).Wait();
  }

  // Counts an answer, and checks it against what the request expects and what an undisturbed run
  // has given.
  void CheckAnswer(const MockRequest& request, const CallResult& result) {
    SCOPED_TRACE(absl::StrCat(request.name, ": ", request.request.ShortDebugString()));
    MutexLock lock(mutex_);
    testing::CountAnswer(result.status, clients_);
    EXPECT_EQ(result.status.error_code(), request.code) << result.status.error_message();
    if (!request.reason.empty()) {
      EXPECT_EQ(testing::ReasonOf(result.status), request.reason);
    }
    if (request.violations > 0) {
      const auto details = testing::DetailOf<google::rpc::BadRequest>(result.status);
      EXPECT_EQ(details.field_violations_size(), request.violations);
    }
    if (!result.status.ok()) return;
    EXPECT_EQ(result.metadata.ranks(), kRanks);
    EXPECT_EQ(result.metadata.attempts(), 1);
    const auto [undisturbed, is_first] =
        undisturbed_.emplace(request.request.SerializeAsString(), result.pngs);
    EXPECT_TRUE(undisturbed->second == result.pngs) << "other bytes";
  }

  void Answer(const MockRequest& request) { CheckAnswer(request, Call(request)); }

  // One at a time.
  void MakeUndisturbed() {
    for (const v1::GenerateImageRequest& picture : testing::PictureRequests()) {
      Answer({.name = "undisturbed", .request = picture});
    }
  }

  void RunClients(const std::vector<MockRequest>& requests) {
    std::atomic<size_t> next = 0;
    std::vector<std::jthread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&] {
        for (size_t mine = next++; mine < requests.size(); mine = next++) Answer(requests[mine]);
      });
    }
  }

  void OverflowTheQueue();

  const testing::ServiceProcess service_{
      kRanks,
      {"--max-queue-length", absl::StrCat(testing::kMaxQueueLength), "--max-unary-reply-bytes",
       absl::StrCat(testing::kMaxUnaryReplyBytes)}};

  Mutex mutex_;
  v1::JobTallies clients_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<std::string>> undisturbed_ ABSL_GUARDED_BY(mutex_);
};

// kOverflowing requests: behind one that does not end, as many as may wait; two more find no place.
// One of those that wait leaves, and the one that comes in its place expires. Then the first gives
// way to the others.
void MockClientsTest::OverflowTheQueue() {
  const std::vector<MockRequest> waiting = testing::WaitingRequests();
  ImageCall held(service_, testing::EndlessRequest());
  held.Await(StepReached(1));
  std::vector<std::unique_ptr<ImageCall>> calls;
  for (const MockRequest& request : waiting) {
    calls.push_back(std::make_unique<ImageCall>(service_, request.request));
    calls.back()->Await(WaitsAtPosition(static_cast<int>(calls.size())));
  }
  MockRequest refused = {.name = "finds no place",
                         .request = testing::EndlessRequest(),
                         .code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                         .reason = "QUEUE_FULL"};
  for (const Reply reply : {Reply::kUnary, Reply::kStream}) {
    refused.reply = reply;
    const CallResult result = Call(refused);
    CheckAnswer(refused, result);
    EXPECT_TRUE(testing::HasRetryInfo(result.status));
  }
  const size_t leaver = testing::kLeavingPosition - 1;
  calls[leaver]->Cancel();
  calls[leaver + 1]->Await(WaitsAtPosition(testing::kLeavingPosition));
  Answer({.name = "expires in the queue",
          .request = testing::EndlessRequest(),
          .deadline = std::chrono::seconds(1),
          .code = grpc::StatusCode::DEADLINE_EXCEEDED});
  held.Cancel();
  CheckAnswer({.name = "holds the group", .code = grpc::StatusCode::CANCELLED}, held.Wait());
  for (size_t i = 0; i < calls.size(); ++i) CheckAnswer(waiting[i], calls[i]->Wait());
}

TEST_F(MockClientsTest, AreEachAnsweredOnceAndAllCountTheSame) {
  MakeUndisturbed();
  const std::vector<MockRequest> mixed = testing::MixedRequests();
  ASSERT_EQ(mixed.size(), static_cast<size_t>(kMixed - kOverflowing));
  RunClients(mixed);
  OverflowTheQueue();

  const v1::GetServerInfoResponse info =
      service_.AwaitInfo("the end of all jobs", testing::AllSettled);
  MutexLock lock(mutex_);
  const auto undisturbed = static_cast<int64_t>(testing::PictureRequests().size());
  EXPECT_EQ(clients_.admitted() + clients_.refused(), undisturbed + kMixed);
  testing::ExpectEqualTallies(clients_, info);
  std::printf("%d mixed requests after %d undisturbed ones\n", kMixed,
              static_cast<int>(undisturbed));
  testing::PrintTallies(clients_, info);
}

}  // namespace
}  // namespace tessera
