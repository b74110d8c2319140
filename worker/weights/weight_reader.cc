#include "worker/weights/weight_reader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "worker/weights/safetensors_file.h"
#include "worker/weights/stored_fp8.h"
#include "worker/weights/weight_uploader.h"

namespace tessera {
namespace {

struct Weight {
  std::string file_name;  // the one of the checkpoint
  TensorEntry stored;     // as the checkpoint has it
  SafetensorsFile data;   // where to read it: that file, or the converted one
  bool wanted = false;
};

using Weights = std::map<std::string, Weight>;

absl::Status Problems(const std::string& place, const std::vector<std::string>& problems) {
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      place, ": ", problems.size() == 1 ? "" : absl::StrCat(problems.size(), " problems:\n  "),
      absl::StrJoin(problems, "\n  ")));
}

// Collects the tensors of all files, and compares them with the index.
absl::StatusOr<Weights> CollectWeights(const WeightFiles& files,
                                       const std::vector<SafetensorsFile>& sources) {
  Weights weights;
  std::vector<std::string> problems;
  for (size_t i = 0; i < sources.size(); ++i) {
    for (const auto& [name, entry] : sources[i].tensors()) {
      const auto [other, added] =
          weights.try_emplace(name, Weight{files.files[i].name, entry, sources[i]});
      if (!added) {
        problems.push_back(absl::StrCat("tensor ", Quote(name), " is both in ",
                                        other->second.file_name, " and in ", files.files[i].name));
      } else if (IsStoredFp8(entry)) {
        const absl::Status rows = ReadFp8(sources, name).status();
        if (!rows.ok()) problems.emplace_back(rows.message());
      }
    }
  }
  for (const auto& [name, file] : files.index) {
    const auto found = weights.find(name);
    if (found == weights.end() || found->second.file_name != file) {
      problems.push_back(absl::StrCat("the index names tensor ", Quote(name), " in ", file,
                                      ", which does not hold it"));
    }
  }
  TESSERA_RETURN_IF_ERROR(Problems(files.place, problems));
  return weights;
}

// Lets every weight that is not stored in the compute type be read from the converted file.
absl::Status Convert(const std::string& part, const std::vector<SafetensorsFile>& sources,
                     const WeightOptions& options, Weights& weights) {
  Conversion conversion{
      part, sources, options.dtype, options.cache_dir, options.on_progress, options.stored_fp8};
  const bool needed = std::any_of(weights.begin(), weights.end(), [&](const auto& weight) {
    return NeedsConversion(weight.second.stored, conversion);
  });
  if (!needed) return absl::OkStatus();
  if (conversion.cache_dir.empty()) conversion.cache_dir = DefaultCacheDir();
  TESSERA_ASSIGN_OR_RETURN(const SafetensorsFile converted, OpenConverted(conversion));
  for (auto& [name, weight] : weights) {
    if (converted.tensors().count(name) != 0) weight.data = converted;
  }
  return absl::OkStatus();
}

}  // namespace

struct WeightReader::State {
  std::string part;   // of the checkpoint, for progress
  std::string place;  // for messages
  WeightOptions options;
  std::vector<SafetensorsFile> sources;
  Weights weights;
  std::vector<std::string> problems;
  bool random = false;  // no files: see Random()
  // With the first copy to a device.
  std::optional<WeightUploader> uploader;
  std::optional<LoadMeter> meter;

  void CountTaken(int64_t bytes) const {
    if (options.taken_bytes != nullptr) *options.taken_bytes += bytes;
  }

  bool HasFp8(const std::string& name) const {
    const auto found = weights.find(name);
    return found != weights.end() && IsStoredFp8(found->second.stored);
  }

