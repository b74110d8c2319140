#include "tests/unit/worker/kernels/fake_cublaslt.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace tessera {
namespace {

using cublaslt::Descriptor;
using cublaslt::Operation;
using cublaslt::OperationAttribute;
using cublaslt::PreferenceAttribute;
using cublaslt::ScaleMode;
using cublaslt::Status;
using cublaslt::Type;
using Trouble = FakeCublasLt::Trouble;

constexpr size_t kMegabyte = size_t{1} << 20;

// Any handle or descriptor: attributes by number, and the layout of a matrix.
struct Object {
  std::map<int, std::vector<std::byte>> attributes;
  Type type = Type::kFloat32;
  int64_t rows = 0, columns = 0, ld = 0;

  bool Has(OperationAttribute attribute) const {
    return attributes.contains(static_cast<int>(attribute));
  }
  template <typename T, typename Attribute>
  T Get(Attribute attribute, T otherwise) const {
    const auto found = attributes.find(static_cast<int>(attribute));
    if (found != attributes.end()) std::memcpy(&otherwise, found->second.data(), sizeof(T));
    return otherwise;
  }
  bool HasLayoutOf(const Object& other) const {
    return type == other.type && rows == other.rows && columns == other.columns && ld == other.ld;
  }
};

const Object& At(Descriptor descriptor) { return *static_cast<const Object*>(descriptor); }

size_t SizeOf(OperationAttribute attribute) {
  switch (attribute) {
    case OperationAttribute::kBiasPointer:
    case OperationAttribute::kScalesOfA:
    case OperationAttribute::kScalesOfB:
      return sizeof(void*);
    case OperationAttribute::kFastAccumulation:
      return 1;
    default:
      return 4;
  }
}

size_t SizeOf(PreferenceAttribute attribute) {
  return attribute == PreferenceAttribute::kWorkspaceBytes ? 8 : 4;
}

template <typename Attribute>
Status SetAttribute(Descriptor descriptor, Attribute attribute, const void* value, size_t size) {
  if (size != SizeOf(attribute)) return Status::kInvalidValue;
  const auto* const bytes = static_cast<const std::byte*>(value);
  static_cast<Object*>(descriptor)
      ->attributes[static_cast<int>(attribute)]
      .assign(bytes, bytes + size);
  return Status::kSuccess;
}

double Load(const void* data, Type type, int64_t index) {
  switch (type) {
    case Type::kFloat32:
      return static_cast<const float*>(data)[index];
    case Type::kFloat16:
      return static_cast<float>(static_cast<const at::Half*>(data)[index]);
    case Type::kBFloat16:
      return static_cast<float>(static_cast<const at::BFloat16*>(data)[index]);
    case Type::kFloat8E4M3:
      return static_cast<float>(static_cast<const at::Float8_e4m3fn*>(data)[index]);
  }
  return NAN;
}

void Store(void* data, Type type, int64_t index, double value) {
  const auto rounded = static_cast<float>(value);
  if (type == Type::kFloat32) static_cast<float*>(data)[index] = rounded;
  if (type == Type::kFloat16) static_cast<at::Half*>(data)[index] = rounded;
  if (type == Type::kBFloat16) static_cast<at::BFloat16*>(data)[index] = rounded;
}

double GeluTanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

// A call's operands but for their memory.
struct Call {
  const Object& operation;
  const Object &a, &b, &c, &d;

  bool transposes(OperationAttribute which) const {
    return operation.Get(which, Operation::kNone) == Operation::kTranspose;
  }
  bool transposes_a() const { return transposes(OperationAttribute::kTransposeA); }
  bool transposes_b() const { return transposes(OperationAttribute::kTransposeB); }
  int64_t depth() const { return transposes_a() ? a.rows : a.columns; }
  bool is_fp8() const { return a.type == Type::kFloat8E4M3; }

  bool SizesFit() const {
    for (const Object* matrix : {&a, &b, &c, &d}) {
      if (matrix->ld < matrix->rows || matrix->columns < 1 || matrix->rows < 1) return false;
    }
    return d.rows == (transposes_a() ? a.columns : a.rows) && d.HasLayoutOf(c) &&
           depth() == (transposes_b() ? b.columns : b.rows) &&
           d.columns == (transposes_b() ? b.rows : b.columns);
  }

  bool TypesFit() const {
    if (a.type != b.type) return false;
    return is_fp8() ? Fp8Fits() : d.type == a.type && !HasScales();
  }

