#pragma once

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/worker/link/blocking_queue.h"
#include "worker/pipeline/engine.h"

namespace tessera {

// What a FakeEngine does and what was asked of it; outlives it.
struct EngineScript {
  using Generate = std::function<absl::StatusOr<ImageResult>(const ImageRequest&, const JobHooks&)>;

  std::function<absl::StatusOr<int>()> host_store = [] { return 4711; };
  std::function<absl::Status(const GroupOptions&)> join_group = [](const GroupOptions&) {
    return absl::OkStatus();
  };
  Generate generate = [](const ImageRequest&, const JobHooks&) { return ImageResult(); };

  BlockingQueue<std::string> calls;  // in order, Abort left out
  BlockingQueue<absl::Status> aborts;
  ModelInfo model = {
      .name = "tiny", .fingerprint = "0123456789abcdef", .defaults = {}, .limits = {}};
  JobMemory job_memory = {.costs = {}, .available = 1 << 20};
};

// Does what its script says on the calling thread.
class FakeEngine : public Engine {
 public:
  explicit FakeEngine(EngineScript& script) : script_(script) {}

  const ModelInfo& model() const override { return script_.model; }
  const std::string& dtype() const override { return dtype_; }
  int threads() const override { return 3; }
  const std::string& device_kind() const override { return device_kind_; }
  const JobMemory& job_memory() const override { return script_.job_memory; }

  absl::StatusOr<int> HostStore(int64_t epoch, const std::string& bind_address) override {
    script_.calls.Add(absl::StrCat("HostStore ", epoch, " ", bind_address));
    return script_.host_store();
  }
  absl::Status JoinGroup(const GroupOptions& options) override {
    script_.calls.Add(absl::StrCat("JoinGroup ", options.epoch));
    return script_.join_group(options);
  }
  void LeaveGroup() override { script_.calls.Add("LeaveGroup"); }
  absl::StatusOr<ImageResult> Generate(const ImageRequest& request, const JobHooks& hooks,
                                       double collective_timeout_s) override {
    script_.calls.Add(absl::StrCat("Generate ", request.prompt, " ", collective_timeout_s));
    return script_.generate(request, hooks);
  }
  void Abort(const absl::Status& reason) override { script_.aborts.Add(reason); }

 private:
  EngineScript& script_;
  const std::string dtype_ = "float32";
  const std::string device_kind_ = "cpu";
};

}  // namespace tessera
