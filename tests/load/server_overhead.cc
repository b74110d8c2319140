// What a call takes besides the engine: a client's time from call to picture, minus the seconds per
// stage that the reply tells. Prints medians over warm requests, one at a time; judges nothing.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
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

Sample Measure(const ServiceProcess& service, const v1::GenerateImageRequest& request,
               Method method) {
  const auto start = std::chrono::steady_clock::now();
  const CallResult result = method == Method::kUnary ? GenerateUnary(service, request)
                                                     : ImageCall(service, request).Wait();
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  if (!result.status.ok()) {
    std::fprintf(stderr, "server_overhead: %s\n", result.status.error_message().c_str());
    std::exit(EXIT_FAILURE);
  }
  const v1::StageSeconds& seconds = result.metadata.stage_seconds();
  const double engine_ms =
      1000 * (seconds.text_encode() + seconds.denoise() + seconds.vae_decode() + seconds.png());
  return {.call = taken.count(),
          .engine = engine_ms,
          .overhead = taken.count() - engine_ms,
          .in_server = 1000 * seconds.total() - engine_ms};
}

double Quantile(const std::vector<Sample>& samples, double Sample::*member, double share) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.*member);
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
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

void Run() {
  const ServiceProcess service(kRanks, {"--log-level", "warning"});
  std::printf("%d ranks, medians of %d warm requests, in ms\n", kRanks, kMeasured);
  std::printf("picture      call        call    engine  overhead   9 in 10  in server\n");
  for (const int size : {64, 256, 512}) {
    Report(service, size, Method::kUnary);
    Report(service, size, Method::kStream);
  }
}

}  // namespace
}  // namespace tessera

int main() { tessera::Run(); }
