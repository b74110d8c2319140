#include "common/request/field_values.h"

#include <cstdint>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace tessera {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

const FieldDescriptor& FieldOf(const Message& request, const RequestField& row) {
  const FieldDescriptor* const field = request.GetDescriptor()->FindFieldByName(row.name);
  Check(field != nullptr, "every row of the table of request fields names a field");
  return *field;
}

bool IsGiven(const Message& request, const RequestField& row) {
  return request.GetReflection()->HasField(request, &FieldOf(request, row));
}

std::string FieldText(const Message& request, const RequestField& row) {
  const FieldDescriptor& field = FieldOf(request, row);
  const Reflection& reflection = *request.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(request, &field);
    case FieldDescriptor::CPPTYPE_UINT64:  // a double does not hold all of them
      return absl::StrCat(reflection.GetUInt64(request, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrCat(reflection.GetDouble(request, &field));
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = reflection.GetEnumValue(request, &field);
      const EnumValueDescriptor* const value = field.enum_type()->FindValueByNumber(number);
      return value == nullptr ? absl::StrCat(number) : EnumWord(*value);
    }
    default:
      return absl::StrCat(static_cast<int64_t>(FieldNumber(request, row)));
  }
}

double FieldNumber(const Message& request, const RequestField& row) {
  const FieldDescriptor& field = FieldOf(request, row);
  const Reflection& reflection = *request.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(request, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<double>(reflection.GetUInt64(request, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(request, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(request, &field) ? 1 : 0;
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnumValue(request, &field);
    default:
      Check(false, "this request field is a number, a boolean or an enum");
      return 0;
  }
}

void SetFieldNumber(Message& request, const RequestField& row, double value) {
  const FieldDescriptor& field = FieldOf(request, row);
  const Reflection& reflection = *request.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&request, &field, static_cast<int32_t>(value));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&request, &field, static_cast<uint64_t>(value));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&request, &field, value);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&request, &field, value != 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(&request, &field, static_cast<int>(value));
    default:
      Check(false, "this request field is a number, a boolean or an enum");
  }
}

std::string EnumWord(const EnumValueDescriptor& value) {
  // The value with number 0 is <PREFIX>_UNSPECIFIED by the style of our protos.
  constexpr std::string_view kUnspecified = "UNSPECIFIED";
  const size_t prefix = value.type()->value(0)->name().size() - kUnspecified.size();
  return absl::AsciiStrToLower(value.name().substr(prefix));
}

}  // namespace tessera
