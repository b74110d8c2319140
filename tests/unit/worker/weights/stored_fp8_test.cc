#include "worker/weights/stored_fp8.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "tests/support/open_weights.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/worker/weights/safetensors_bytes.h"
#include "worker/weights/safetensors_writer.h"
#include "worker/weights/weight_reader.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::OpenWeights;
using testing::TempDir;

using Tensors = std::map<std::string, at::Tensor>;

// A part of one layer, 6x8, stored in FP8.
class StoredFp8Test : public ::testing::Test {
 protected:
  static at::Tensor Values() {
    at::manual_seed(3);
    return at::randn({6, 8}).to(at::kFloat8_e4m3fn);
  }

  // One file, or one for the values and one for all else.
  void Write(Tensors beside, bool in_shards = false) const {
    const Tensors values = {{"layer.weight", Values()}};
    if (!in_shards) {
      beside.merge(Tensors(values));
      ASSERT_TRUE(WriteSafetensors(dir_ / "model.safetensors", beside).ok());
      return;
    }
    ASSERT_TRUE(WriteSafetensors(dir_ / "model-1.safetensors", values).ok());
    ASSERT_TRUE(WriteSafetensors(dir_ / "model-2.safetensors", beside).ok());
    dir_.Write("model.safetensors.index.json",
               R"({"weight_map": {"layer.weight": "model-1.safetensors",
                                  "layer.weight_scale": "model-2.safetensors"}})");
  }

  absl::StatusOr<WeightReader> Open(WeightOptions options = {}) const {
    options.cache_dir = cache_.path();
    return OpenWeights(dir_.path(), "model", options);
  }

  // The layer's weight in `options`' type, and no complaint about anything.
  at::Tensor Take(const WeightOptions& options = {}) const {
    absl::StatusOr<WeightReader> reader = Open(options);
    EXPECT_TRUE(reader.ok()) << reader.status();
    at::Tensor weight = reader->Take("layer.weight", {6, 8});
    EXPECT_TRUE(reader->Finish().ok()) << reader->Finish();
    return weight;
  }
  Fp8Rows TakeFp8(const WeightOptions& options = {}) const {
    absl::StatusOr<WeightReader> reader = Open(options);
    EXPECT_TRUE(reader.ok()) << reader.status();
    Fp8Rows weight = reader->TakeFp8("layer.weight", {6, 8});
    EXPECT_TRUE(reader->Finish().ok()) << reader->Finish();
    return weight;
  }

  std::string OpenError() const { return Open().status().ToString(); }

  const TempDir dir_;
  const TempDir cache_;
};

void ExpectRows(const Fp8Rows& rows, const at::Tensor& values, const at::Tensor& scales) {
  EXPECT_TRUE(at::equal(rows.values.view(at::kByte), values.view(at::kByte)));
  EXPECT_TRUE(at::equal(rows.scales, scales));
  EXPECT_TRUE(rows.scales.is_contiguous());
}

struct Scale {
  std::string name, suffix;
  at::Tensor stored;
  at::Tensor of_rows;  // [6, 1]
};

std::vector<Scale> Scales() {
  const at::Tensor each = at::arange(1, 7, at::kFloat) / 32, one = at::scalar_tensor(0.375);
  const at::Tensor all = at::full({6, 1}, 0.375);
  return {{"WeightScalePerRow", ".weight_scale", each.view({6, 1}), each.view({6, 1})},
          {"WeightScalePerRowFlat", ".weight_scale", each, each.view({6, 1})},
          {"WeightScaleBf16", ".weight_scale", each.to(at::kBFloat16), each.view({6, 1})},
          {"WeightScaleScalar", ".weight_scale", one, all},
          {"WeightScaleOne", ".weight_scale", one.view({1}), all},
          {"ScaleWeightScalar", ".scale_weight", one, all},
          {"ScaleWeightOne", ".scale_weight", one.view({1}).to(at::kHalf), all}};
}

TEST_F(StoredFp8Test, TakesValuesAndScalesAsTheyAreStored) {
  for (const Scale& scale : Scales()) {
    SCOPED_TRACE(scale.name);
    for (const bool in_shards : {false, true}) {
      if (in_shards && scale.suffix != ".weight_scale") continue;
      Write({{"layer" + scale.suffix, scale.stored}}, in_shards);
      const Fp8Rows rows = TakeFp8({.stored_fp8 = StoredFp8::kKeep});
      ExpectRows(rows, Values(), scale.of_rows);
      std::filesystem::remove(dir_ / "model.safetensors");
    }
  }
}

