#include <mutex>

#include "absl/strings/str_cat.h"
#include "worker/base/status_macros.h"
#include "worker/parallel/gloo_communicator.h"
#include "worker/parallel/group_store.h"
#include "worker/parallel/single_communicator.h"
#include "worker/pipeline/compute_device.h"
#include "worker/pipeline/engine.h"
#include "worker/pipeline/process_memory.h"

namespace tessera {
namespace {

class LocalEngine : public Engine {
 public:
  LocalEngine(std::unique_ptr<Pipeline> pipeline, std::string device_kind)
      : pipeline_(std::move(pipeline)), device_kind_(std::move(device_kind)) {}

  const ModelInfo& model() const override { return pipeline_->model(); }
  const std::string& dtype() const override { return pipeline_->dtype(); }
  int threads() const override { return pipeline_->threads(); }
  const std::string& device_kind() const override { return device_kind_; }

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
                              .join_timeout_s = options.join_timeout_s};
    TESSERA_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> joined,
                             GlooCommunicator::Join(gloo, store_.get()));
    SetCommunicator(std::move(joined));
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
  }

 private:
  void SetCommunicator(std::unique_ptr<Communicator> next) {
    const std::lock_guard lock(mutex_);
    communicator_ = std::move(next);
  }

  const std::unique_ptr<Pipeline> pipeline_;
  const std::string device_kind_;
  std::unique_ptr<GroupStore> store_;
  int64_t store_epoch_ = -1;
  std::mutex mutex_;  // lets Abort find the communicator from another thread; only the device
                      // thread replaces it
  std::unique_ptr<Communicator> communicator_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> LoadEngine(const PipelineOptions& options) {
  KeepFreedMemory();
  TESSERA_ASSIGN_OR_RETURN(std::unique_ptr<Pipeline> pipeline, Pipeline::Load(options));
  return std::make_unique<LocalEngine>(std::move(pipeline), DeviceKind(options.device));
}

}  // namespace tessera
