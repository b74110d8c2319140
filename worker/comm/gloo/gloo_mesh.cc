#include "worker/comm/gloo/gloo_mesh.h"

// The one file that sees Gloo's own headers. They are another version's than the Gloo inside
// libtorch, so that nothing of Gloo is constructed or called here: c10d does.
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/base/exception_status.h"
#include "worker/comm/gloo/group_store.h"

namespace tessera {

class GlooDevice {
 public:
  explicit GlooDevice(std::shared_ptr<gloo::transport::Device> device)
      : device_(std::move(device)) {}
  const std::shared_ptr<gloo::transport::Device>& get() const { return device_; }

 private:
  std::shared_ptr<gloo::transport::Device> device_;
};

absl::StatusOr<std::shared_ptr<GlooDevice>> MakeGlooDevice(const std::string& interface_address) {
  try {
    return std::make_shared<GlooDevice>(
        c10d::ProcessGroupGloo::createDeviceForHostname(interface_address));
  } catch (...) {
    return absl::UnavailableError(absl::StrCat("interface address '", interface_address,
                                               "': ", MessageFromCurrentException()));
  }
}

GlooTransfer::GlooTransfer(int peer, c10::intrusive_ptr<c10d::Work> work)
    : peer_(peer), work_(std::move(work)) {}

GlooTransfer::Outcome GlooTransfer::Wait(Deadline deadline) {
  if (done_) return Outcome::kDone;
  if (!work_) return Outcome::kClosed;
  try {
    done_ = work_->wait(TimeLeft(deadline));
    return done_ ? Outcome::kDone : Outcome::kAborted;
  } catch (const std::exception&) {
    return std::chrono::steady_clock::now() < deadline ? Outcome::kClosed : Outcome::kLate;
  }
}

void GlooTransfer::Abort() {
  if (work_) work_->abort();
}

struct GlooMesh::Group {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

GlooMesh::GlooMesh(std::unique_ptr<Group> group) : group_(std::move(group)) {}

GlooMesh::~GlooMesh() = default;

absl::StatusOr<std::unique_ptr<GlooMesh>> GlooMesh::Connect(
    const GroupStore& store, const std::string& name, const std::shared_ptr<GlooDevice>& device,
    int rank, int size, double timeout_s) {
  auto options = c10d::ProcessGroupGloo::Options::create(TimeLeft(DeadlineIn(timeout_s)));
  options->devices.push_back(device->get());
  options->threads = 0;  // sends and receives are the device thread's
  try {
    auto prefixed = c10::make_intrusive<c10d::PrefixStore>(
        name, c10::intrusive_ptr<c10d::Store>::reclaim_copy(&store.store()));
    auto group = std::make_unique<Group>(Group{
        c10::make_intrusive<c10d::ProcessGroupGloo>(prefixed, rank, size, std::move(options))});
    return std::unique_ptr<GlooMesh>(new GlooMesh(std::move(group)));
  } catch (...) {
    return absl::UnavailableError(
        absl::StrCat("connecting '", name, "': ", MessageFromCurrentException()));
  }
}

GlooTransfer GlooMesh::Send(const at::Tensor& tensor, int peer, int tag) {
  std::vector<at::Tensor> tensors = {tensor};
  try {
    return GlooTransfer(peer, group_->gloo->send(tensors, peer, tag));
  } catch (const std::exception&) {
    return GlooTransfer(peer, nullptr);
  }
}

GlooTransfer GlooMesh::Receive(const at::Tensor& tensor, int peer, int tag) {
  std::vector<at::Tensor> tensors = {tensor};
  try {
    return GlooTransfer(peer, group_->gloo->recv(tensors, peer, tag));
  } catch (const std::exception&) {
    return GlooTransfer(peer, nullptr);
  }
}

}  // namespace tessera
