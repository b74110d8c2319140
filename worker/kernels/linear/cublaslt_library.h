#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"

namespace tessera::cublaslt {

// cuBLASLt's C interface as far as it is used here, of CUDA 13. Declared once more, and compared
// with cublasLt.h by a test, so that neither a build nor a process needs CUDA that does not ask for
// it. What each attribute holds is told there; its values are of the types below.

enum class Status : int { kSuccess = 0, kInvalidValue = 7, kNotSupported = 15 };

enum class Type : int32_t { kFloat32 = 0, kFloat16 = 2, kBFloat16 = 14, kFloat8E4M3 = 28 };
enum class ComputeType : int32_t { kFloat32 = 68 };  // without TF32
enum class Operation : int32_t { kNone = 0, kTranspose = 1 };
enum class Epilogue : uint32_t { kBias = 4, kGeluBias = 36 };  // GELU's tanh approximation
// kOuterVector: a float32 for each row of op(A) and for each column of op(B).
enum class ScaleMode : int32_t { kOuterVector = 3 };
// Where parts of a sum meet: in one sequence, or as float32 in the workspace. A mask.
enum class Reduction : uint32_t { kNoneOrComputeType = 2 };

enum class OperationAttribute : int {
  kTransposeA = 3,
  kTransposeB = 4,
  kEpilogue = 7,
  kBiasPointer = 8,
  kScalesOfA = 17,
  kScalesOfB = 18,
  kFastAccumulation = 25,  // int8_t
  kBiasType = 26,
  kScaleModeOfA = 31,
  kScaleModeOfB = 32,
};

enum class PreferenceAttribute : int {
  kWorkspaceBytes = 1,  // uint64_t
  kReduction = 3,
  kAlignmentOfA = 5,  // uint32_t, bytes; so are the next
  kAlignmentOfB = 6,
  kAlignmentOfC = 7,
  kAlignmentOfD = 8,
};

struct Algorithm {
  uint64_t data[8];
};

struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace_bytes;
  Status state;
  float waves;
  int reserved[4];
};

// cublasLtHandle_t; and the descriptors of operation, matrix and preference.
using Handle = void*;
using Descriptor = void*;

// The functions, by cublasLt.h's names without their prefix. Matrices are column-major, `ld` is in
// elements, `stream` is a cudaStream_t.
struct Library {
  std::function<Status(Handle* handle)> create;
  std::function<Status(Handle handle)> destroy;
  std::function<const char*(Status status)> get_status_string;
  std::function<Status(Descriptor* operation, ComputeType compute, Type scale)> matmul_desc_create;
  std::function<Status(Descriptor operation)> matmul_desc_destroy;
  std::function<Status(Descriptor operation, OperationAttribute attribute, const void* value,
                       size_t size)>
      matmul_desc_set_attribute;
  std::function<Status(Descriptor* layout, Type type, uint64_t rows, uint64_t columns, int64_t ld)>
      matrix_layout_create;
  std::function<Status(Descriptor layout)> matrix_layout_destroy;
  std::function<Status(Descriptor* preference)> matmul_preference_create;
  std::function<Status(Descriptor preference)> matmul_preference_destroy;
  std::function<Status(Descriptor preference, PreferenceAttribute attribute, const void* value,
                       size_t size)>
      matmul_preference_set_attribute;
  std::function<Status(Handle handle, Descriptor operation, Descriptor a, Descriptor b,
                       Descriptor c, Descriptor d, Descriptor preference, int requested,
                       HeuristicResult* results, int* returned)>
      matmul_algo_get_heuristic;
  // D = alpha op(A) op(B) + beta C, with the operation's epilogue.
  std::function<Status(Handle handle, Descriptor operation, const void* alpha, const void* a,
                       Descriptor a_layout, const void* b, Descriptor b_layout, const void* beta,
                       const void* c, Descriptor c_layout, void* d, Descriptor d_layout,
                       const Algorithm* algorithm, void* workspace, size_t workspace_bytes,
                       void* stream)>
      matmul;
};

// The libcublasLt.so.13 that libtorch_cuda has brought, or the loader's own; for the rest of the
// process. FAILED_PRECONDITION says what is missing.
absl::StatusOr<Library> Open();

}  // namespace tessera::cublaslt
