#include "worker/kernels/linear/cublaslt_product.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tessera::cublaslt {
namespace {

constexpr int64_t kAlignment = 16;  // bytes
// At most this much for an algorithm, as NVIDIA advises for Hopper.
constexpr uint64_t kWorkspaceBytes = uint64_t{32} << 20;

std::optional<Type> TypeOf(const at::Tensor& t) {
  switch (t.scalar_type()) {
    case at::kFloat:
      return Type::kFloat32;
    case at::kBFloat16:
      return Type::kBFloat16;
    case at::kHalf:
      return Type::kFloat16;
    case at::kFloat8_e4m3fn:
      return Type::kFloat8E4M3;
    default:
      return std::nullopt;
  }
}

Type OutputType(Type type) { return type == Type::kFloat8E4M3 ? Type::kBFloat16 : type; }

uint32_t AlignmentOf(const at::Tensor& t) {
  const auto address = reinterpret_cast<uintptr_t>(t.const_data_ptr());
  return address % kAlignment == 0 ? kAlignment : static_cast<uint32_t>(address & -address);
}

// The stride of a single row says nothing.
int64_t RowStride(const at::Tensor& t) { return t.size(0) == 1 ? t.size(1) : t.stride(0); }

bool IsMatrixOfRows(const at::Tensor& t) {
  return t.dim() == 2 && t.size(1) > 0 && (t.size(1) == 1 || t.stride(1) == 1) &&
         (t.size(0) == 0 || RowStride(t) >= t.size(1));
}

bool SizesFit(const LinearOperands& o) {
  return IsMatrixOfRows(o.x) && IsMatrixOfRows(o.y) && o.weight.dim() == 2 &&
         o.weight.is_contiguous() && o.bias.dim() == 1 && o.bias.is_contiguous() &&
         o.x.size(0) == o.y.size(0) && o.x.size(1) == o.weight.size(1) &&
         o.y.size(1) == o.weight.size(0) && o.bias.size(0) == o.weight.size(0);
}

bool AreOnOneDevice(const LinearOperands& o) {
  return o.weight.device() == o.x.device() && o.bias.device() == o.x.device() &&
         o.y.device() == o.x.device();
}

bool TypesFit(const LinearOperands& o) {
  const std::optional<Type> type = TypeOf(o.x);
  return type && TypeOf(o.weight) == type && TypeOf(o.bias) == OutputType(*type) &&
         TypeOf(o.y) == OutputType(*type);
}

bool AreScalesOf(const at::Tensor& t, const at::Tensor& scales) {
  return scales.defined() && scales.device() == t.device() && scales.scalar_type() == at::kFloat &&
         scales.numel() == t.size(0) && scales.is_contiguous();
}

bool Fp8Fits(const LinearOperands& o, const Shape& s) {
  const int64_t y_stride_bytes = s.y_stride * o.y.element_size();
  return AreScalesOf(o.x, o.x_scales) && AreScalesOf(o.weight, o.weight_scales) &&
         s.in % kAlignment == 0 && s.out % kAlignment == 0 && s.x_stride % kAlignment == 0 &&
         y_stride_bytes % kAlignment == 0 && s.x_alignment == kAlignment &&
         s.weight_alignment == kAlignment && s.y_alignment == kAlignment;
}

}  // namespace

std::string Shape::ToString() const {
  const bool gelu = activation == Activation::kGeluTanh;
  return absl::StrCat("y[", rows, ", ", out, "] = ", gelu ? "gelu(" : "", "x[", rows, ", ", in,
                      "] W[", out, ", ", in, "]^T + b", gelu ? ")" : "", ", rows ", x_stride,
                      " and ", y_stride, " elements apart, CUDA type ", static_cast<int>(type));
}

std::optional<Shape> ShapeOf(const LinearOperands& o) {
  if (!SizesFit(o) || !TypesFit(o) || !AreOnOneDevice(o)) return std::nullopt;
  if (AlignmentOf(o.bias) != kAlignment) return std::nullopt;
  const Shape shape = {.type = *TypeOf(o.x),
                       .activation = o.activation,
                       .accumulation = o.accumulation,
                       .rows = o.x.size(0),
                       .in = o.x.size(1),
                       .out = o.y.size(1),
                       .x_stride = RowStride(o.x),
                       .y_stride = RowStride(o.y),
                       .x_alignment = AlignmentOf(o.x),
                       .weight_alignment = AlignmentOf(o.weight),
                       .y_alignment = AlignmentOf(o.y)};
  if (shape.type == Type::kFloat8E4M3 && !Fp8Fits(o, shape)) return std::nullopt;
  return shape;
}

