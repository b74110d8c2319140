// Clients of all manners against a real server and three real workers: each request is answered
// once and rightly, and in the end clients, server and workers have counted the same.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "tests/integration/mock_clients/mock_requests.h"
#include "tests/integration/mock_clients/tallies.h"
#include "tests/support/image_call.h"
#include "tests/support/service_process.h"
#include "tests/support/status_details.h"
#include "worker/base/mutex.h"

namespace tessera {
namespace {

using testing::CallResult;
using testing::ImageCall;
using testing::MockRequest;
using testing::OnceAt;
using testing::Reply;
using testing::StepReached;

constexpr int kRanks = 3;
constexpr int kClients = 4;

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

// 11 requests: behind one that does not end, as many as may wait, of which one is cancelled and one
// expires; two more find no place. Then the first gives way to the others.
void MockClientsTest::OverflowTheQueue() {
  MockRequest holder = {.name = "holds the group",
                        .request = testing::EndlessRequest(),
                        .code = grpc::StatusCode::CANCELLED};
  std::vector<MockRequest> waiting;
  for (const v1::GenerateImageRequest& picture : testing::PictureRequests()) {
    if (waiting.size() + 2 == testing::kMaxQueueLength) break;
    waiting.push_back({.name = "waits", .request = picture});
  }
  waiting.push_back({.name = "cancelled in the queue",
                     .request = testing::EndlessRequest(),
                     .code = grpc::StatusCode::CANCELLED});
  waiting.push_back({.name = "expires in the queue",
                     .request = testing::EndlessRequest(),
                     .deadline = std::chrono::seconds(2),
                     .code = grpc::StatusCode::DEADLINE_EXCEEDED});

  ImageCall held(service_, holder.request);
  held.Await(StepReached(1));
  std::vector<std::unique_ptr<ImageCall>> calls;
  for (const MockRequest& request : waiting) {
    calls.push_back(
        std::make_unique<ImageCall>(service_, request.request, nullptr, request.deadline));
    calls.back()->Await(testing::WaitsAtPosition(static_cast<int>(calls.size())));
  }
  for (const Reply reply : {Reply::kUnary, Reply::kStream}) {
    const MockRequest refused = {.name = "finds no place",
                                 .request = testing::PictureRequests().front(),
                                 .reply = reply,
                                 .code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                                 .reason = "QUEUE_FULL"};
    const CallResult result = Call(refused);
    CheckAnswer(refused, result);
    EXPECT_TRUE(testing::HasRetryInfo(result.status));
  }
  calls[calls.size() - 2]->Cancel();
  calls.back()->Wait();
  held.Cancel();
  CheckAnswer(holder, held.Wait());
  for (size_t i = 0; i < calls.size(); ++i) CheckAnswer(waiting[i], calls[i]->Wait());
}

TEST_F(MockClientsTest, AreEachAnsweredOnceAndAllCountTheSame) {
  MakeUndisturbed();
  const std::vector<MockRequest> mixed = testing::MixedRequests();
  ASSERT_EQ(mixed.size(), 39u);
  RunClients(mixed);
  OverflowTheQueue();

  const v1::GetServerInfoResponse info =
      service_.AwaitInfo("the end of all jobs", testing::AllSettled);
  MutexLock lock(mutex_);
  EXPECT_EQ(clients_.admitted() + clients_.refused(),
            static_cast<int64_t>(mixed.size() + 11 + testing::PictureRequests().size()));
  testing::ExpectEqualTallies(clients_, info);
  testing::PrintTallies(clients_, info);
}

}  // namespace
}  // namespace tessera
