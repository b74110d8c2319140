#include <mutex>
#include <optional>
#include <stop_token>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/comm/gloo/gloo_communicator.h"
#include "worker/comm/gloo/group_store.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/comm/single_communicator.h"
#include "worker/kernels/cuda/cuda_library.h"
#include "worker/pipeline/compute_device.h"
#include "worker/pipeline/engine.h"
#include "worker/pipeline/flux_pipeline.h"
#include "worker/pipeline/process_memory.h"

namespace tessera {
namespace {

struct Nccl {
  NcclLibrary library;
  at::Device device;
  std::string gpu;  // see NcclOptions
};

absl::StatusOr<std::optional<Nccl>> OpenNcclFor(Collectives collectives,
                                                const std::string& device) {
  if (collectives == Collectives::kGloo) return std::nullopt;
  TESSERA_ASSIGN_OR_RETURN(const ComputeDevice resolved,
                           ResolveComputeDevice(device, /*dtype=*/"", /*threads=*/1));
  if (resolved.device.is_cpu()) {
    return absl::InvalidArgumentError(
        absl::StrCat("collectives nccl: expected device cuda or cuda:K, found \"", device, "\""));
  }
  TESSERA_ASSIGN_OR_RETURN(NcclLibrary library, OpenNccl());
  TESSERA_ASSIGN_OR_RETURN(std::string gpu, CudaDeviceLocation(resolved.device.index()));
  return Nccl{std::move(library), resolved.device, std::move(gpu)};
}

bool IsTuned(const PipelineOptions& options) { return options.kernels != KernelChoice(); }

absl::Status CheckKernels(const PipelineOptions& options) {
  if (IsTuned(options) && options.device == "cpu") {
    return absl::InvalidArgumentError(
        "CUDA path tuned: expected device cuda or cuda:K, found \"cpu\"");
  }
  if (IsTuned(options) && !CudaKernelsBuilt()) {
    return absl::InvalidArgumentError("CUDA path tuned: this build has no CUDA kernels");
  }
  return absl::OkStatus();
}

class FluxEngine : public Engine {
 public:
  // Without `nccl` ranks exchange tensors by Gloo.
  FluxEngine(std::unique_ptr<FluxPipeline> pipeline, std::string device_kind,
             std::optional<Nccl> nccl)
      : pipeline_(std::move(pipeline)),
        device_kind_(std::move(device_kind)),
        nccl_(std::move(nccl)) {}

  const ModelInfo& model() const override { return pipeline_->model(); }
  const std::string& dtype() const override { return pipeline_->dtype(); }
  int threads() const override { return pipeline_->threads(); }
  const std::string& device_kind() const override { return device_kind_; }
  const JobMemory& job_memory() const override { return pipeline_->job_memory(); }

  absl::StatusOr<int> HostStore(int64_t epoch, const std::string& bind_address) override {
    LeaveGroup();
    TESSERA_ASSIGN_OR_RETURN(store_, GroupStore::Host(bind_address));
    store_epoch_ = epoch;
    return store_->port();
  }

  absl::Status JoinGroup(const GroupOptions& options) override {
    SetCommunicator(nullptr);
    if (store_epoch_ != options.epoch) store_ = nullptr;
    if (options.size == 1) {
      SetCommunicator(std::make_unique<SingleCommunicator>());
      return absl::OkStatus();
    }
    const GlooOptions gloo = {.epoch = options.epoch,
                              .rank = options.rank,
                              .size = options.size,
                              .store_host = options.store_host,
                              .store_port = options.store_port,
                              .interface_address = options.interface_address,
                              .join_timeout_s = options.join_timeout_s,
                              .cancel = BeginJoining()};
    auto joined = Join(gloo);
    const std::lock_guard lock(mutex_);
    joining_.reset();
    if (!abort_reason_.ok()) return abort_reason_;
    if (!joined.ok()) return joined.status();
    communicator_ = *std::move(joined);
    return absl::OkStatus();
  }

  void LeaveGroup() override {
    SetCommunicator(nullptr);
    store_ = nullptr;
  }

  absl::StatusOr<ImageResult> Generate(const ImageRequest& request, const JobHooks& hooks,
                                       double collective_timeout_s) override {
    if (communicator_ == nullptr) return absl::FailedPreconditionError("this rank is in no group");
    communicator_->SetTimeout(collective_timeout_s);
    return pipeline_->Generate(request, *communicator_, hooks);
  }

  void Abort(const absl::Status& reason) override {
    const std::lock_guard lock(mutex_);
    if (communicator_ != nullptr) communicator_->Abort(reason);
    if (!joining_.has_value() || joining_->stop_requested()) return;
    abort_reason_ = reason;
    joining_->request_stop();
  }

 private:
  void SetCommunicator(std::unique_ptr<Communicator> next) {
    const std::lock_guard lock(mutex_);
    communicator_ = std::move(next);
  }

  absl::StatusOr<std::unique_ptr<Communicator>> Join(const GlooOptions& options) {
    if (!nccl_.has_value()) return GlooCommunicator::Join(options, store_.get());
    return NcclCommunicator::Join({.control = options, .device = nccl_->device, .gpu = nccl_->gpu},
                                  store_.get(), nccl_->library);
  }

  std::stop_token BeginJoining() {
    const std::lock_guard lock(mutex_);
    abort_reason_ = absl::OkStatus();
    return joining_.emplace().get_token();
  }

  const std::unique_ptr<FluxPipeline> pipeline_;
  const std::string device_kind_;
  const std::optional<Nccl> nccl_;
  std::unique_ptr<GroupStore> store_;
  int64_t store_epoch_ = -1;
  // Lets Abort, from another thread, find what follows; only the device thread replaces it.
  std::mutex mutex_;
  std::unique_ptr<Communicator> communicator_;
  std::optional<std::stop_source> joining_;  // while JoinGroup goes on
  absl::Status abort_reason_;                // why the latest JoinGroup had to end
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> LoadEngine(const PipelineOptions& options,
                                                   Collectives collectives) {
  KeepFreedMemory();
  TESSERA_ASSIGN_OR_RETURN(std::optional<Nccl> nccl, OpenNcclFor(collectives, options.device));
  TESSERA_RETURN_IF_ERROR(CheckKernels(options));
  TESSERA_ASSIGN_OR_RETURN(std::unique_ptr<FluxPipeline> pipeline, FluxPipeline::Load(options));
  const std::string kind =
      absl::StrCat(DeviceKind(options.device), IsTuned(options) ? " tuned" : "",
                   nccl.has_value() ? " with NCCL" : "");
  return std::make_unique<FluxEngine>(std::move(pipeline), kind, std::move(nccl));
}

}  // namespace tessera
