#include "tests/integration/mock_clients/tallies.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <set>
#include <string>

#include "tests/support/service_process.h"
#include "tests/support/status_details.h"

namespace tessera::testing {
namespace {

int64_t Sum(const v1::AttemptTallies& attempts) {
  return attempts.succeeded() + attempts.stopped() + attempts.failed();
}

int64_t Ended(const v1::JobTallies& jobs) {
  return jobs.succeeded() + jobs.failed() + jobs.cancelled() + jobs.expired();
}

bool IsRefusal(const grpc::Status& status) {
  static const std::set<std::string> reasons = {"INVALID_REQUEST", "QUEUE_FULL", "REPLY_TOO_LARGE",
                                                "DEADLINE_CANNOT_BE_MET"};
  return reasons.count(ReasonOf(status)) > 0;
}

void PrintRow(const char* name, int64_t clients, int64_t server) {
  std::printf("%-10s %8lld %8lld\n", name, static_cast<long long>(clients),
              static_cast<long long>(server));
}

}  // namespace

void CountAnswer(const grpc::Status& status, v1::JobTallies& tallies) {
  if (IsRefusal(status)) {
    tallies.set_refused(tallies.refused() + 1);
    return;
  }
  tallies.set_admitted(tallies.admitted() + 1);
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return tallies.set_succeeded(tallies.succeeded() + 1);
    case grpc::StatusCode::CANCELLED:
      return tallies.set_cancelled(tallies.cancelled() + 1);
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return tallies.set_expired(tallies.expired() + 1);
    default:
      return tallies.set_failed(tallies.failed() + 1);
  }
}

bool AllSettled(const v1::GetServerInfoResponse& info) {
  if (Ended(info.jobs()) != info.jobs().admitted()) return false;
  for (const v1::WorkerDescription& worker : GroupOf(info).workers()) {
    if (Sum(worker.attempts()) != info.jobs().attempts()) return false;
  }
  return true;
}

void ExpectEqualTallies(const v1::JobTallies& clients, const v1::GetServerInfoResponse& info) {
  const v1::JobTallies& server = info.jobs();
  EXPECT_EQ(server.admitted(), clients.admitted());
  EXPECT_EQ(server.refused(), clients.refused());
  EXPECT_EQ(server.succeeded(), clients.succeeded());
  EXPECT_EQ(server.cancelled(), clients.cancelled());
  EXPECT_EQ(server.expired(), clients.expired());
  EXPECT_EQ(server.failed(), 0);
  EXPECT_EQ(clients.failed(), 0);
  for (const v1::WorkerDescription& worker : GroupOf(info).workers()) {
    SCOPED_TRACE(worker.name());
    EXPECT_EQ(Sum(worker.attempts()), server.attempts());
    EXPECT_EQ(worker.attempts().succeeded(), server.succeeded());
    EXPECT_EQ(worker.attempts().failed(), 0);
  }
}

void PrintTallies(const v1::JobTallies& clients, const v1::GetServerInfoResponse& info) {
  const v1::JobTallies& server = info.jobs();
  std::printf("requests    clients   server\n");
  PrintRow("admitted", clients.admitted(), server.admitted());
  PrintRow("refused", clients.refused(), server.refused());
  PrintRow("succeeded", clients.succeeded(), server.succeeded());
  PrintRow("cancelled", clients.cancelled(), server.cancelled());
  PrintRow("expired", clients.expired(), server.expired());
  PrintRow("failed", clients.failed(), server.failed());
  std::printf("attempts    workers   server\n");
  for (const v1::WorkerDescription& worker : GroupOf(info).workers()) {
    PrintRow(worker.name().c_str(), Sum(worker.attempts()), server.attempts());
  }
}

}  // namespace tessera::testing