Product::Product(const Library& library, const LinearOperands& operands, const Shape& shape)
    : library_(library), operands_(operands), shape_(shape) {
  Descriptor operation = nullptr;
  Check(library_.matmul_desc_create(&operation, ComputeType::kFloat32, Type::kFloat32),
        "cublasLtMatmulDescCreate");
  operation_ = {operation, library_.matmul_desc_destroy};
  weight_ = MakeLayout(shape_.type, shape_.in, shape_.out, shape_.in);
  x_ = MakeLayout(shape_.type, shape_.in, shape_.rows, shape_.x_stride);
  y_ = MakeLayout(OutputType(shape_.type), shape_.out, shape_.rows, shape_.y_stride);
  Set(OperationAttribute::kTransposeA, Operation::kTranspose);
  Set(OperationAttribute::kTransposeB, Operation::kNone);
  Set(OperationAttribute::kEpilogue,
      shape_.activation == Activation::kGeluTanh ? Epilogue::kGeluBias : Epilogue::kBias);
  Set(OperationAttribute::kBiasPointer, operands_.bias.const_data_ptr());
  if (shape_.type == Type::kFloat8E4M3) SetScales();
}

void Product::SetScales() const {
  Set(OperationAttribute::kBiasType, OutputType(shape_.type));
  Set(OperationAttribute::kScaleModeOfA, ScaleMode::kOuterVector);
  Set(OperationAttribute::kScaleModeOfB, ScaleMode::kOuterVector);
  Set(OperationAttribute::kScalesOfA, operands_.weight_scales.const_data_ptr());
  Set(OperationAttribute::kScalesOfB, operands_.x_scales.const_data_ptr());
  const bool fast = shape_.accumulation == Fp8Accumulation::kFast;
  Set(OperationAttribute::kFastAccumulation, static_cast<int8_t>(fast));
}

std::optional<Choice> Product::Choose(Handle handle) const {
  Descriptor made = nullptr;
  Check(library_.matmul_preference_create(&made), "cublasLtMatmulPreferenceCreate");
  const Owned preference = {made, library_.matmul_preference_destroy};
  const auto set = [&](PreferenceAttribute attribute, auto value) {
    Check(library_.matmul_preference_set_attribute(made, attribute, &value, sizeof(value)),
          "cublasLtMatmulPreferenceSetAttribute");
  };
  set(PreferenceAttribute::kWorkspaceBytes, kWorkspaceBytes);
  set(PreferenceAttribute::kReduction, Reduction::kNoneOrComputeType);
  set(PreferenceAttribute::kAlignmentOfA, shape_.weight_alignment);
  set(PreferenceAttribute::kAlignmentOfB, shape_.x_alignment);
  set(PreferenceAttribute::kAlignmentOfC, shape_.y_alignment);
  set(PreferenceAttribute::kAlignmentOfD, shape_.y_alignment);
  HeuristicResult result = {};
  int found = 0;
  const Status status =
      library_.matmul_algo_get_heuristic(handle, operation_.get(), weight_.get(), x_.get(),
                                         y_.get(), y_.get(), made, 1, &result, &found);
  if (status == Status::kNotSupported) return std::nullopt;
  Check(status, "cublasLtMatmulAlgoGetHeuristic");
  if (found == 0 || result.state == Status::kNotSupported) return std::nullopt;
  Check(result.state, "cublasLtMatmulAlgoGetHeuristic");
  return Choice{result.algorithm, result.workspace_bytes};
}

void Product::Enqueue(Handle handle, const Choice& choice, void* stream) const {
  const float one = 1, zero = 0;
  // A temporary as any other: its memory goes to later work of this stream, or stays with the graph
  // that is being recorded.
  const at::Tensor workspace = at::empty({static_cast<int64_t>(choice.workspace_bytes)},
                                         operands_.y.options().dtype(at::kByte));
  // C is not read where beta is 0, but must be laid out as D where it is D.
  void* const y = operands_.y.mutable_data_ptr();
  Check(library_.matmul(handle, operation_.get(), &one, operands_.weight.const_data_ptr(),
                        weight_.get(), operands_.x.const_data_ptr(), x_.get(), &zero, y, y_.get(),
                        y, y_.get(), &choice.algorithm, workspace.mutable_data_ptr(),
                        choice.workspace_bytes, stream),
        "cublasLtMatmul");
}

void Product::Check(Status status, const char* what) const {
  TORCH_CHECK(status == Status::kSuccess, what, ": ", library_.get_status_string(status), ", of ",
              shape_.ToString());
}

Product::Owned Product::MakeLayout(Type type, int64_t rows, int64_t columns, int64_t ld) const {
  Descriptor made = nullptr;
  Check(library_.matrix_layout_create(&made, type, rows, columns, ld),
        "cublasLtMatrixLayoutCreate");
  return {made, library_.matrix_layout_destroy};
}

template <typename T>
void Product::Set(OperationAttribute attribute, T value) const {
  Check(library_.matmul_desc_set_attribute(operation_.get(), attribute, &value, sizeof(value)),
        "cublasLtMatmulDescSetAttribute");
}

}  // namespace tessera::cublaslt
