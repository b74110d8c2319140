// What a call takes besides the engine: a client's time from call to picture, minus the seconds per
// stage that the reply tells; and what a group takes besides the engine from one job to the next
// while others wait. Prints medians over warm requests; judges nothing.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/image_call.h"
#include "tests/support/service_process.h"

namespace tessera {
namespace {

using testing::CallResult;
using testing::ImageCall;
using testing::ServiceProcess;

constexpr int kRanks = 2;
constexpr int kWarmUp = 3;
constexpr int kMeasured = 31;
constexpr int kWaiting = 24;  // calls at once; the queue takes 32

enum class Method { kUnary, kStream };

// Milliseconds.
struct Sample {
  double call = 0;
  double engine = 0;
  double overhead = 0;   // call - engine
  double in_server = 0;  // of the overhead: from admission to the reply, workers and links included
};

v1::GenerateImageRequest Request(int size) {
  v1::GenerateImageRequest request;
  request.set_prompt("a lighthouse");
  request.set_width(size);
  request.set_height(size);
  request.set_num_inference_steps(4);
  request.set_seed(1);
  request.set_max_sequence_length(64);
  return request;
}

void DieUnless(const grpc::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "server_overhead: %s\n", status.error_message().c_str());
  std::exit(EXIT_FAILURE);
}

// Of what the ranks do, without the PNG.
double EngineMs(const v1::StageSeconds& seconds) {
  return 1000 * (seconds.text_encode() + seconds.denoise() + seconds.vae_decode());
}

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

Sample Measure(const ServiceProcess& service, const v1::GenerateImageRequest& request,
               Method method) {
  const auto start = std::chrono::steady_clock::now();
  const CallResult result = method == Method::kUnary ? GenerateUnary(service, request)
                                                     : ImageCall(service, request).Wait();
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  DieUnless(result.status);
  const v1::StageSeconds& seconds = result.metadata.stage_seconds();
  const double engine_ms = EngineMs(seconds) + 1000 * seconds.png();
  return {.call = taken.count(),
          .engine = engine_ms,
          .overhead = taken.count() - engine_ms,
          .in_server = 1000 * seconds.total() - engine_ms};
}

double Quantile(const std::vector<Sample>& samples, double Sample::*member, double share) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.*member);
  return Quantile(std::move(values), share);
}

void Report(const ServiceProcess& service, int size, Method method) {
  const v1::GenerateImageRequest request = Request(size);
  for (int i = 0; i < kWarmUp; ++i) Measure(service, request, method);
  std::vector<Sample> samples;
  for (int i = 0; i < kMeasured; ++i) samples.push_back(Measure(service, request, method));
  std::printf("%4d x %-4d  %-6s  %8.1f  %8.1f  %8.2f  %8.2f  %8.2f\n", size, size,
              method == Method::kUnary ? "unary" : "stream", Quantile(samples, &Sample::call, 0.5),
              Quantile(samples, &Sample::engine, 0.5), Quantile(samples, &Sample::overhead, 0.5),
              Quantile(samples, &Sample::overhead, 0.9),
              Quantile(samples, &Sample::in_server, 0.5));
  std::fflush(stdout);
}

// From the start of one job to the start of the next, while others wait.
void ReportQueue(const ServiceProcess& service, int size) {
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> starts(kWaiting);
  std::vector<std::unique_ptr<ImageCall>> calls;
  for (int i = 0; i < kWaiting; ++i) {
    calls.push_back(std::make_unique<ImageCall>(
        service, Request(size), [&start = starts[i]](ImageCall&, const ImageCall::Event& event) {
          if (event.has_attempt_started()) start = Clock::now();
        }));
  }
  std::vector<double> engine_ms, png_ms, gaps_ms;
  for (const auto& call : calls) {
    const CallResult result = call->Wait();
    DieUnless(result.status);
    engine_ms.push_back(EngineMs(result.metadata.stage_seconds()));
    png_ms.push_back(1000 * result.metadata.stage_seconds().png());
  }
  std::sort(starts.begin(), starts.end());
  for (int i = 1; i < kWaiting; ++i) {
    gaps_ms.push_back(std::chrono::duration<double, std::milli>(starts[i] - starts[i - 1]).count());
  }
  const double gap = Quantile(gaps_ms, 0.5), engine = Quantile(engine_ms, 0.5);
  std::printf("%4d x %-4d  %10.1f  %8.1f  %8.2f  %8.1f\n", size, size, gap, engine, gap - engine,
              Quantile(png_ms, 0.5));
  std::fflush(stdout);
}

void Run() {
  const ServiceProcess service(kRanks, {"--log-level", "warning"});
  std::printf("%d ranks, medians of %d warm requests, in ms\n", kRanks, kMeasured);
  std::printf("picture      call        call    engine  overhead   9 in 10  in server\n");
  for (const int size : {64, 256, 512}) {
    Report(service, size, Method::kUnary);
    Report(service, size, Method::kStream);
  }
  std::printf("%d calls at once: from one job to the next, and their PNGs beside it\n", kWaiting);
  std::printf("picture      job to job    engine  overhead       png\n");
  for (const int size : {64, 256, 512}) ReportQueue(service, size);
}

}  // namespace
}  // namespace tessera

int main() { tessera::Run(); }
