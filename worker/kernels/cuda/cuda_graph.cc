#include "worker/kernels/cuda/cuda_graph.h"

#include <c10/core/Allocator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <utility>

namespace tessera::cuda {
namespace {

using c10::cuda::CUDACachingAllocator::CUDAAllocator;

void Check(const char* what, cudaError_t error) {
  cudaGetLastError();  // or the next to ask would take this one for its own
  TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

CUDAAllocator& Allocator() { return *static_cast<CUDAAllocator*>(c10::GetAllocator(c10::kCUDA)); }

cudaStream_t Native(const c10::Stream& stream) {
  return static_cast<cudaStream_t>(stream.native_handle());
}

// The name of a pool of device memory. Once no graph uses a pool, its name cannot be used again.
class PoolName {
 public:
  const c10::MempoolId_t id = {next_++, 0};

 private:
  // The allocator makes numbers of its own from 1 up.
  static inline std::atomic<uint64_t> next_ = uint64_t{1} << 63;
};

// A share in a pool: what is allocated on `stream` while the object is open comes from the pool,
// and the pool lives as long as any share.
class PoolShare {
 public:
  PoolShare(c10::Device device, std::shared_ptr<const PoolName> pool, cudaStream_t stream)
      : device_(device.index()), pool_(std::move(pool)) {
    Allocator().beginAllocateToPool(device_, pool_->id,
                                    [stream](cudaStream_t other) { return other == stream; });
  }
  PoolShare(const PoolShare&) = delete;
  PoolShare& operator=(const PoolShare&) = delete;
  ~PoolShare() {
    Close();
    Allocator().releasePool(device_, pool_->id);
  }

  void Close() {
    if (std::exchange(open_, false)) Allocator().endAllocateToPool(device_, pool_->id);
  }

 private:
  const c10::DeviceIndex device_;
  const std::shared_ptr<const PoolName> pool_;
  bool open_ = true;
};

struct DestroyGraph {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
};
using Graph = std::unique_ptr<CUgraph_st, DestroyGraph>;

// What the stream is given between construction and End.
class Capture {
 public:
  explicit Capture(cudaStream_t stream) : stream_(stream) {
    // Other threads go on allocating and copying meanwhile.
    Check("cudaStreamBeginCapture",
          cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() {
    if (!ended_) End();
  }

  std::pair<Graph, cudaError_t> End() {
    ended_ = true;
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream_, &graph);
    cudaGetLastError();
    return {Graph(graph), error};
  }

 private:
  const cudaStream_t stream_;
  bool ended_ = false;
};

class CudaGraph : public DeviceGraph {
 public:
  CudaGraph(c10::Device device, std::unique_ptr<PoolShare> pool, Graph graph)
      : device_(device), pool_(std::move(pool)) {
    Check("cudaGraphInstantiate", cudaGraphInstantiate(&ready_, graph.get(), /*flags=*/0));
  }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  ~CudaGraph() override {
    const c10::DeviceGuard guard(device_);
    cudaDeviceSynchronize();  // the pool's memory may go to others now
    cudaGraphExecDestroy(ready_);
  }

  void Replay() override {
    const c10::DeviceGuard guard(device_);
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
    Check("cudaGraphLaunch", cudaGraphLaunch(ready_, Native(stream)));
  }

 private:
  const c10::Device device_;
  const std::unique_ptr<PoolShare> pool_;
  cudaGraphExec_t ready_ = nullptr;
};

class CudaGraphRecorder : public GraphRecorder {
 public:
  explicit CudaGraphRecorder(c10::Device device)
      : device_(device),
        stream_(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)) {}

  std::unique_ptr<DeviceGraph> Record(const std::function<void()>& work) override {
    const c10::StreamGuard guard(stream_);
    std::shared_ptr<const PoolName> name = pool_.lock();
    if (name == nullptr) pool_ = name = std::make_shared<const PoolName>();
    auto pool = std::make_unique<PoolShare>(device_, std::move(name), Native(stream_));
    Capture capture(Native(stream_));
    work();
    auto [graph, error] = capture.End();
    Check("cudaStreamEndCapture", error);
    pool->Close();
    return std::make_unique<CudaGraph>(device_, std::move(pool), std::move(graph));
  }

 private:
  const c10::Device device_;
  const c10::Stream stream_;            // the legacy default stream cannot be captured
  std::weak_ptr<const PoolName> pool_;  // of the graphs that there are
};

}  // namespace

std::unique_ptr<GraphRecorder> MakeCudaGraphRecorder(c10::Device device) {
  return std::make_unique<CudaGraphRecorder>(device);
}

}  // namespace tessera::cuda