 private:
  bool HasScales() const {
    return operation.Has(OperationAttribute::kScalesOfA) ||
           operation.Has(OperationAttribute::kScalesOfB) ||
           operation.Has(OperationAttribute::kScaleModeOfA) ||
           operation.Has(OperationAttribute::kScaleModeOfB);
  }
  bool Fp8Fits() const {
    const auto is_vector = [this](OperationAttribute mode) {
      return operation.Has(mode) &&
             operation.Get(mode, ScaleMode::kOuterVector) == ScaleMode::kOuterVector;
    };
    return transposes_a() && !transposes_b() && depth() % 16 == 0 && d.rows % 16 == 0 &&
           a.ld % 16 == 0 && b.ld % 16 == 0 && d.type == Type::kBFloat16 &&
           operation.Get(OperationAttribute::kBiasType, d.type) == d.type &&
           is_vector(OperationAttribute::kScaleModeOfA) &&
           is_vector(OperationAttribute::kScaleModeOfB);
  }
};

// One element of D, from A's row and B's column.
double Element(const Call& call, const void* a, const void* b, int64_t row, int64_t column) {
  double sum = 0;
  for (int64_t k = 0; k < call.depth(); ++k) {
    const int64_t in_a = call.transposes_a() ? k + row * call.a.ld : row + k * call.a.ld;
    const int64_t in_b = call.transposes_b() ? column + k * call.b.ld : k + column * call.b.ld;
    sum += Load(a, call.a.type, in_a) * Load(b, call.b.type, in_b);
  }
  const Object& operation = call.operation;
  if (call.is_fp8()) {
    sum *= operation.Get<const float*>(OperationAttribute::kScalesOfA, nullptr)[row];
    sum *= operation.Get<const float*>(OperationAttribute::kScalesOfB, nullptr)[column];
  }
  const void* bias = operation.Get<const void*>(OperationAttribute::kBiasPointer, nullptr);
  sum += Load(bias, call.d.type, row);
  const auto epilogue = operation.Get(OperationAttribute::kEpilogue, cublaslt::Epilogue::kBias);
  return epilogue == cublaslt::Epilogue::kGeluBias ? GeluTanh(sum) : sum;
}

}  // namespace

struct FakeCublasLt::State {
  mutable std::mutex mutex;
  Trouble trouble = Trouble::kNone;
  int searches = 0, products = 0, objects = 0;
  bool fast_accumulation = false;
  void* stream = nullptr;

  Status Make(Descriptor* made, Object object) {
    *made = new Object(std::move(object));
    const std::lock_guard lock(mutex);
    ++objects;
    return Status::kSuccess;
  }

  Status Destroy(Descriptor made) {
    delete static_cast<Object*>(made);
    const std::lock_guard lock(mutex);
    --objects;
    return Status::kSuccess;
  }

  Status Search(const Call& call, const Object& preference, cublaslt::HeuristicResult* result,
                int* returned) {
    const std::lock_guard lock(mutex);
    ++searches;
    if (trouble == Trouble::kNoHeuristic) return Status::kNotSupported;
    if (trouble == Trouble::kHeuristicFails) return Status::kInvalidValue;
    if (!call.SizesFit() || !call.TypesFit()) return Status::kInvalidValue;
    *returned = trouble == Trouble::kNoAlgorithm ? 0 : 1;
    *result = {};
    // The algorithm carries the alignment that it may count on.
    const PreferenceAttribute alignments[] = {
        PreferenceAttribute::kAlignmentOfA, PreferenceAttribute::kAlignmentOfB,
        PreferenceAttribute::kAlignmentOfC, PreferenceAttribute::kAlignmentOfD};
    for (int i = 0; i < 4; ++i) {
      result->algorithm.data[i] = preference.Get(alignments[i], uint32_t{256});
    }
    if (trouble == Trouble::kNeedsWorkspace) {
      result->workspace_bytes = kMegabyte;
      if (preference.Get(PreferenceAttribute::kWorkspaceBytes, uint64_t{0}) < kMegabyte) {
        return Status::kInvalidValue;
      }
    }
    return Status::kSuccess;
  }

  Status Begin(const Call& call, void* on_stream) {
    const std::lock_guard lock(mutex);
    ++products;
    stream = on_stream;
    fast_accumulation = call.operation.Get(OperationAttribute::kFastAccumulation, int8_t{0}) != 0;
    return trouble == Trouble::kMatmulFails ? Status::kInvalidValue : Status::kSuccess;
  }

