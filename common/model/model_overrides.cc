#include "common/model/model_overrides.h"

#include <cmath>
#include <cstdint>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/quote.h"

namespace tessera {
namespace {

// The fields of one JSON object. Each Read takes a field if it is there; Finish notes those that
// nobody took.
class Section {
 public:
  // `object` may be null: no fields.
  Section(std::string name, const nlohmann::json* object, std::vector<std::string>& problems)
      : name_(std::move(name)), object_(object), problems_(problems) {
    if (object_ == nullptr || object_->is_object()) return;
    problems_.push_back(absl::StrCat(name_, ": expected an object"));
    object_ = nullptr;
  }

  const nlohmann::json* Find(const char* field) {
    taken_.insert(field);
    if (object_ == nullptr) return nullptr;
    const auto found = object_->find(field);
    return found == object_->end() ? nullptr : &*found;
  }

  template <typename Integer>
  void ReadInteger(const char* field, Integer largest, Integer& value) {
    const nlohmann::json* json = Find(field);
    if (json == nullptr) return;
    // Unsigned first: a value above int64's range must not turn negative.
    const bool fits = json->is_number_unsigned() &&
                      json->get<uint64_t>() <= static_cast<uint64_t>(largest) &&
                      json->get<uint64_t>() >= 1;
    if (fits) {
      value = static_cast<Integer>(json->get<uint64_t>());
    } else {
      problems_.push_back(
          absl::StrCat(name_, ".", field, ": expected an integer from 1 to ", largest));
    }
  }

  void ReadScale(const char* field, double largest, double& value) {
    const nlohmann::json* json = Find(field);
    if (json == nullptr) return;
    const double number = json->is_number() ? json->get<double>() : -1;
    if (number >= 0 && number <= largest) {
      value = number;
    } else {
      problems_.push_back(
          absl::StrCat(name_, ".", field, ": expected a number from 0 to ", largest));
    }
  }

  void Finish() {
    if (object_ == nullptr) return;
    for (const auto& [field, value] : object_->items()) {
      if (taken_.count(field) == 0) {
        problems_.push_back(absl::StrCat(name_, ": unknown field ", Quote(field)));
      }
    }
  }

 private:
  std::string name_;
  const nlohmann::json* object_;
  std::vector<std::string>& problems_;
  std::set<std::string> taken_;
};

void ReadDefaults(Section section, ModelDefaults& defaults) {
  section.ReadInteger("width", 1 << 20, defaults.width);
  section.ReadInteger("height", 1 << 20, defaults.height);
  section.ReadInteger("num_inference_steps", 1 << 20, defaults.num_inference_steps);
  section.ReadScale("guidance_scale", 1000, defaults.guidance_scale);
  section.ReadInteger("max_sequence_length", 1 << 20, defaults.max_sequence_length);
  section.Finish();
}

// The largest values are what the engine is made for, whatever a deployment allows.
void ReadLimits(Section section, ModelLimits& limits) {
  section.ReadInteger("size_multiple", 4096, limits.size_multiple);
  section.ReadInteger("min_size", 16384, limits.min_size);
  section.ReadInteger("max_size", 16384, limits.max_size);
  section.ReadInteger("max_pixels", int64_t{16384} * 16384, limits.max_pixels);
  section.ReadInteger("max_inference_steps", 1000, limits.max_inference_steps);
  section.ReadInteger("max_images", 1024, limits.max_images);
  section.ReadInteger("max_sequence_length", 512, limits.max_sequence_length);
  section.Finish();
}

void CheckSide(const char* field, int side, const ModelLimits& limits,
               std::vector<std::string>& problems) {
  if (side < limits.min_size || side > limits.max_size || side % limits.size_multiple != 0) {
    problems.push_back(absl::StrCat("defaults.", field, " ", side, ": expected a multiple of ",
                                    limits.size_multiple, " from ", limits.min_size, " to ",
                                    limits.max_size));
  }
}

void CheckAtMost(const char* field, int value, int limit, std::vector<std::string>& problems) {
  if (value > limit) {
    problems.push_back(
        absl::StrCat("defaults.", field, " ", value, ": above the limit of ", limit));
  }
}

void CheckTogether(int vae_multiple, const ModelInfo& info, std::vector<std::string>& problems) {
  const ModelDefaults& defaults = info.defaults;
  const ModelLimits& limits = info.limits;
  if (limits.size_multiple % vae_multiple != 0) {
    problems.push_back(absl::StrCat("limits.size_multiple ", limits.size_multiple,
                                    ": expected a multiple of the model's own, ", vae_multiple));
  }
  if (limits.min_size > limits.max_size) {
    problems.push_back(absl::StrCat("limits.min_size ", limits.min_size, ": above limits.max_size ",
                                    limits.max_size));
  }
  CheckSide("width", defaults.width, limits, problems);
  CheckSide("height", defaults.height, limits, problems);
  if (int64_t{defaults.width} * defaults.height > limits.max_pixels) {
    problems.push_back(
        absl::StrCat("defaults.width x height: above the limit of ", limits.max_pixels, " pixels"));
  }
  CheckAtMost("num_inference_steps", defaults.num_inference_steps, limits.max_inference_steps,
              problems);
  CheckAtMost("max_sequence_length", defaults.max_sequence_length, limits.max_sequence_length,
              problems);
}

}  // namespace

std::vector<std::string> ApplyOverrides(const nlohmann::json& file, ModelInfo& info) {
  std::vector<std::string> problems;
  const int vae_multiple = info.limits.size_multiple;
  Section top("tessera.json", &file, problems);
  if (const nlohmann::json* name = top.Find("name")) {
    if (name->is_string() && !name->get_ref<const std::string&>().empty()) {
      info.name = *name;
    } else {
      problems.emplace_back("name: expected a string that is not empty");
    }
  }
  ReadDefaults(Section("defaults", top.Find("defaults"), problems), info.defaults);
  ReadLimits(Section("limits", top.Find("limits"), problems), info.limits);
  top.Finish();
  CheckTogether(vae_multiple, info, problems);
  return problems;
}

}  // namespace tessera
