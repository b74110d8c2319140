#include "server/request/validation.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/request/field_values.h"
#include "server/request/utf8.h"

namespace tessera {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool SideFits(int side, const ModelLimits& limits) {
  return side >= limits.min_size && side <= limits.max_size && side % limits.size_multiple == 0;
}

// Checks one given field against the values that its row allows.
class FieldCheck {
 public:
  // `limits` null: they are not known, and nothing breaks them.
  FieldCheck(const Message& request, const RequestField& row, const ModelLimits* limits,
             std::vector<FieldViolation>& violations)
      : request_(request), row_(row), limits_(limits), violations_(violations) {}

  void operator()(const AnyValue&) const {
    const FieldDescriptor& field = FieldOf(request_, row_);
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) return;
    const int number = static_cast<int>(Number());
    if (field.enum_type()->FindValueByNumber(number) != nullptr) return;
    Add(absl::StrCat("must be a value of ", field.enum_type()->name(), ", is ", number));
  }

  void operator()(const ValidText& allowed) const {
    const std::string text = FieldText(request_, row_);
    if (!IsValidUtf8(text)) {
      Add("must be valid UTF-8");
    } else if (text.find('\0') != std::string::npos) {
      Add("must not contain the character U+0000");
    }
    if (allowed.most_bytes.has_value() && text.size() > *allowed.most_bytes) {
      Add(absl::StrCat("must have at most ", *allowed.most_bytes, " bytes, has ", text.size()));
    }
  }

  void operator()(const WholeNumberIn& allowed) const { CheckIn(allowed.least, allowed.most); }

  void operator()(const RealNumberIn& allowed) const { CheckIn(allowed.least, allowed.most); }

  void operator()(const UpToModelLimit& allowed) const {
    if (limits_ != nullptr) CheckIn(1, limits_->*allowed.most);
  }

  void operator()(const PictureSide&) const {
    if (limits_ == nullptr || SideFits(static_cast<int>(Number()), *limits_)) return;
    Add(absl::StrCat("must be a multiple of ", limits_->size_multiple, " in [", limits_->min_size,
                     ", ", limits_->max_size, "], is ", FieldText(request_, row_)));
  }

 private:
  double Number() const { return FieldNumber(request_, row_); }

  template <typename T>
  void CheckIn(T least, T most) const {
    const double value = Number();
    if (value >= static_cast<double>(least) && value <= static_cast<double>(most)) return;
    Add(absl::StrCat("must be in [", least, ", ", most, "], is ",  // NaN too
                     FieldText(request_, row_)));
  }

  void Add(std::string description) const {
    violations_.push_back({row_.name, std::move(description)});
  }

  const Message& request_;
  const RequestField& row_;
  const ModelLimits* const limits_;
  std::vector<FieldViolation>& violations_;
};

void CheckPixels(const v1::GenerateImageRequest& request, const ModelInfo& model,
                 std::vector<FieldViolation>& violations) {
  const int width = request.has_width() ? request.width() : model.defaults.width;
  const int height = request.has_height() ? request.height() : model.defaults.height;
  if (request.has_width() && !SideFits(width, model.limits)) return;
  if (request.has_height() && !SideFits(height, model.limits)) return;
  if (static_cast<int64_t>(width) * height <= model.limits.max_pixels) return;
  violations.push_back({request.has_width() ? "width" : "height",
                        absl::StrCat("width x height must be at most ", model.limits.max_pixels,
                                     " pixels, is ", width, " x ", height)});
}

}  // namespace

std::vector<FieldViolation> ValidateFields(const Message& request, const ModelLimits* limits,
                                           std::span<const RequestField> rows) {
  std::vector<FieldViolation> violations;
  for (const RequestField& row : rows) {
    if (!IsGiven(request, row)) continue;
    std::visit(FieldCheck(request, row, limits, violations), row.allowed);
  }
  return violations;
}

void FillFields(Message& request, const DefaultSources& sources,
                std::span<const RequestField> rows) {
  for (const RequestField& row : rows) {
    if (row.default_value == nullptr || IsGiven(request, row)) continue;
    const std::optional<double> value = row.default_value(sources);
    if (value.has_value()) SetFieldNumber(request, row, *value);
  }
}

std::vector<FieldViolation> ValidateRequest(const v1::GenerateImageRequest& request,
                                            const ModelInfo* model) {
  if (model == nullptr) return ValidateFields(request, nullptr, RequestFields());
  std::vector<FieldViolation> violations = ValidateFields(request, &model->limits, RequestFields());
  CheckPixels(request, *model, violations);
  return violations;
}

v1::GenerateImageRequest FillDefaults(const v1::GenerateImageRequest& request,
                                      const ModelInfo& model, const RequestDefaults& defaults,
                                      uint32_t drawn_seed) {
  v1::GenerateImageRequest filled = request;
  FillFields(filled, {.model = &model.defaults, .server = &defaults, .drawn_seed = drawn_seed},
             RequestFields());
  return filled;
}

}  // namespace tessera
