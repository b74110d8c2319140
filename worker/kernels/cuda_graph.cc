#include <c10/core/Allocator.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <utility>

#include "worker/kernels/device_graph.h"
#include "worker/kernels/kernel_choice.h"

// As at::cuda::CUDAGraph, by what needs no link with LibTorch's CUDA half: the CUDA runtime, and
// the virtual functions of ATen's allocator.
namespace tessera {
namespace {

using c10::cuda::CUDACachingAllocator::CUDAAllocator;

void Check(const char* what, cudaError_t error) {
  TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

CUDAAllocator& Allocator() { return *static_cast<CUDAAllocator*>(c10::GetAllocator(c10::kCUDA)); }

cudaStream_t Native(const c10::Stream& stream) {
  return static_cast<cudaStream_t>(stream.native_handle());
}

// The allocator makes numbers of its own from 1 up.
c10::MempoolId_t NewPool() {
  constexpr uint64_t kFirst = uint64_t{1} << 63;
  static std::atomic<uint64_t> next = kFirst;  // over all recorders of the process
  return {next++, 0};
}

// A share in a pool of device memory: what is allocated on `stream` while the object is open comes
// from the pool, and the pool lives as long as any share.
class PoolShare {
 public:
  PoolShare(c10::Device device, c10::MempoolId_t pool, cudaStream_t stream)
      : device_(device.index()), pool_(pool) {
    Allocator().beginAllocateToPool(device_, pool_,
                                    [stream](cudaStream_t other) { return other == stream; });
  }
  PoolShare(const PoolShare&) = delete;
  PoolShare& operator=(const PoolShare&) = delete;
  ~PoolShare() {
    Close();
    Allocator().releasePool(device_, pool_);
  }

  void Close() {
    if (std::exchange(open_, false)) Allocator().endAllocateToPool(device_, pool_);
  }

 private:
  const c10::DeviceIndex device_;
  const c10::MempoolId_t pool_;
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
    // The pool's memory may go to others now.
    c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
    cudaGraphExecDestroy(ready_);
  }

  void Replay() override {
    const c10::impl::VirtualGuardImpl guard(device_.type());
    Check("cudaGraphLaunch", cudaGraphLaunch(ready_, Native(guard.getStream(device_))));
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
    auto pool = std::make_unique<PoolShare>(device_, pool_, Native(stream_));
    Capture capture(Native(stream_));
    work();
    auto [graph, error] = capture.End();
    Check("cudaStreamEndCapture", error);
    pool->Close();
    return std::make_unique<CudaGraph>(device_, std::move(pool), std::move(graph));
  }

 private:
  const c10::Device device_;
  const c10::Stream stream_;  // the legacy default stream cannot be captured
  const c10::MempoolId_t pool_ = NewPool();
};

}  // namespace

std::unique_ptr<GraphRecorder> MakeGraphRecorder(c10::Device device) {
  const bool wanted = device.is_cuda() && ChosenStepGraphs() == StepGraphs::kOn;
  return wanted ? std::make_unique<CudaGraphRecorder>(device) : nullptr;
}

}  // namespace tessera
