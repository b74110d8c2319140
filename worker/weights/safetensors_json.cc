#include "worker/weights/safetensors_json.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/quote.h"

namespace tessera {
namespace {

constexpr size_t kMaxDimensions = 32;

class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader& header() { return header_; }
  const absl::Status& status() const { return status_; }

  bool start_object(size_t /*elements*/) override {
    switch (place_) {
      case Place::kStart:
        place_ = Place::kTop;
        return true;
      case Place::kTop:
        if (name_ == "__metadata__") {
          place_ = Place::kMetadata;
        } else {
          place_ = Place::kTensor;
          entry_ = TensorEntry();
          offsets_.clear();
          fields_.clear();
        }
        return true;
      default:
        return Unexpected("an object");
    }
  }

  bool key(string_t& key) override {
    switch (place_) {
      case Place::kTop:
        name_ = key;
        return names_.insert(key).second || Fail(absl::StrCat("duplicate key ", Quote(key)));
      case Place::kMetadata:
        field_ = key;
        return header_.metadata.count(key) == 0 ||
               Fail(absl::StrCat("duplicate key ", Quote(key), " in __metadata__"));
      default:
        field_ = key;
        if (key != "dtype" && key != "shape" && key != "data_offsets") {
          return Fail(absl::StrCat("tensor ", Quote(name_), ": unknown field ", Quote(key)));
        }
        return fields_.insert(key).second ||
               Fail(absl::StrCat("tensor ", Quote(name_), ": duplicate field ", key));
    }
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[field_] = std::move(value);
      return true;
    }
    if (place_ != Place::kTensor || field_ != "dtype") return Unexpected("a string");
    entry_.dtype = std::move(value);
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ != Place::kTensor || field_ == "dtype") return Unexpected("an array");
    place_ = Place::kArray;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kArray) return Unexpected("a number");
    if (field_ == "data_offsets") {
      offsets_.push_back(value);
      return offsets_.size() <= 2 || Unexpected("a third offset");
    }
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Unexpected("a dimension above 2^63");
    }
    entry_.shape.push_back(static_cast<int64_t>(value));
    return entry_.shape.size() <= kMaxDimensions || Unexpected("more than 32 dimensions");
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      if (fields_.size() != 3 || offsets_.size() != 2) {
        return Fail(absl::StrCat("tensor ", Quote(name_),
                                 ": expected dtype, shape and data_offsets [begin, end]"));
      }
      entry_.begin = offsets_[0];
      entry_.end = offsets_[1];
      header_.tensors[name_] = std::move(entry_);
    }
    place_ = Place::kTop;
    return true;
  }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool /*value*/) override { return Unexpected("a boolean"); }
  bool number_integer(number_integer_t /*value*/) override {
    return Unexpected("a negative number");
  }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return Unexpected(absl::StrCat("the number ", Quote(text)));
  }
  bool binary(binary_t& /*value*/) override { return Unexpected("binary data"); }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    return Fail(absl::StrCat("invalid JSON at byte ", position, " of the header"));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kArray };

  bool Fail(const std::string& message) {
    status_ = absl::InvalidArgumentError(message);
    return false;
  }
  bool Unexpected(const std::string& what) {
    switch (place_) {
      case Place::kStart:
        return Fail(absl::StrCat("header: expected an object, found ", what));
      case Place::kTop:
        return Fail(absl::StrCat(Quote(name_), ": expected an object, found ", what));
      case Place::kMetadata:
        return Fail(
            absl::StrCat("__metadata__: ", Quote(field_), ": expected a string, found ", what));
      default:
        return Fail(absl::StrCat("tensor ", Quote(name_), ": ", field_, ": unexpectedly ", what));
    }
  }

  SafetensorsHeader header_;
  absl::Status status_;
  Place place_ = Place::kStart;
  std::set<std::string> names_;   // keys of the header so far
  std::string name_;              // the current one
  std::set<std::string> fields_;  // keys of the current tensor so far
  std::string field_;
  TensorEntry entry_;
  std::vector<uint64_t> offsets_;
};

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsJson(std::string_view text) {
  HeaderHandler handler;
  if (text.empty() || text.front() != '{') {
    return absl::InvalidArgumentError("header: expected an object");
  }
  if (!nlohmann::json::sax_parse(text, &handler)) return handler.status();
  return std::move(handler.header());
}

}  // namespace tessera
