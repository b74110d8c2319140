#include "worker/weights/stored_fp8.h"

#include <ATen/ATen.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

constexpr char kWeight[] = ".weight";

// Of a layer; also ComfyUI's description of its format, for FP8 always the same.
constexpr const char* kScales[] = {".weight_scale", ".scale_weight"};
constexpr const char* kNotNeeded[] = {".input_scale", ".scale_input", ".comfy_quant"};
// Of a file: ComfyUI's mark of one with scales.
constexpr char kFileMark[] = "scaled_fp8";

const SafetensorsFile* Holder(const std::vector<SafetensorsFile>& sources,
                              const std::string& name) {
  for (const SafetensorsFile& source : sources) {
    if (source.tensors().count(name) != 0) return &source;
  }
  return nullptr;
}

// The layer of `<layer>.weight`; empty for other names.
std::string LayerOf(const std::string& name) {
  const std::string layer(absl::StripSuffix(name, kWeight));
  return layer.size() == name.size() ? "" : layer;
}

bool IsScaleType(const TensorEntry& entry) {
  return entry.type == at::kFloat || entry.type == at::kHalf || entry.type == at::kBFloat16;
}

bool IsScaleShape(const std::vector<int64_t>& shape, int64_t rows) {
  const std::vector<int64_t> each = {rows, 1};
  return shape.empty() || shape == std::vector<int64_t>{1} || shape == each ||
         shape == std::vector<int64_t>{rows};
}

// float32 [rows, 1]. Expanded, not copied: a tensor without elements may claim any number of rows.
absl::StatusOr<at::Tensor> ReadScale(const SafetensorsFile& source, const std::string& name,
                                     int64_t rows) {
  const TensorEntry& entry = source.tensors().at(name);
  const auto error = [&](const std::string& found, const std::string& expected) {
    return absl::InvalidArgumentError(absl::StrCat(source.file().path(), ": tensor ", Quote(name),
                                                   " ", found, ", expected ", expected));
  };
  if (!IsScaleType(entry) || !IsScaleShape(entry.shape, rows)) {
    return error(absl::StrCat("is ", DescribeTensor(entry.dtype, entry.shape)),
                 absl::StrCat("F32, F16 or BF16 [], [1], [", rows, "] or [", rows, ", 1]"));
  }
  TESSERA_ASSIGN_OR_RETURN(const at::Tensor stored, source.Read(name));
  const at::Tensor scale = stored.to(at::kFloat).reshape({-1, 1});
  if (!scale.isfinite().all().item<bool>()) return error("is not finite", "scales of FP8 rows");
  return scale.expand({rows, 1});
}

}  // namespace

bool IsStoredFp8(const TensorEntry& entry) { return entry.type == at::kFloat8_e4m3fn; }

absl::StatusOr<Fp8Rows> ReadFp8(const std::vector<SafetensorsFile>& sources,
                                const std::string& name) {
  const SafetensorsFile* source = Holder(sources, name);
  if (source == nullptr) return absl::NotFoundError(absl::StrCat("no tensor ", Quote(name)));
  TESSERA_ASSIGN_OR_RETURN(const at::Tensor stored, source->Read(name));
  const int64_t rows = stored.dim() == 0 ? 1 : stored.size(0);
  const at::IntArrayRef others = stored.sizes().slice(stored.dim() == 0 ? 0 : 1);
  Fp8Rows result = {stored.reshape({rows, c10::multiply_integers(others)}),
                    at::ones({1, 1}, at::kFloat).expand({rows, 1})};
  std::string found;
  for (const char* suffix : kScales) {
    const std::string scale = absl::StrCat(LayerOf(name), suffix);
    const SafetensorsFile* holder = LayerOf(name).empty() ? nullptr : Holder(sources, scale);
    if (holder == nullptr) continue;
    if (!found.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(holder->file().path(), ": tensor ",
                                                     Quote(scale), " is there, expected ",
                                                     Quote(found), " alone"));
    }
    TESSERA_ASSIGN_OR_RETURN(result.scales, ReadScale(*holder, scale, rows));
    found = scale;
  }
  return result;
}

std::vector<std::string> Fp8Companions(const std::string& name) {
  std::vector<std::string> names = {kFileMark};
  const std::string layer = LayerOf(name);
  if (layer.empty()) return names;
  for (const char* suffix : kScales) names.push_back(absl::StrCat(layer, suffix));
  for (const char* suffix : kNotNeeded) names.push_back(absl::StrCat(layer, suffix));
  return names;
}

}  // namespace tessera
