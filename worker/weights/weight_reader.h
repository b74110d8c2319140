#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/checkpoint.h"
#include "worker/kernels/fp8_rows.h"
#include "worker/weights/load_progress.h"
#include "worker/weights/weight_cache.h"

namespace tessera {

struct WeightOptions {
  at::ScalarType dtype = at::kFloat;  // compute type: kFloat, kBFloat16 or kHalf
  at::Device device = at::kCPU;
  // Where converted weights are kept when the stored type is another; shared by all workers of a
  // host. Empty: $TESSERA_CACHE_DIR, else $XDG_CACHE_HOME/tessera, else ~/.cache/tessera, else the
  // temporary directory.
  std::string cache_dir;
  LoadProgressCallback on_progress;  // of what is converted or copied to a device
  int64_t* taken_bytes = nullptr;    // if given, grows by every tensor taken, as it comes back
  // On the CPU, of a part that is stored in FP8: kKeep where most of it is taken as FP8, so that no
  // converted copy is made; Take then converts in memory what it is asked for.
  StoredFp8 stored_fp8 = StoredFp8::kConvert;
};

// Reads the weights of one part of a checkpoint (transformer, vae, text_encoder, ...), sharded or
// not, and collects everything that is wrong with them, so that the user sees all of it at once:
//
//   TESSERA_ASSIGN_OR_RETURN(const WeightFiles files, checkpoint.Weights(Part::kVae));
//   TESSERA_ASSIGN_OR_RETURN(WeightReader reader, WeightReader::Open(files, options));
//   layer.weight = reader.Take("fc1.weight", {out, in});
//   TESSERA_RETURN_IF_ERROR(reader.Finish());
//
// On the CPU tensors are zero-copy views of the mapped file when stored type = compute type;
// otherwise the part is converted once per host into the cache directory and that file is mapped.
// Tensors keep the mapping alive. They must not be written to. On another device they are copies,
// ordered on the current stream. On the meta device nothing is read but scales: a check of names
// and shapes. Tensors may be stored in FP8 (stored_fp8.h); what belongs to one that is taken, such
// as its scale, need not be taken or ignored. Thread-compatible.
class WeightReader {
 public:
  // Opens the files of a part. Errors: NOT_FOUND, INVALID_ARGUMENT (naming file and what was
  // expected), DATA_LOSS (truncated file).
  static absl::StatusOr<WeightReader> Open(const WeightFiles& files, const WeightOptions& options);
  // Stands in for files that are not there, for measurements: every name exists in whatever shape
  // it is taken, filled with normal numbers that keep activations of order one.
  static WeightReader Random(const WeightOptions& options);
  WeightReader(WeightReader&&) noexcept;
  WeightReader& operator=(WeightReader&&) noexcept;
  ~WeightReader();

  // The tensor in compute type on the device, times its scale if it is stored in FP8. A missing,
  // mis-shaped or mistyped tensor is noted for Finish(), and an undefined tensor comes back.
  at::Tensor Take(const std::string& name, at::IntArrayRef shape);
  // The matrix in FP8 on the device: values and scales as they are stored, or quantised from the
  // compute type. Errors as above, with undefined tensors. shape [rows, width].
  Fp8Rows TakeFp8(const std::string& name, at::IntArrayRef shape);
  bool Has(const std::string& name) const;
  // The stored shape; empty for a missing tensor.
  std::vector<int64_t> Shape(const std::string& name) const;
  // Declares that a tensor which the files may hold is not wanted.
  void Ignore(const std::string& name);
  // The same for every tensor whose name begins with `prefix`.
  void IgnorePrefix(const std::string& prefix);

  // Waits for the copies. INVALID_ARGUMENT listing every noted problem and every tensor that was
  // neither taken nor ignored, with its file; DATA_LOSS if a file changed while it was copied.
  absl::Status Finish();

 private:
  struct State;
  explicit WeightReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tessera
