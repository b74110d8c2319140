#include "client/request_flags.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/flags/strict_flags.h"
#include "common/request/field_values.h"

namespace tessera {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string HelpOf(const RequestField& row) {
  if (row.default_in_words == nullptr) return row.help;
  return absl::StrCat(row.help, " [", row.default_in_words, "]");
}

// Says beside what is wrong how to get the default.
CLI::Validator WithDefault(const CLI::Validator& check, const RequestField& row) {
  if (row.default_in_words == nullptr) return check;
  const std::string hint =
      absl::StrCat("; leave the flag out for its default (", row.default_in_words, ")");
  const auto check_and_hint = [check, hint](std::string& text) {
    const std::string error = check(text);
    return error.empty() ? error : error + hint;
  };
  return CLI::Validator(check_and_hint, check.get_description());
}

template <typename T>
CLI::Option* AddNumber(CLI::App& app, Message& request, const RequestField& row,
                       void (Reflection::*set)(Message*, const FieldDescriptor*, T) const) {
  const auto assign = [&request, &row, set](const T& value) {
    (request.GetReflection()->*set)(&request, &FieldOf(request, row), value);
  };
  return app.add_option_function<T>(row.flag, assign, HelpOf(row))
      ->transform(WithDefault(NumberIn<T>(), row));
}

CLI::Option* AddText(CLI::App& app, Message& request, const RequestField& row) {
  const auto assign = [&request, &row](const std::string& value) {
    request.GetReflection()->SetString(&request, &FieldOf(request, row), value);
  };
  return app.add_option_function<std::string>(row.flag, assign, HelpOf(row));
}

CLI::Option* AddEnum(CLI::App& app, Message& request, const RequestField& row) {
  const EnumDescriptor& type = *FieldOf(request, row).enum_type();
  std::vector<std::string> words;
  for (int i = 1; i < type.value_count(); ++i) words.push_back(EnumWord(*type.value(i)));
  const auto assign = [&request, &row, &type](const std::string& word) {
    for (int i = 1; i < type.value_count(); ++i) {
      if (EnumWord(*type.value(i)) == word) SetFieldNumber(request, row, type.value(i)->number());
    }
  };
  return app.add_option_function<std::string>(row.flag, assign, HelpOf(row))
      ->check(WithDefault(CLI::IsMember(words), row));
}

CLI::Option* AddSwitch(CLI::App& app, Message& request, const RequestField& row) {
  return app.add_flag_callback(
      row.flag, [&request, &row] { SetFieldNumber(request, row, 1); }, HelpOf(row));
}

CLI::Option* AddRequestFlag(CLI::App& app, Message& request, const RequestField& row) {
  switch (FieldOf(request, row).cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return AddNumber<int32_t>(app, request, row, &Reflection::SetInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return AddNumber<uint64_t>(app, request, row, &Reflection::SetUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return AddNumber<double>(app, request, row, &Reflection::SetDouble);
    case FieldDescriptor::CPPTYPE_STRING:
      return AddText(app, request, row);
    case FieldDescriptor::CPPTYPE_ENUM:
      return AddEnum(app, request, row);
    case FieldDescriptor::CPPTYPE_BOOL:
      return AddSwitch(app, request, row);
    default:
      Check(false, "there are flags for fields of this type");
      return nullptr;
  }
}

}  // namespace

void AddRequestFlags(CLI::App& app, Message& request, std::span<const RequestField> rows) {
  for (const RequestField& row : rows) {
    CLI::Option* const option = AddRequestFlag(app, request, row);
    if (row.default_in_words == nullptr) option->required();
  }
}

}  // namespace tessera
