#pragma once

#include <memory>

#include "worker/kernels/linear/cublaslt_library.h"

namespace tessera {

// cuBLASLt on the CPU's memory: multiplies at once, in double precision, as its descriptors say,
// and refuses what the library's documentation forbids. Thread-safe.
class FakeCublasLt {
 public:
  FakeCublasLt();

  cublaslt::Library Library() const;  // may outlive this object

  enum class Trouble {
    kNone,
    kNoHandle,
    kNoHeuristic,     // "not supported"
    kNoAlgorithm,     // none found
    kHeuristicFails,  // "invalid value"
    kMatmulFails,     // the same
    kNeedsWorkspace,  // of a megabyte
  };
  void Give(Trouble trouble);

  int searches() const;  // for an algorithm, so far
  int products() const;
  int objects() const;  // handles and descriptors not yet destroyed
  // Of the last product.
  bool fast_accumulation() const;
  void* stream() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tessera
