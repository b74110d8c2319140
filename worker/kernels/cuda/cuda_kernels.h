#pragma once

#include <cstdint>

struct CUstream_st;

// The CUDA kernels behind the ops of worker/kernels, over raw device memory. There are no tensors
// here, so that nvcc need not read ATen, and nothing of CUDA's headers, so that a build without
// CUDA reads this file too. The files OP_cuda.cu define them. Every function enqueues on `stream`
// of the current device; nothing is checked beyond what is said here. Sums and products are
// float32. A result is rounded to the element type wherever the ATen twin rounds, so that a kernel
// differs from its twin by the order of its sums and the last bit of rsqrt and tanh alone. Any
// width and alignment; accesses are 16 bytes wide where width and places allow it.
namespace tessera::cuda {

using Stream = CUstream_st*;      // a cudaStream_t
using LaunchError = const char*;  // what CUDA says of it; null where the launch succeeded

enum class Element { kFloat32, kBFloat16, kFloat16 };

// Row r of batch item b begins batch_stride * b + row_stride * r elements after `data`; the
// elements of a row lie side by side.
struct ConstRows {
  const void* data;
  int64_t batch_stride, row_stride;
};
struct Rows {
  void* data;
  int64_t batch_stride, row_stride;
};

// One vector for each batch item; stride 0 where all share one.
struct Vectors {
  const void* data;
  int64_t batch_stride;
};

struct Extent {
  int64_t batch, rows, width;
};

// y = layer_norm(x) * (1 + scale) + shift.
LaunchError LayerNormModulate(Element type, const Extent& extent, const ConstRows& x,
                              const Vectors& shift, const Vectors& scale, float eps, const Rows& y,
                              Stream stream);

// Rows of FP8 (E4M3) without gaps, one after the other, and a scale for each.
struct Fp8Matrix {
  void* values;
  float* scales;
};

// The same, quantised: scale = largest magnitude / 448, value = y / scale.
LaunchError LayerNormModulateFp8(Element type, const Extent& extent, const ConstRows& x,
                                 const Vectors& shift, const Vectors& scale, float eps,
                                 const Fp8Matrix& y, Stream stream);

// Rows made of two others, of which either may be 0 wide.
struct RowParts {
  ConstRows head, tail;
  int64_t head_width, tail_width;
};

// y = [head | gelu(tail)], quantised. `rows`: of each batch item.
LaunchError QuantizeRows(Element type, int64_t batch, int64_t rows, const RowParts& x,
                         const Fp8Matrix& y, Stream stream);

// y = value * scale; y [rows, width] without gaps.
LaunchError DequantizeRows(Element type, int64_t rows, int64_t width, const Fp8Matrix& x, void* y,
                           Stream stream);

// x += gate * y.
LaunchError GatedAdd(Element type, const Extent& extent, const Rows& x, const Vectors& gate,
                     const ConstRows& y, Stream stream);

// y = gelu(x), tanh approximation. y may be x.
LaunchError GeluTanh(Element type, const Extent& extent, const ConstRows& x, const Rows& y,
                     Stream stream);

struct HeadRows {
  ConstRows q, k, v;  // rows of heads * head_dim elements
};
struct MutableHeadRows {
  Rows q, k, v;
};
struct HeadExtent {
  int64_t batch, rows, heads, head_dim;  // head_dim is even
};
struct RopeAngles {
  const float* cos;  // [rows, head_dim / 2], dense
  const float* sin;
};

// out.q = rope(rms_norm(raw.q) * q_weight) for each head, out.k likewise, out.v = raw.v. Weights:
// head_dim elements. An output may be its own input.
LaunchError NormRopeQkv(Element type, const HeadExtent& extent, const HeadRows& raw,
                        const void* q_weight, const void* k_weight, const RopeAngles& angles,
                        float eps, const MutableHeadRows& out, Stream stream);

// latents += velocity * change, `change` rounded to the element type. Dense.
LaunchError EulerUpdate(Element type, int64_t count, void* latents, const void* velocity,
                        float change, Stream stream);

// A picture [batch, 3, height, width] with these strides, in elements.
struct Picture {
  const void* data;
  int64_t batch, height, width;
  int64_t batch_stride, channel_stride, row_stride, column_stride;
};

// rgb [batch, height, width, 3] = round(clamp(x / 2 + 0.5, 0, 1) * 255), half to even. A few
// megabytes once a picture: one thread a pixel, no wide accesses.
LaunchError PictureToRgb8(Element type, const Picture& picture, uint8_t* rgb, Stream stream);

}  // namespace tessera::cuda
