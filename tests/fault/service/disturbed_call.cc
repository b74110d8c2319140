#include "tests/fault/service/disturbed_call.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tessera::testing {
namespace {

using std::chrono::steady_clock;

std::string InSeconds(double seconds) {
  return seconds < 0 ? "" : absl::StrFormat("%.2f", seconds);
}

std::string OutcomeOf(const Disturbed& seen, const std::vector<std::string>& undisturbed) {
  if (!seen.result.status.ok()) return seen.result.status.error_message();
  const bool same = seen.result.pngs == undisturbed;
  return absl::StrCat(same ? "the same bytes" : "OTHER BYTES", ", attempt ",
                      seen.result.metadata.attempts());
}

}  // namespace

bool WholeFaultSuite() {
  const char* asked = std::getenv("TESSERA_FAULTS");
  return asked != nullptr && std::string_view(asked) == "all";
}

v1::GenerateImageRequest LongJob(int steps) {
  v1::GenerateImageRequest request;
  request.set_prompt("a red fox");
  request.set_width(512);
  request.set_height(512);
  request.set_num_inference_steps(steps);
  request.set_seed(7);
  request.set_max_sequence_length(50);
  return request;
}

std::vector<std::string> UndisturbedPngs(const ServiceProcess& service,
                                         const v1::GenerateImageRequest& request) {
  ImageCall call(service, request);
  const CallResult& result = call.Wait();
  EXPECT_TRUE(result.status.ok()) << result.status.error_message();
  EXPECT_EQ(result.metadata.attempts(), 1);
  return result.pngs;
}

std::set<int64_t> WorkerPids(const ServiceProcess& service) {
  std::set<int64_t> pids;
  const v1::GetServerInfoResponse info = service.Info();
  for (const auto& worker : GroupOf(info).workers()) pids.insert(worker.pid());
  return pids;
}

Disturbed Disturb(const ServiceProcess& service, const v1::GenerateImageRequest& request,
                  const ImageCall::Matcher& when, const std::function<void()>& fault) {
  Disturbed seen;
  std::optional<steady_clock::time_point> struck;
  int attempt = 0;
  const auto since = [&] {
    return std::chrono::duration<double>(steady_clock::now() - *struck).count();
  };
  const auto observe = [&](ImageCall&, const ImageCall::Event& event) {
    if (event.has_attempt_started()) attempt = event.attempt_started().attempt();
    if (!struck.has_value()) {
      if (event.has_step_done()) seen.steps_done = event.step_done().step();
      if (!when(event)) return;
      struck = steady_clock::now();
      seen.mid_job = attempt > 0;
      fault();
    } else if (event.has_queued() && seen.detected_s < 0) {
      seen.detected_s = since();
    } else if (event.has_step_done() && attempt > 1 && seen.next_step_s < 0) {
      seen.next_step_s = since();
    }
  };
  ImageCall call(service, request, observe);
  seen.result = call.Wait();
  return seen;
}

void Report(const std::string& fault, const Disturbed& seen, const std::string& outcome) {
  const std::string row = absl::StrCat(
      "| ", fault, " | ", seen.steps_done, " | ", seen.mid_job ? "yes" : "no", " | ",
      InSeconds(seen.detected_s), " | ", InSeconds(seen.next_step_s), " | ", outcome, " |\n");
  std::fputs(row.c_str(), stdout);
  if (const char* path = std::getenv("TESSERA_FAULT_REPORT")) {
    std::ofstream(path, std::ios::app) << row;
  }
}

void ExpectRecovered(const std::string& fault, const Disturbed& seen,
                     const std::vector<std::string>& undisturbed, int attempts) {
  Report(fault, seen, OutcomeOf(seen, undisturbed));
  EXPECT_TRUE(seen.result.status.ok()) << fault << ": " << seen.result.status.error_message();
  EXPECT_TRUE(seen.result.pngs == undisturbed) << fault << ": other bytes";
  EXPECT_EQ(seen.result.metadata.attempts(), attempts) << fault;
}

}  // namespace tessera::testing
