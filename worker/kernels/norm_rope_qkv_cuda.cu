#include "worker/kernels/cuda/launch.cuh"

namespace tessera::cuda {
namespace {

constexpr int kThreads = 256;

struct Arguments {
  HeadExtent extent;
  HeadRows raw;
  MutableHeadRows out;
  const void* q_weight;
  const void* k_weight;
  RopeAngles angles;
  float eps;
  int team;  // threads of a warp that share a head: a power of two
};

// The sum over a team's threads, on all of them. Every thread of the warp takes part.
__device__ float TeamSum(float x, int team) {
  for (int mask = team / 2; mask > 0; mask /= 2) x += __shfl_xor_sync(0xffffffffU, x, mask);
  return x;
}

// Norm, weight and rotation of one pack. cos and sin: of this row.
template <typename T, int kLanes>
__device__ Pack<T, kLanes> NormRope(const Pack<T, kLanes>& x, const Pack<T, kLanes>& weight,
                                    float inverse, const float* cos, const float* sin,
                                    int64_t index) {
  const auto c = Pack<float, kLanes / 2>::Load(cos, index);
  const auto s = Pack<float, kLanes / 2>::Load(sin, index);
  Pack<T, kLanes> result;
#pragma unroll
  for (int j = 0; j < kLanes / 2; ++j) {
    const float a = Rounded<T>(x[2 * j] * inverse * weight[2 * j]);
    const float b = Rounded<T>(x[2 * j + 1] * inverse * weight[2 * j + 1]);
    result.Set(2 * j, a * c[j] - b * s[j]);
    result.Set(2 * j + 1, b * c[j] + a * s[j]);
  }
  return result;
}

// A block computes one row: its teams take the heads of q, then of k, in turn; then all copy v.
template <typename T, int kLanes>
__global__ void NormRopeQkvKernel(Arguments arguments) {
  using Packed = Pack<T, kLanes>;
  const HeadExtent& extent = arguments.extent;
  const int64_t batch = blockIdx.x / extent.rows, row = blockIdx.x % extent.rows;
  const int64_t packs = extent.head_dim / kLanes;
  const float* const cos = arguments.angles.cos + row * extent.head_dim / 2;
  const float* const sin = arguments.angles.sin + row * extent.head_dim / 2;
  const int team = arguments.team;
  const int lane = static_cast<int>(threadIdx.x) % team;

  for (int64_t first = 0; first < 2 * extent.heads; first += blockDim.x / team) {
    const int64_t unit = first + threadIdx.x / team;
    const bool active = unit < 2 * extent.heads;
    const bool is_q = unit < extent.heads;
    const int64_t offset = (is_q ? unit : unit - extent.heads) * extent.head_dim;
    const T* const in = RowOf<T>(is_q ? arguments.raw.q : arguments.raw.k, batch, row) + offset;
    T* const out = RowOf<T>(is_q ? arguments.out.q : arguments.out.k, batch, row) + offset;
    const T* const weight = static_cast<const T*>(is_q ? arguments.q_weight : arguments.k_weight);

    float squares = 0;
    Packed held = {};  // the team's first packs: all of a head of up to 16 bytes a thread
    if (active && lane < packs) held = Packed::Load(in, lane);
    for (int64_t index = lane; active && index < packs; index += team) {
      const Packed x = index == lane ? held : Packed::Load(in, index);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) squares += x[i] * x[i];
    }
    const float inverse =
        rsqrtf(TeamSum(squares, team) / static_cast<float>(extent.head_dim) + arguments.eps);
    for (int64_t index = lane; active && index < packs; index += team) {
      const Packed x = index == lane ? held : Packed::Load(in, index);
      NormRope(x, Packed::Load(weight, index), inverse, cos, sin, index).Store(out, index);
    }
  }

  const T* const v = RowOf<T>(arguments.raw.v, batch, row);
  T* const v_out = RowOf<T>(arguments.out.v, batch, row);
  for (int64_t index = threadIdx.x; index < extent.heads * packs; index += blockDim.x) {
    Packed::Load(v, index).Store(v_out, index);
  }
}

}  // namespace

LaunchError NormRopeQkv(Element type, const HeadExtent& extent, const HeadRows& raw,
                        const void* q_weight, const void* k_weight, const RopeAngles& angles,
                        float eps, const MutableHeadRows& out, Stream stream) {
  Alignment alignment(type);
  alignment.Elements(extent.head_dim).Address(q_weight).Address(k_weight);
  alignment.Address(angles.cos).Address(angles.sin);
  alignment.RowsOf(raw.q).RowsOf(raw.k).RowsOf(raw.v);
  alignment.RowsOf(out.q).RowsOf(out.k).RowsOf(out.v);
  return Dispatch<2>(type, alignment, [&](auto element, auto lanes) {
    int team = 1;
    while (team < kWarp && team < extent.head_dim / lanes) team *= 2;
    const Arguments arguments = {extent, raw, out, q_weight, k_weight, angles, eps, team};
    return Launch(NormRopeQkvKernel<decltype(element), lanes>, extent.batch * extent.rows, kThreads,
                  stream, arguments);
  });
}

}  // namespace tessera::cuda