TEST_F(StoredFp8Test, TakesRowsTimesTheirScaleInComputeType) {
  for (const Scale& scale : Scales()) {
    SCOPED_TRACE(scale.name);
    Write({{"layer" + scale.suffix, scale.stored}});
    const at::Tensor expected = Values().to(at::kFloat) * scale.of_rows;
    for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      for (const StoredFp8 stored_fp8 : {StoredFp8::kConvert, StoredFp8::kKeep}) {
        const at::Tensor weight = Take({.dtype = type, .stored_fp8 = stored_fp8});
        EXPECT_EQ(weight.scalar_type(), type);
        EXPECT_TRUE(at::equal(weight, expected.to(type)));
      }
    }
    std::filesystem::remove_all(cache_.path());
  }
}

TEST_F(StoredFp8Test, ScaleIsOneWithoutATensorAndForOtherNames) {
  const at::Tensor vector = at::tensor({1.5, -3.0}).to(at::kFloat8_e4m3fn);
  Write({{"layer.bias", vector}, {"number", vector[0]}, {"cube", Values().view({2, 3, 8})}});
  for (const StoredFp8 stored_fp8 : {StoredFp8::kConvert, StoredFp8::kKeep}) {
    auto reader = Open({.stored_fp8 = stored_fp8});
    EXPECT_TRUE(at::equal(reader->Take("layer.weight", {6, 8}), Values().to(at::kFloat)));
    EXPECT_TRUE(at::equal(reader->Take("layer.bias", {2}), at::tensor({1.5F, -3.0F})));
    EXPECT_TRUE(at::equal(reader->Take("number", {}), at::scalar_tensor(1.5F)));
    EXPECT_TRUE(
        at::equal(reader->Take("cube", {2, 3, 8}), Values().to(at::kFloat).view({2, 3, 8})));
    ExpectRows(reader->TakeFp8("layer.weight", {6, 8}), Values(), at::ones({6, 1}));
    EXPECT_TRUE(reader->Finish().ok()) << reader->Finish();
  }
}

TEST_F(StoredFp8Test, IgnoresMarksAndScalesOfInputs) {
  const at::Tensor one = at::scalar_tensor(1.0F);
  Write({{"layer.scale_weight", one},
         {"layer.scale_input", one},
         {"layer.input_scale", one},
         {"layer.comfy_quant", at::zeros({27}, at::kByte)},
         {"scaled_fp8", at::empty({0}, at::kFloat8_e4m3fn)}});
  ExpectRows(TakeFp8(), Values(), at::ones({6, 1}));
  EXPECT_TRUE(Take().defined());
}

TEST_F(StoredFp8Test, RefusesWhatBelongsToNoTakenTensor) {
  Write({{"other.weight_scale", at::ones({1})}, {"layer.weight_scale_inv", at::ones({1, 1})}});
  auto reader = Open();
  reader->TakeFp8("layer.weight", {6, 8});
  EXPECT_THAT(reader->Finish().ToString(),
              AllOf(HasSubstr("unexpected tensor 'other.weight_scale'"),
                    HasSubstr("unexpected tensor 'layer.weight_scale_inv'")));
}

TEST_F(StoredFp8Test, QuantisesWhatIsStoredInAnotherType) {
  const at::Tensor weight = at::randn({6, 8});
  ASSERT_TRUE(WriteSafetensors(dir_ / "model.safetensors", {{"layer.weight", weight}}).ok());
  const Fp8Rows expected = QuantizeRows(weight, {});
  ExpectRows(TakeFp8(), expected.values, expected.scales);
}

