#include "worker/kernels/cuda/block_row.cuh"
#include "worker/kernels/cuda/fp8_row.cuh"

namespace tessera::cuda {
namespace {

__device__ float BlockSum(float x) {
  return BlockReduce(x, [](float a, float b) { return a + b; });
}

struct Arguments {
  Extent extent;
  ConstRows x;
  Vectors shift, scale;
  float eps;
};

// layer_norm(x) * (1 + scale) + shift: the row that this block computes. Every thread takes part.
template <typename T, int kLanes>
class ModulatedRow {
 public:
  using Packed = Pack<T, kLanes>;

  __device__ explicit ModulatedRow(const Arguments& arguments)
      : ModulatedRow(arguments, blockIdx.x / arguments.extent.rows,
                     blockIdx.x % arguments.extent.rows) {}

  // f(index, pack) for each of this thread's packs.
  template <typename F>
  __device__ void ForEach(const F& f) const {
    in_.ForEach([&](int64_t index, const Packed& pack) {
      const auto b = Packed::Load(shifts_, index);
      const auto s = Packed::Load(scales_, index);
      Packed result;
#pragma unroll
      for (int i = 0; i < kLanes; ++i) {
        const float norm = Mul<T>(pack[i] - mean_, inverse_);
        result.Set(i, Add<T>(Mul<T>(norm, Add<T>(1.0F, s[i])), b[i]));
      }
      f(index, result);
    });
  }

 private:
  __device__ ModulatedRow(const Arguments& arguments, int64_t batch, int64_t row)
      : in_({RowOf<T>(arguments.x, batch, row)}, arguments.extent.width / kLanes),
        shifts_(VectorOf<T>(arguments.shift, batch)),
        scales_(VectorOf<T>(arguments.scale, batch)) {
    const float width = static_cast<float>(arguments.extent.width);
    float sum = 0;
    in_.ForEach([&](int64_t, const Packed& pack) {
#pragma unroll
      for (int i = 0; i < kLanes; ++i) sum += pack[i];
    });
    mean_ = BlockSum(sum) / width;

    float squares = 0;
    in_.ForEach([&](int64_t, const Packed& pack) {
#pragma unroll
      for (int i = 0; i < kLanes; ++i) squares += (pack[i] - mean_) * (pack[i] - mean_);
    });
    inverse_ = rsqrtf(BlockSum(squares) / width + arguments.eps);
  }

  const BlockRow<StoredPacks<T, kLanes>> in_;
  const T* const shifts_;
  const T* const scales_;
  float mean_, inverse_;
};

template <typename T, int kLanes>
__global__ void __launch_bounds__(kMaxThreads)
    LayerNormModulateKernel(Arguments arguments, Rows y) {
  const int64_t rows = arguments.extent.rows;
  T* const out = RowOf<T>(y, blockIdx.x / rows, blockIdx.x % rows);
  ModulatedRow<T, kLanes>(arguments).ForEach(
      [&](int64_t index, const Pack<T, kLanes>& pack) { pack.Store(out, index); });
}

template <typename T, int kLanes>
__global__ void __launch_bounds__(kMaxThreads)
    LayerNormModulateFp8Kernel(Arguments arguments, Fp8Matrix y) {
  WriteFp8(ModulatedRow<T, kLanes>(arguments), arguments.extent.width, y);
}

Alignment InputAlignment(Element type, const Arguments& arguments) {
  return Alignment(type)
      .Elements(arguments.extent.width)
      .RowsOf(arguments.x)
      .VectorsOf(arguments.shift)
      .VectorsOf(arguments.scale);
}

}  // namespace

LaunchError LayerNormModulate(Element type, const Extent& extent, const ConstRows& x,
                              const Vectors& shift, const Vectors& scale, float eps, const Rows& y,
                              Stream stream) {
  const Arguments arguments = {extent, x, shift, scale, eps};
  return Dispatch<1>(
      type, InputAlignment(type, arguments).RowsOf(y), [&](auto element, auto lanes) {
        return Launch(LayerNormModulateKernel<decltype(element), lanes>, extent.batch * extent.rows,
                      ThreadsForRow(extent.width / lanes), stream, arguments, y);
      });
}

LaunchError LayerNormModulateFp8(Element type, const Extent& extent, const ConstRows& x,
                                 const Vectors& shift, const Vectors& scale, float eps,
                                 const Fp8Matrix& y, Stream stream) {
  const Arguments arguments = {extent, x, shift, scale, eps};
  return Dispatch<1>(type, InputAlignment(type, arguments).Address(y.values),
                     [&](auto element, auto lanes) {
                       return Launch(LayerNormModulateFp8Kernel<decltype(element), lanes>,
                                     extent.batch * extent.rows,
                                     ThreadsForRow(extent.width / lanes), stream, arguments, y);
                     });
}

}  // namespace tessera::cuda
