#include "worker/weights/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/worker/weights/safetensors_bytes.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using testing::SafetensorsBytes;

TEST(SafetensorsHeaderTest, GivesTensorsWithOffsetsFromTheStartOfTheFile) {
  const std::string json = R"({"__metadata__":{"format":"pt"},)"
                           R"("b":{"dtype":"BF16","shape":[2,1],"data_offsets":[8,12]},)"
                           R"("a":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}  )";
  const auto header = ParseSafetensorsHeader(SafetensorsBytes(json, std::string(12, 'x')));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->metadata.at("format"), "pt");
  ASSERT_EQ(header->tensors.size(), 2);
  const TensorEntry& b = header->tensors.at("b");
  EXPECT_EQ(b.dtype, "BF16");
  EXPECT_EQ(b.type, at::kBFloat16);
  EXPECT_EQ(b.shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(b.begin, 8 + json.size() + 8);
  EXPECT_EQ(b.end, 8 + json.size() + 12);
}

TEST(SafetensorsHeaderTest, AcceptsScalarsEmptyTensorsAndNoTensors) {
  EXPECT_TRUE(ParseSafetensorsHeader(SafetensorsBytes("{}")).ok());
  const auto header = ParseSafetensorsHeader(
      SafetensorsBytes(R"({"e":{"dtype":"F64","shape":[3,0],"data_offsets":[2,2]},)"
                       R"("s":{"dtype":"F16","shape":[],"data_offsets":[0,2]}})",
                       "xx"));
  EXPECT_TRUE(header.ok()) << header.status();
}

TEST(SafetensorsHeaderTest, AcceptsAnUnknownDtypeWithoutAType) {
  const auto header = ParseSafetensorsHeader(SafetensorsBytes(
      R"({"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", std::string(1, 'x')));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_FALSE(header->tensors.at("t").type.has_value());
}

struct Hostile {
  std::string name;
  std::string file;
  absl::StatusCode code;
  std::string message;  // a part of it
};

void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }

class HostileHeaderTest : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileHeaderTest, IsRefusedWithTheReason) {
  const auto header = ParseSafetensorsHeader(GetParam().file);
  EXPECT_EQ(header.status().code(), GetParam().code) << header.status();
  EXPECT_THAT(std::string(header.status().message()), HasSubstr(GetParam().message));
}

// A file of one F32 tensor "t" with this shape and these offsets, and 8 bytes of data.
std::string OneTensor(const std::string& shape, const std::string& offsets) {
  return SafetensorsBytes(
      R"({"t":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
      std::string(8, 'x'));
}

// A file of two U8 tensors, "a" and "b", of `a_size` and `b_size` elements.
std::string TwoTensors(const std::string& a_size, const std::string& a_offsets,
                       const std::string& b_size, const std::string& b_offsets, size_t data_size) {
  return SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[)" + a_size + R"(],"data_offsets":)" +
                              a_offsets + R"(},"b":{"dtype":"U8","shape":[)" + b_size +
                              R"(],"data_offsets":)" + b_offsets + "}}",
                          std::string(data_size, 'x'));
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kLoss = absl::StatusCode::kDataLoss;

