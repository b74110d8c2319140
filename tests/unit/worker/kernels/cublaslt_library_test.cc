#include "worker/kernels/linear/cublaslt_library.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <type_traits>

#include "tests/unit/worker/kernels/fake_cublaslt.h"
#include "worker/kernels/fp8_rows.h"
#include "worker/kernels/linear/cublaslt.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif

namespace tessera {
namespace {

using cublaslt::Library;

#if __has_include(<cublasLt.h>)

template <typename Ours, typename Theirs>
constexpr bool IsPassedAlike() {
  if constexpr (std::is_pointer_v<Ours>) {
    return std::is_pointer_v<Theirs>;
  } else {
    return sizeof(Ours) == sizeof(Theirs);
  }
}

template <typename R, typename... Ours, typename Result, typename... Theirs>
constexpr bool IsCalledAlike(const std::function<R(Ours...)> Library::*, Result (*)(Theirs...)) {
  if constexpr (sizeof...(Ours) != sizeof...(Theirs)) {
    return false;
  } else {
    return IsPassedAlike<R, Result>() && (IsPassedAlike<Ours, Theirs>() && ...);
  }
}

template <typename Function>
constexpr bool IsCalledAlike(Function Library::*ours, auto* theirs) {
  return IsCalledAlike(static_cast<const Function Library::*>(ours), theirs);
}

template <typename Ours, typename Theirs>
void ExpectSame(Ours ours, Theirs theirs) {
  EXPECT_EQ(static_cast<int>(ours), static_cast<int>(theirs));
}

TEST(CublasLtLibraryTest, FunctionsAreDeclaredAsInCublasLtsHeader) {
  static_assert(IsCalledAlike(&Library::create, &cublasLtCreate));
  static_assert(IsCalledAlike(&Library::destroy, &cublasLtDestroy));
  static_assert(IsCalledAlike(&Library::get_status_string, &cublasLtGetStatusString));
  static_assert(IsCalledAlike(&Library::matmul_desc_create, &cublasLtMatmulDescCreate));
  static_assert(IsCalledAlike(&Library::matmul_desc_destroy, &cublasLtMatmulDescDestroy));
  static_assert(
      IsCalledAlike(&Library::matmul_desc_set_attribute, &cublasLtMatmulDescSetAttribute));
  static_assert(IsCalledAlike(&Library::matrix_layout_create, &cublasLtMatrixLayoutCreate));
  static_assert(IsCalledAlike(&Library::matrix_layout_destroy, &cublasLtMatrixLayoutDestroy));
  static_assert(IsCalledAlike(&Library::matmul_preference_create, &cublasLtMatmulPreferenceCreate));
  static_assert(
      IsCalledAlike(&Library::matmul_preference_destroy, &cublasLtMatmulPreferenceDestroy));
  static_assert(IsCalledAlike(&Library::matmul_preference_set_attribute,
                              &cublasLtMatmulPreferenceSetAttribute));
  static_assert(
      IsCalledAlike(&Library::matmul_algo_get_heuristic, &cublasLtMatmulAlgoGetHeuristic));
  static_assert(IsCalledAlike(&Library::matmul, &cublasLtMatmul));
}

TEST(CublasLtLibraryTest, ValuesAreThoseOfCublasLtsHeader) {
  ExpectSame(cublaslt::Status::kSuccess, CUBLAS_STATUS_SUCCESS);
  ExpectSame(cublaslt::Status::kInvalidValue, CUBLAS_STATUS_INVALID_VALUE);
  ExpectSame(cublaslt::Status::kNotSupported, CUBLAS_STATUS_NOT_SUPPORTED);
  ExpectSame(cublaslt::Type::kFloat32, CUDA_R_32F);
  ExpectSame(cublaslt::Type::kFloat16, CUDA_R_16F);
  ExpectSame(cublaslt::Type::kBFloat16, CUDA_R_16BF);
  ExpectSame(cublaslt::Type::kFloat8E4M3, CUDA_R_8F_E4M3);
  ExpectSame(cublaslt::ComputeType::kFloat32, CUBLAS_COMPUTE_32F);
  ExpectSame(cublaslt::Operation::kNone, CUBLAS_OP_N);
  ExpectSame(cublaslt::Operation::kTranspose, CUBLAS_OP_T);
  ExpectSame(cublaslt::Epilogue::kBias, CUBLASLT_EPILOGUE_BIAS);
  ExpectSame(cublaslt::Epilogue::kGeluBias, CUBLASLT_EPILOGUE_GELU_BIAS);
  ExpectSame(cublaslt::ScaleMode::kOuterVector, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
  ExpectSame(cublaslt::Reduction::kNoneOrComputeType,
             CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
}

TEST(CublasLtLibraryTest, AttributesAreThoseOfCublasLtsHeader) {
  using Operation = cublaslt::OperationAttribute;
  ExpectSame(Operation::kTransposeA, CUBLASLT_MATMUL_DESC_TRANSA);
  ExpectSame(Operation::kTransposeB, CUBLASLT_MATMUL_DESC_TRANSB);
  ExpectSame(Operation::kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE);
  ExpectSame(Operation::kBiasPointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
  ExpectSame(Operation::kScalesOfA, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER);
  ExpectSame(Operation::kScalesOfB, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER);
  ExpectSame(Operation::kFastAccumulation, CUBLASLT_MATMUL_DESC_FAST_ACCUM);
  ExpectSame(Operation::kBiasType, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
  ExpectSame(Operation::kScaleModeOfA, CUBLASLT_MATMUL_DESC_A_SCALE_MODE);
  ExpectSame(Operation::kScaleModeOfB, CUBLASLT_MATMUL_DESC_B_SCALE_MODE);
  using Preference = cublaslt::PreferenceAttribute;
  ExpectSame(Preference::kWorkspaceBytes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
  ExpectSame(Preference::kReduction, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
  ExpectSame(Preference::kAlignmentOfA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
  ExpectSame(Preference::kAlignmentOfB, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
  ExpectSame(Preference::kAlignmentOfC, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
  ExpectSame(Preference::kAlignmentOfD, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
}

TEST(CublasLtLibraryTest, ResultsLieAsInCublasLtsHeader) {
  using Ours = cublaslt::HeuristicResult;
  using Theirs = cublasLtMatmulHeuristicResult_t;
  static_assert(sizeof(cublaslt::Algorithm) == sizeof(cublasLtMatmulAlgo_t));
  static_assert(sizeof(Ours) == sizeof(Theirs));
  static_assert(offsetof(Ours, algorithm) == offsetof(Theirs, algo));
  static_assert(offsetof(Ours, workspace_bytes) == offsetof(Theirs, workspaceSize));
  static_assert(offsetof(Ours, state) == offsetof(Theirs, state));
}

#else

TEST(CublasLtLibraryTest, IsDeclaredAsInCublasLtsHeader) {
  GTEST_SKIP() << "no cublasLt.h on this machine";
}

#endif

// Needs no GPU: all but the search and the product are cuBLASLt's own.
TEST(CublasLtLibraryTest, TakesEveryAttributeThatWeSet) {
  absl::StatusOr<Library> real = cublaslt::Open();
  if (!real.ok()) {
    EXPECT_EQ(real.status().code(), absl::StatusCode::kFailedPrecondition);
    GTEST_SKIP() << real.status();
  }
  FakeCublasLt fake;
  real->create = fake.Library().create;
  real->destroy = fake.Library().destroy;
  real->matmul_algo_get_heuristic = [](cublaslt::Handle, auto, auto, auto, auto, auto, auto, int,
                                       cublaslt::HeuristicResult* result, int* returned) {
    *result = {};
    *returned = 1;
    return cublaslt::Status::kSuccess;
  };
  real->matmul = [](auto&&...) { return cublaslt::Status::kSuccess; };
  CublasLt lt(*real);
  const c10::InferenceMode inference;
  for (const auto activation : {Activation::kNone, Activation::kGeluTanh}) {
    for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      EXPECT_TRUE(lt.Linear({.x = at::zeros({3, 16}, type),
                             .weight = at::zeros({32, 16}, type),
                             .bias = at::zeros({32}, type),
                             .y = at::zeros({3, 32}, type),
                             .activation = activation},
                            nullptr));
    }
    const Fp8Rows x = QuantizeRows(at::zeros({3, 16}), {}),
                  weight = QuantizeRows(at::zeros({32, 16}), {});
    EXPECT_TRUE(lt.Linear({.x = x.values,
                           .weight = weight.values,
                           .bias = at::zeros({32}, at::kBFloat16),
                           .y = at::zeros({3, 32}, at::kBFloat16),
                           .x_scales = x.scales,
                           .weight_scales = weight.scales,
                           .activation = activation},
                          nullptr));
  }
}

}  // namespace
}  // namespace tessera