TEST_F(StoredFp8Test, NamesABadScaleWithItsFileAndWhatWasExpected) {
  const struct {
    at::Tensor scale;
    std::string found;
  } cases[] = {
      {at::ones({5}), "is F32 [5], expected F32, F16 or BF16 [], [1], [6] or [6, 1]"},
      {at::ones({1, 6}), "is F32 [1, 6], expected"},
      {at::ones({3, 4}), "is F32 [3, 4], expected"},  // of blocks
      {at::ones({6, 1}, at::kByte), "is U8 [6, 1], expected"},
      {at::full({}, std::numeric_limits<float>::infinity()), "is not finite"},
      {at::full({6}, std::numeric_limits<float>::quiet_NaN()), "is not finite"},
  };
  for (const auto& [scale, found] : cases) {
    Write({{"layer.weight_scale", scale}});
    EXPECT_EQ(Open().status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(OpenError(),
                HasSubstr(dir_ / "model.safetensors" + ": tensor 'layer.weight_scale' " + found));
  }
  Write({{"layer.weight_scale", at::ones({1})}, {"layer.scale_weight", at::ones({1})}});
  EXPECT_THAT(OpenError(), HasSubstr("tensor 'layer.scale_weight' is there, expected "
                                     "'layer.weight_scale' alone"));
}

TEST_F(StoredFp8Test, NamesAnotherFp8TypeAndAWrongShape) {
  ASSERT_TRUE(WriteSafetensors(dir_ / "model.safetensors",
                               {{"layer.weight", at::ones({6, 8}).to(at::kFloat8_e5m2)},
                                {"shape.weight", Values()}})
                  .ok());
  auto reader = Open();
  EXPECT_FALSE(reader->TakeFp8("layer.weight", {6, 8}).values.defined());
  EXPECT_FALSE(reader->TakeFp8("shape.weight", {8, 6}).values.defined());
  EXPECT_FALSE(reader->TakeFp8("none.weight", {8, 6}).values.defined());
  EXPECT_THAT(reader->Finish().ToString(),
              AllOf(HasSubstr("model.safetensors: tensor 'layer.weight' is F8_E5M2 [6, 8], "
                              "expected F32, F16, BF16 or F8_E4M3 [6, 8]"),
                    HasSubstr("tensor 'shape.weight' is F8_E4M3 [6, 8], expected"),
                    HasSubstr("missing tensor 'none.weight', expected [8, 6]")));
}

TEST_F(StoredFp8Test, ValuesAreViewsOfTheMappingAndNothingIsConverted) {
  Write({{"layer.weight_scale", at::ones({1})}});
  auto reader = Open({.stored_fp8 = StoredFp8::kKeep});
  EXPECT_EQ(reader->TakeFp8("layer.weight", {6, 8}).values.const_data_ptr(),
            reader->TakeFp8("layer.weight", {6, 8}).values.const_data_ptr());
  EXPECT_TRUE(std::filesystem::is_empty(cache_.path()));
}

// What the cache holds serves both choices; each alone writes no more than it needs.
TEST_F(StoredFp8Test, ConvertsOnceForBothChoices) {
  Write({{"half", at::ones({1000}, at::kHalf)}});
  const auto size = [&] {
    uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(cache_.path())) {
      if (file.path().extension() == ".safetensors") bytes += file.file_size();
    }
    return bytes;
  };
  const auto take = [&](StoredFp8 stored_fp8) {
    auto reader = Open({.stored_fp8 = stored_fp8});
    EXPECT_TRUE(at::equal(reader->Take("half", {1000}), at::ones({1000})));
    EXPECT_TRUE(at::equal(reader->Take("layer.weight", {6, 8}), Values().to(at::kFloat)));
    return size();
  };
  const uintmax_t kept = take(StoredFp8::kKeep);
  const uintmax_t converted = take(StoredFp8::kConvert);
  EXPECT_GT(converted, kept + 6 * 8 * 4);
  EXPECT_EQ(take(StoredFp8::kKeep), converted);
}

TEST_F(StoredFp8Test, CountsABytePerValueAndAScalePerRow) {
  Write({});
  int64_t bytes = 0;
  TakeFp8({.taken_bytes = &bytes});
  EXPECT_EQ(bytes, 6 * 8 + 6 * 4);
}

TEST_F(StoredFp8Test, OnTheMetaDeviceIsCheckedAndNotRead) {
  Write({{"layer.weight_scale", at::ones({6})}});
  const WeightOptions meta = {.dtype = at::kBFloat16, .device = at::kMeta};
  EXPECT_TRUE(Take(meta).is_meta());
  EXPECT_EQ(Take(meta).scalar_type(), at::kBFloat16);
  EXPECT_TRUE(TakeFp8(meta).values.is_meta());
  Write({{"layer.weight_scale", at::ones({5})}});
  EXPECT_THAT(Open(meta).status().ToString(), HasSubstr("'layer.weight_scale' is F32 [5]"));
}

TEST_F(StoredFp8Test, AllocatesNothingForClaimedRows) {
  dir_.Write("model.safetensors",
             testing::SafetensorsBytes(R"({"layer.weight": {"dtype": "F8_E4M3", "shape":
                 [1125899906842624, 0], "data_offsets": [0, 0]}, "layer.weight_scale":
                 {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}})",
                                       std::string(4, '\0')));
  for (const StoredFp8 stored_fp8 : {StoredFp8::kConvert, StoredFp8::kKeep}) {
    auto reader = Open({.dtype = at::kBFloat16, .stored_fp8 = stored_fp8});
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_FALSE(reader->TakeFp8("layer.weight", {6, 8}).values.defined());
  }
}

TEST_F(StoredFp8Test, RandomWeightsCanBeFp8) {
  WeightReader reader = WeightReader::Random({.dtype = at::kBFloat16});
  const Fp8Rows rows = reader.TakeFp8("any.weight", {6, 8});
  EXPECT_EQ(rows.values.sizes(), at::IntArrayRef({6, 8}));
  EXPECT_EQ(rows.values.scalar_type(), at::kFloat8_e4m3fn);
  EXPECT_EQ(rows.scales.sizes(), at::IntArrayRef({6, 1}));
}

}  // namespace
}  // namespace tessera