  bool Has(Trouble which) const {
    const std::lock_guard lock(mutex);
    return trouble == which;
  }
};

FakeCublasLt::FakeCublasLt() : state_(std::make_shared<State>()) {}

cublaslt::Library FakeCublasLt::Library() const {
  cublaslt::Library lt;
  const auto state = state_;
  const auto destroy = [state](Descriptor made) { return state->Destroy(made); };
  lt.create = [state](cublaslt::Handle* handle) {
    return state->Has(Trouble::kNoHandle) ? Status::kInvalidValue : state->Make(handle, {});
  };
  lt.matmul_desc_create = [state](Descriptor* made, cublaslt::ComputeType, Type scale) {
    return scale == Type::kFloat32 ? state->Make(made, {}) : Status::kInvalidValue;
  };
  lt.matrix_layout_create = [state](Descriptor* made, Type type, uint64_t rows, uint64_t columns,
                                    int64_t ld) {
    return state->Make(made, {.type = type,
                              .rows = static_cast<int64_t>(rows),
                              .columns = static_cast<int64_t>(columns),
                              .ld = ld});
  };
  lt.matmul_preference_create = [state](Descriptor* made) { return state->Make(made, {}); };
  lt.destroy = lt.matmul_desc_destroy = lt.matrix_layout_destroy = lt.matmul_preference_destroy =
      destroy;
  lt.get_status_string = [](Status status) {
    return status == Status::kInvalidValue ? "made to fail" : "some other error";
  };
  lt.matmul_desc_set_attribute = &SetAttribute<OperationAttribute>;
  lt.matmul_preference_set_attribute = &SetAttribute<PreferenceAttribute>;
  lt.matmul_algo_get_heuristic = [state](cublaslt::Handle, Descriptor operation, Descriptor a,
                                         Descriptor b, Descriptor c, Descriptor d,
                                         Descriptor preference, int requested,
                                         cublaslt::HeuristicResult* results, int* returned) {
    if (requested != 1) return Status::kInvalidValue;
    return state->Search({At(operation), At(a), At(b), At(c), At(d)}, At(preference), results,
                         returned);
  };
  lt.matmul = [state](cublaslt::Handle, Descriptor operation, const void* alpha, const void* a,
                      Descriptor a_layout, const void* b, Descriptor b_layout, const void* beta,
                      const void* c, Descriptor c_layout, void* d, Descriptor d_layout,
                      const cublaslt::Algorithm* algorithm, void* workspace, size_t workspace_bytes,
                      void* stream) {
    const Call call = {At(operation), At(a_layout), At(b_layout), At(c_layout), At(d_layout)};
    if (const Status status = state->Begin(call, stream); status != Status::kSuccess) {
      return status;
    }
    const bool scaled =
        *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0 || c != d;
    if (scaled || !call.SizesFit() || !call.TypesFit()) return Status::kInvalidValue;
    const void* const operands[] = {a, b, c, d};
    for (int i = 0; i < 4; ++i) {
      if (reinterpret_cast<uintptr_t>(operands[i]) % algorithm->data[i] != 0) {
        return Status::kInvalidValue;
      }
    }
    if (state->Has(Trouble::kNeedsWorkspace)) {
      if (workspace_bytes < kMegabyte) return Status::kInvalidValue;
      std::memset(workspace, 0xff, workspace_bytes);
    }
    for (int64_t column = 0; column < call.d.columns; ++column) {
      for (int64_t row = 0; row < call.d.rows; ++row) {
        Store(d, call.d.type, row + column * call.d.ld, Element(call, a, b, row, column));
      }
    }
    return Status::kSuccess;
  };
  return lt;
}

void FakeCublasLt::Give(Trouble trouble) {
  const std::lock_guard lock(state_->mutex);
  state_->trouble = trouble;
}

int FakeCublasLt::searches() const {
  const std::lock_guard lock(state_->mutex);
  return state_->searches;
}

int FakeCublasLt::products() const {
  const std::lock_guard lock(state_->mutex);
  return state_->products;
}

int FakeCublasLt::objects() const {
  const std::lock_guard lock(state_->mutex);
  return state_->objects;
}

bool FakeCublasLt::fast_accumulation() const {
  const std::lock_guard lock(state_->mutex);
  return state_->fast_accumulation;
}

void* FakeCublasLt::stream() const {
  const std::lock_guard lock(state_->mutex);
  return state_->stream;
}

}  // namespace tessera
