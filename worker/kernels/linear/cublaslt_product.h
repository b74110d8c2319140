#pragma once

#include <ATen/core/Tensor.h>

#include <compare>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "worker/kernels/kernel_choice.h"
#include "worker/kernels/linear/cublaslt_library.h"

namespace tessera {

enum class Activation { kNone, kGeluTanh };

// y = activation(x W^T + b), on one device. All of float32, of bfloat16 or of float16; or x and
// weight of float8_e4m3fn with a scale for each row of theirs, bias and y of bfloat16. Sums, bias
// and activation are float32, rounded once.
struct LinearOperands {
  at::Tensor x;       // [rows, in], rows may be apart
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
  at::Tensor y;       // [rows, out], rows may be apart, as in a part of a wider buffer
  at::Tensor x_scales = {}, weight_scales = {};  // FP8: float32, `rows` and `out` values
  Activation activation = Activation::kNone;
  Fp8Accumulation accumulation = Fp8Accumulation::kExact;
};

namespace cublaslt {

// All that decides which algorithm is chosen. Alignments are of addresses, in bytes, 16 at most:
// what vector loads and TMA need. More would let the choice, and with it the bits of a result,
// depend on where an allocator puts a tensor.
struct Shape {
  Type type = Type::kFloat32;  // of x and weight
  Activation activation = Activation::kNone;
  Fp8Accumulation accumulation = Fp8Accumulation::kExact;
  int64_t rows = 0, in = 0, out = 0;
  int64_t x_stride = 0, y_stride = 0;  // from row to row, in elements
  uint32_t x_alignment = 0, weight_alignment = 0, y_alignment = 0;

  auto operator<=>(const Shape&) const = default;  // NOLINT: clang-tidy 14 sees a null pointer
  std::string ToString() const;
};

// Nothing where cuBLASLt has no form for the operands: other types or strides than above; a bias
// off 16 bytes, whose alignment it takes for granted; FP8 that is off 16 bytes anywhere, with `in`
// or `out` no multiple of 16.
std::optional<Shape> ShapeOf(const LinearOperands& operands);

struct Choice {
  Algorithm algorithm;
  size_t workspace_bytes = 0;
};

// A linear layer as cuBLASLt is told of it. It sees column-major matrices, in which ours lie
// transposed: y^T [out, rows] = W [out, in] x^T [in, rows], so that its A is the weight, transposed
// back, and its B is x as it lies. Throws c10::Error with the shape in it.
class Product {
 public:
  // `library` and `operands`, which have this shape, outlive the object.
  Product(const Library& library, const LinearOperands& operands, const Shape& shape);

  // The first that cuBLASLt's heuristic proposes, the same for the same device, library and shape;
  // none if it knows none.
  std::optional<Choice> Choose(Handle handle) const;

  void Enqueue(Handle handle, const Choice& choice, void* stream) const;

 private:
  using Owned = std::unique_ptr<void, std::function<Status(Descriptor)>>;

  void Check(Status status, const char* what) const;
  Owned MakeLayout(Type type, int64_t rows, int64_t columns, int64_t ld) const;
  template <typename T>
  void Set(OperationAttribute attribute, T value) const;
  void SetScales() const;

  const Library& library_;
  const LinearOperands& operands_;
  const Shape shape_;
  Owned operation_, weight_, x_, y_;
};

}  // namespace cublaslt
}  // namespace tessera
