#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "common/base/termination_set.h"
#include "common/supervisor/parent_watch.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"
#include "spdlog/stopwatch.h"
#include "worker/base/exception_status.h"
#include "worker/link/device_parent.h"
#include "worker/link/worker_flags.h"
#include "worker/link/worker_link.h"
#include "worker/pipeline/engine.h"

namespace tessera {
namespace {

void StartLog(const WorkerFlags& flags) {
  spdlog::set_default_logger(spdlog::stderr_color_mt(flags.name));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z level=%l worker=%n %v");
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
}

sigset_t BlockTerminationSignals() {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t termination = TerminationSet();
  pthread_sigmask(SIG_BLOCK, &termination, nullptr);
  return termination;
}

// At once: the engine may be in a computation that nothing interrupts. Closed connections tell
// server and peers.
[[noreturn]] void End(int exit_code, const char* why) {
  spdlog::info("event=ended why=\"{}\"", why);
  std::fflush(nullptr);
  std::_Exit(exit_code);
}

[[noreturn]] void Fail(const absl::Status& status) {
  spdlog::critical("event=failed why=\"{}\"", status.ToString());
  End(1, "failed");
}

TextEncoderPlace ToPlace(const std::string& name) {
  if (name == "rank0") return TextEncoderPlace::kRank0;
  return name == "cpu" ? TextEncoderPlace::kCpu : TextEncoderPlace::kEveryRank;
}

void LogLoading(const LoadProgress& progress) {
  constexpr double kMiB = 1 << 20;
  const double done = static_cast<double>(progress.done_bytes);
  const double total = static_cast<double>(std::max<int64_t>(1, progress.total_bytes));
  spdlog::info(
      "event=loading part={} percent={:.0f} done_mib={:.0f} total_mib={:.0f} elapsed_s={:.1f}",
      progress.part, 100 * done / total, done / kMiB, total / kMiB, progress.elapsed_s);
}

std::unique_ptr<Engine> LoadOrFail(const WorkerFlags& flags) {
  spdlog::info("event=loading model={} device={} version={}", flags.model, flags.device,
               TESSERA_VERSION);
  const spdlog::stopwatch stopwatch;
  absl::StatusOr<std::unique_ptr<Engine>> engine = CatchExceptions([&] {
    return LoadEngine(
        {.model_dir = flags.model,
         .device = flags.device,
         .dtype = flags.dtype,
         .threads = flags.threads,
         .weight_cache_dir = flags.weight_cache,
         .text_encoder = ToPlace(flags.text_encoder),
         .kernels = KernelsOf(flags.cuda_path == "tuned" ? CudaPath::kTuned : CudaPath::kAten),
         .job_memory_bytes = int64_t{flags.job_memory_mb} << 20,
         .on_load_progress = LogLoading},
        flags.collectives == "nccl" ? Collectives::kNccl : Collectives::kGloo);
  });
  if (!engine.ok()) Fail(engine.status());
  spdlog::info(
      "event=loaded model={} fingerprint={} dtype={} threads={} kind=\"{}\" job_memory_mib={} "
      "load_s={:.1f}",
      (*engine)->model().name, (*engine)->model().fingerprint, (*engine)->dtype(),
      (*engine)->threads(), (*engine)->device_kind(), (*engine)->job_memory().available >> 20,
      stopwatch);
  return *std::move(engine);
}

[[noreturn]] void RunWorker(const WorkerFlags& flags, const sigset_t& termination) {
  const std::thread signals([&] {
    int received = 0;
    sigwait(&termination, &received);
    End(0, "signal");
  });
  const auto parent = ParentWatch::ForThisProcess([] { End(1, "the parent process has ended"); });
  WorkerLink link({.server = flags.server,
                   .token = flags.token,
                   .name = flags.name,
                   .device = flags.device,
                   .text_encoder = flags.text_encoder,
                   .advertised_address = flags.advertise,
                   .supervised_index = flags.supervised_index},
                  LoadOrFail(flags));
  const absl::Status status = link.Run(std::stop_token());
  if (!status.ok()) Fail(status);
  End(0, "the server asked for it");
}

int Main(int argc, const char* const* argv) {
  const absl::StatusOr<WorkerFlags> flags = ParseWorkerFlags(argc, argv);
  if (!flags.ok()) {
    std::fprintf(stderr, "tessera-worker: %s\n", std::string(flags.status().message()).c_str());
    return 2;
  }
  StartLog(*flags);
  // c10d warns, with stack traces, of what the link reports in a line.
  setenv("TORCH_CPP_LOG_LEVEL", "ERROR", /*overwrite=*/0);
  const sigset_t termination = BlockTerminationSignals();
  if (flags->devices.empty()) RunWorker(*flags, termination);
  const absl::Status status = RunDeviceParent(*flags);
  if (!status.ok()) Fail(status);
  return 0;
}

}  // namespace
}  // namespace tessera

int main(int argc, char** argv) { return tessera::Main(argc, argv); }