  // A weight of the files, now wanted, and what belongs to it; null with a problem noted.
  const Weight* Want(const std::string& name, at::IntArrayRef shape) {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      problems.push_back(absl::StrCat("missing tensor ", Quote(name), ", expected [",
                                      absl::StrJoin(shape, ", "), "]"));
      return nullptr;
    }
    Weight& weight = found->second;
    weight.wanted = true;
    if (IsStoredFp8(weight.stored)) {
      for (const std::string& companion : Fp8Companions(name)) {
        const auto beside = weights.find(companion);
        if (beside != weights.end()) beside->second.wanted = true;
      }
    }
    if (IsWeightType(weight.stored) && at::IntArrayRef(weight.stored.shape) == shape)
      return &weight;
    problems.push_back(absl::StrCat(weight.file_name, ": tensor ", Quote(name), " is ",
                                    DescribeTensor(weight.stored.dtype, weight.stored.shape),
                                    ", expected F32, F16, BF16 or F8_E4M3 [",
                                    absl::StrJoin(shape, ", "), "]"));
    return nullptr;
  }

  void Note(const absl::Status& status) { problems.emplace_back(status.message()); }

  // A tensor of a mapped file, on the device and in `type`.
  at::Tensor Place(const at::Tensor& stored, at::ScalarType type) {
    if (options.device.is_cpu() || options.device.is_meta()) {
      return stored.to(options.device).to(type);
    }
    if (!uploader.has_value()) {
      uploader.emplace(options.device);
      int64_t total = 0;
      for (const auto& [name, weight] : weights) {
        total += static_cast<int64_t>(weight.stored.end - weight.stored.begin);
      }
      meter.emplace(part, total, options.on_progress);
    }
    at::Tensor copy = uploader->Upload(stored, type);
    meter->Add(static_cast<int64_t>(stored.nbytes()));
    return copy;
  }

  // A wanted weight that is stored in FP8, on the device; undefined with a problem noted.
  Fp8Rows LoadFp8(const std::string& name) {
    const absl::StatusOr<Fp8Rows> stored = ReadFp8(sources, name);
    if (stored.ok()) {
      return {Place(stored->values, at::kFloat8_e4m3fn),
              stored->scales.contiguous().to(options.device)};
    }
    Note(stored.status());
    return {};
  }

  // A weight in compute type, on the device; undefined with a problem noted.
  at::Tensor Load(const std::string& name, at::IntArrayRef shape) {
    if (random) {
      const double fan_in =
          shape.size() < 2 ? 1.0 : static_cast<double>(c10::multiply_integers(shape.slice(1)));
      return at::randn(shape, at::TensorOptions(options.device).dtype(options.dtype))
          .div_(std::sqrt(fan_in));
    }
    const Weight* weight = Want(name, shape);
    if (weight == nullptr) return {};
    if (IsStoredFp8(weight->data.tensors().at(name))) {
      const Fp8Rows rows = LoadFp8(name);
      if (!rows.values.defined()) return {};
      return Dequantized(rows).to(options.dtype).view(shape);
    }
    const absl::StatusOr<at::Tensor> stored = weight->data.Read(name);
    if (stored.ok()) return Place(*stored, options.dtype);
    Note(stored.status());
    return {};
  }

  // Waits for the copies. They outlive the mapping, so that nobody will look at the files again.
  absl::Status FinishCopies() {
    if (!uploader.has_value()) return absl::OkStatus();
    uploader->Finish();
    std::set<const MappedFile*> files;
    for (const auto& [name, weight] : weights) files.insert(&weight.data.file());
    for (const MappedFile* file : files) TESSERA_RETURN_IF_ERROR(file->Check());
    return absl::OkStatus();
  }
};

absl::StatusOr<WeightReader> WeightReader::Open(const WeightFiles& files,
                                                const WeightOptions& options) {
  std::vector<SafetensorsFile> sources;
  for (const FileRef& file : files.files) {
    TESSERA_ASSIGN_OR_RETURN(SafetensorsFile source, SafetensorsFile::Open(file.path));
    sources.push_back(std::move(source));
  }
  auto state = std::make_unique<State>();
  state->part = files.part;
  state->place = files.place;
  state->options = options;
  TESSERA_ASSIGN_OR_RETURN(state->weights, CollectWeights(files, sources));
  state->sources = sources;
  // Another device converts what it is given faster than a file could be written.
  if (options.device.is_cpu()) {
    TESSERA_RETURN_IF_ERROR(Convert(files.part, sources, options, state->weights));
  }
  return WeightReader(std::move(state));
}

WeightReader WeightReader::Random(const WeightOptions& options) {
  auto state = std::make_unique<State>();
  state->place = "random weights";
  state->options = options;
  state->random = true;
  return WeightReader(std::move(state));
}

WeightReader::WeightReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
WeightReader::WeightReader(WeightReader&&) noexcept = default;
WeightReader& WeightReader::operator=(WeightReader&&) noexcept = default;
WeightReader::~WeightReader() = default;

at::Tensor WeightReader::Take(const std::string& name, at::IntArrayRef shape) {
  state_->CountTaken(c10::multiply_integers(shape) *
                     static_cast<int64_t>(c10::elementSize(state_->options.dtype)));
  return state_->Load(name, shape);
}

Fp8Rows WeightReader::TakeFp8(const std::string& name, at::IntArrayRef shape) {
  constexpr int64_t kScaleBytes = sizeof(float);
  state_->CountTaken(c10::multiply_integers(shape) + kScaleBytes * shape.front());
  if (state_->HasFp8(name)) {
    return state_->Want(name, shape) == nullptr ? Fp8Rows() : state_->LoadFp8(name);
  }
  const at::Tensor weight = state_->Load(name, shape);
  return weight.defined() ? reference::QuantizeRows(weight) : Fp8Rows();
}

bool WeightReader::Has(const std::string& name) const {
  return state_->random || state_->weights.count(name) != 0;
}

std::vector<int64_t> WeightReader::Shape(const std::string& name) const {
  const auto found = state_->weights.find(name);
  return found == state_->weights.end() ? std::vector<int64_t>() : found->second.stored.shape;
}

void WeightReader::Ignore(const std::string& name) {
  const auto found = state_->weights.find(name);
  if (found != state_->weights.end()) found->second.wanted = true;
}

void WeightReader::IgnorePrefix(const std::string& prefix) {
  for (auto weight = state_->weights.lower_bound(prefix);
       weight != state_->weights.end() && weight->first.rfind(prefix, 0) == 0; ++weight) {
    weight->second.wanted = true;
  }
}

absl::Status WeightReader::Finish() {
  TESSERA_RETURN_IF_ERROR(state_->FinishCopies());
  std::vector<std::string> problems = state_->problems;
  for (const auto& [name, weight] : state_->weights) {
    if (weight.wanted) continue;
    problems.push_back(absl::StrCat(weight.file_name, ": unexpected tensor ", Quote(name), ", ",
                                    DescribeTensor(weight.stored.dtype, weight.stored.shape)));
  }
  return Problems(state_->place, problems);
}

}  // namespace tessera