INSTANTIATE_TEST_SUITE_P(
    All, HostileHeaderTest,
    ::testing::Values(
        Hostile{"EmptyFile", "", kLoss, "8 bytes"},  //
        Hostile{"SevenBytes", "1234567", kLoss, "8 bytes"},
        Hostile{"HeaderBeyondFile", std::string("\x20\0\0\0\0\0\0\0{}", 10), kLoss, "truncated"},
        Hostile{"HeaderOf2To63", std::string("\0\0\0\0\0\0\0\x80{}", 10), kInvalid, "at most"},
        Hostile{"HeaderOf2To64", std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), kInvalid,
                "at most"},
        Hostile{"EmptyHeader", SafetensorsBytes(""), kInvalid, "expected an object"},
        Hostile{"NotJson", SafetensorsBytes("{\"t\":"), kInvalid, "invalid JSON at byte"},
        Hostile{"TrailingText", SafetensorsBytes("{}{}"), kInvalid, "invalid JSON"},
        Hostile{"InvalidUtf8", SafetensorsBytes("{\"\xff\":{}}"), kInvalid, "invalid JSON"},
        Hostile{"ArrayOnTop", SafetensorsBytes("[]"), kInvalid, "expected an object"},
        Hostile{"LeadingSpace", SafetensorsBytes(" {}"), kInvalid, "expected an object"},
        Hostile{"DeepNesting", SafetensorsBytes("{\"t\":" + std::string(1'000'000, '[')), kInvalid,
                "expected an object"},
        Hostile{"DeepObjects", SafetensorsBytes("{\"t\":{\"shape\":" + std::string(1'000'000, '[')),
                kInvalid, "array"},
        Hostile{"EntryIsNull", SafetensorsBytes(R"({"t":null})"), kInvalid, "found null"},
        Hostile{"EntryIsEmpty", SafetensorsBytes(R"({"t":{}})"), kInvalid, "expected dtype"},
        Hostile{"NoDtype", SafetensorsBytes(R"({"t":{"shape":[],"data_offsets":[0,0]}})"), kInvalid,
                "expected dtype"},
        Hostile{
            "UnknownField",
            SafetensorsBytes(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":1}})"),
            kInvalid, "unknown field 'more'"},
        Hostile{"DtypeIsNumber", SafetensorsBytes(R"({"t":{"dtype":7}})"), kInvalid, "dtype"},
        Hostile{"DtypeIsList", SafetensorsBytes(R"({"t":{"dtype":["F32"]}})"), kInvalid, "dtype"},
        Hostile{"ShapeIsString", SafetensorsBytes(R"({"t":{"shape":"2"}})"), kInvalid, "shape"},
        Hostile{"DuplicateTensor",
                SafetensorsBytes(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{}})"),
                kInvalid, "duplicate key 't'"},
        Hostile{"DuplicateField", SafetensorsBytes(R"({"t":{"dtype":"U8","dtype":"F64"}})"),
                kInvalid, "duplicate field dtype"},
        Hostile{"DuplicateMetadata", SafetensorsBytes(R"({"__metadata__":{},"__metadata__":{}})"),
                kInvalid, "duplicate key '__metadata__'"},
        Hostile{"MetadataIsNumber", SafetensorsBytes(R"({"__metadata__":{"format":1}})"), kInvalid,
                "__metadata__"},
        Hostile{"NegativeDimension", OneTensor("[-2]", "[0,8]"), kInvalid, "negative"},
        Hostile{"FractionalDimension", OneTensor("[2.0]", "[0,8]"), kInvalid, "2.0"},
        Hostile{"DimensionAboveInt64", OneTensor("[9223372036854775808]", "[0,8]"), kInvalid,
                "2^63"},
        Hostile{"DimensionAboveUint64", OneTensor("[18446744073709551618]", "[0,8]"), kInvalid,
                "18446744073709551618"},
        Hostile{"ElementCountOverflows", OneTensor("[4294967296,4294967296]", "[0,0]"), kInvalid,
                "too many elements"},
        Hostile{"ElementCountWrapsToTwo", OneTensor("[9223372036854775807,2,3]", "[0,8]"), kInvalid,
                "too many elements"},
        Hostile{"EmptyWithHugeStrides", OneTensor("[0,4294967296,4294967296]", "[0,0]"), kInvalid,
                "too many elements"},
        Hostile{"ByteCountOverflows", OneTensor("[4611686018427387906]", "[0,8]"), kInvalid,
                "do not fit"},
        Hostile{"ThirtyThreeDimensions",
                OneTensor("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
                          "[0,4]"),
                kInvalid, "32 dimensions"},
        Hostile{"RangeTooSmall", OneTensor("[3]", "[0,8]"), kInvalid, "do not fit F32 [3]"},
        Hostile{"RangeTooLarge", OneTensor("[1]", "[0,8]"), kInvalid, "do not fit F32 [1]"},
        Hostile{"OffsetsBackwards", OneTensor("[2]", "[8,0]"), kInvalid, "backwards"},
        Hostile{"OneOffset", OneTensor("[2]", "[8]"), kInvalid, "data_offsets"},
        Hostile{"ThreeOffsets", OneTensor("[2]", "[0,8,8]"), kInvalid, "third offset"},
        Hostile{"NegativeOffset", OneTensor("[2]", "[-8,0]"), kInvalid, "negative"},
        Hostile{"OffsetsOutsideFile", OneTensor("[2]", "[8,16]"), kInvalid, "hole"},
        Hostile{"OffsetsNear2To64", OneTensor("[2]", "[18446744073709551608,18446744073709551615]"),
                kInvalid, "do not fit"},
        Hostile{"DataTruncated", TwoTensors("4", "[0,4]", "4", "[4,8]", 7), kLoss,
                "7 bytes where the header promises 8"},
        Hostile{"DataTooLong", TwoTensors("4", "[0,4]", "4", "[4,8]", 9), kInvalid,
                "1 bytes follow the last tensor"},
        Hostile{"Overlap", TwoTensors("4", "[0,4]", "4", "[3,7]", 7), kInvalid, "overlaps"},
        Hostile{"SameRange", TwoTensors("4", "[0,4]", "4", "[0,4]", 4), kInvalid, "overlaps"},
        Hostile{"Hole", TwoTensors("4", "[0,4]", "4", "[5,9]", 9), kInvalid, "hole"},
        Hostile{"HoleInFront", TwoTensors("4", "[1,5]", "4", "[5,9]", 9), kInvalid, "hole"}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace tessera
