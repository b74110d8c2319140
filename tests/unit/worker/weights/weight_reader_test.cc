#include "worker/weights/weight_reader.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/golden.h"
#include "tests/support/open_weights.h"
#include "tests/support/temp_dir.h"
#include "worker/weights/mapped_file.h"
#include "worker/weights/safetensors_header.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::OpenWeights;
using testing::TempDir;

using Tensors = std::map<std::string, at::Tensor>;

void WriteWeights(const TempDir& dir, const std::string& name, const Tensors& tensors) {
  ASSERT_TRUE(WriteSafetensors(dir / name, tensors).ok());
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class WeightConversionTest
    : public ::testing::TestWithParam<std::tuple<at::ScalarType, at::ScalarType>> {};

TEST_P(WeightConversionTest, GivesTheStoredValuesInTheComputeType) {
  const auto [stored, compute] = GetParam();
  const TempDir dir;
  const TempDir cache;
  const at::Tensor weight = at::randn({5, 7}).to(stored);
  WriteWeights(dir, "model.safetensors", {{"w", weight}, {"b", weight[0]}});
  auto reader = OpenWeights(dir.path(), "model", {compute, at::kCPU, cache.path()});
  ASSERT_TRUE(reader.ok()) << reader.status();
  const at::Tensor taken = reader->Take("w", {5, 7});
  ASSERT_TRUE(taken.defined());
  EXPECT_EQ(taken.scalar_type(), compute);
  EXPECT_TRUE(at::equal(taken, weight.to(compute)));
  EXPECT_TRUE(at::equal(reader->Take("b", {7}), weight[0].to(compute)));
  EXPECT_TRUE(reader->Finish().ok()) << reader->Finish();
  EXPECT_EQ(std::filesystem::is_empty(cache.path()), stored == compute);
}

INSTANTIATE_TEST_SUITE_P(StoredAndComputeType, WeightConversionTest,
                         ::testing::Combine(::testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                                            ::testing::Values(at::kFloat, at::kHalf,
                                                              at::kBFloat16)),
                         [](const auto& param_info) {
                           return SafetensorsDtype(std::get<0>(param_info.param)) + "To" +
                                  SafetensorsDtype(std::get<1>(param_info.param));
                         });

TEST(WeightReaderTest, TakesViewsOfOneMappingAndKeepsThemAlive) {
  const TempDir dir;
  WriteWeights(dir, "model.safetensors", {{"w", at::ones({4})}});
  at::Tensor first;
  {
    auto reader = OpenWeights(dir.path(), "model", {});
    first = reader->Take("w", {4});
    EXPECT_EQ(first.const_data_ptr(), reader->Take("w", {4}).const_data_ptr());
  }
  EXPECT_TRUE(at::equal(first, at::ones({4})));
}

TEST(WeightReaderTest, ConvertsOnlyWhatIsStoredInAnotherType) {
  const TempDir dir;
  const TempDir cache;
  WriteWeights(dir, "model.safetensors",
               {{"half", at::ones({4}, at::kHalf)}, {"full", at::ones({100'000})}});
  auto reader = OpenWeights(dir.path(), "model", {at::kFloat, at::kCPU, cache.path()});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->Take("half", {4}).scalar_type(), at::kFloat);
  EXPECT_EQ(reader->Take("full", {100'000}).scalar_type(), at::kFloat);
  for (const auto& entry : std::filesystem::directory_iterator(cache.path())) {
    EXPECT_LT(entry.file_size(), 1000) << entry.path();
  }
}

TEST(WeightReaderTest, ReadsShardsThroughTheIndex) {
  auto reader = OpenWeights(testing::TinyFluxDir() + "/transformer", "diffusion_pytorch_model", {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->Has("context_embedder.bias"));  // in the first shard
  EXPECT_TRUE(reader->Has("norm_out.linear.bias"));   // in the second
  EXPECT_TRUE(reader->Take("norm_out.linear.bias", {192}).defined());
}

TEST(WeightReaderTest, PrefersTheUnnumberedFile) {
  const TempDir dir;
  WriteWeights(dir, "model.safetensors", {{"w", at::ones({4})}});
  dir.Write("model.safetensors.index.json", "not even JSON");
  EXPECT_TRUE(OpenWeights(dir.path(), "model", {}).ok());
}

TEST(WeightReaderTest, ListsEveryProblemAtOnceWithItsFile) {
  const TempDir dir;
  WriteWeights(dir, "model-1.safetensors",
               {{"good", at::ones({2})}, {"shape", at::ones({2, 3})}, {"extra", at::ones({1})}});
  WriteWeights(dir, "model-2.safetensors",
               {{"type", at::ones({2}, at::kLong)}, {"ignored", at::ones({1})}});
  dir.Write("model.safetensors.index.json",
            R"({"weight_map": {"good": "model-1.safetensors", "type": "model-2.safetensors"}})");
  auto reader = OpenWeights(dir.path(), "model", {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  reader->Ignore("ignored");
  reader->Ignore("not there");
  EXPECT_TRUE(reader->Take("good", {2}).defined());
  EXPECT_FALSE(reader->Take("shape", {3, 2}).defined());
  EXPECT_FALSE(reader->Take("type", {2}).defined());
  EXPECT_FALSE(reader->Take("missing", {7}).defined());
  const absl::Status status = reader->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), AllOf(HasSubstr(dir.path() + "/model: 4 problems"),
                                     HasSubstr("model-1.safetensors: tensor 'shape' is F32 [2, 3], "
                                               "expected F32, F16, BF16 or F8_E4M3 [3, 2]"),
                                     HasSubstr("model-2.safetensors: tensor 'type' is I64 [2]"),
                                     HasSubstr("missing tensor 'missing', expected [7]"),
                                     HasSubstr("model-1.safetensors: unexpected tensor 'extra'"),
                                     Not(HasSubstr("good")), Not(HasSubstr("ignored"))));
}

TEST(WeightReaderTest, IgnoresByPrefix) {
  const TempDir dir;
  WriteWeights(dir, "model.safetensors",
               {{"encoder.a", at::ones({1})}, {"encoder.b", at::ones({1})}, {"en", at::ones({1})}});
  auto reader = OpenWeights(dir.path(), "model", {});
  reader->IgnorePrefix("encoder.");
  EXPECT_THAT(Message(reader->Finish()),
              AllOf(HasSubstr("unexpected tensor 'en'"), Not(HasSubstr("encoder."))));
}

TEST(WeightReaderTest, TellsTheStoredShape) {
  const TempDir dir;
  WriteWeights(dir, "model.safetensors", {{"w", at::ones({2, 3})}});
  auto reader = OpenWeights(dir.path(), "model", {});
  EXPECT_EQ(reader->Shape("w"), (std::vector<int64_t>{2, 3}));
  EXPECT_TRUE(reader->Shape("none").empty());
}

TEST(WeightReaderTest, RandomWeightsHaveEveryNameInAnyShape) {
  WeightReader reader = WeightReader::Random({at::kBFloat16});
  const at::Tensor weight = reader.Take("w", {64, 100});
  EXPECT_EQ(weight.sizes(), at::IntArrayRef({64, 100}));
  EXPECT_EQ(weight.scalar_type(), at::kBFloat16);
  EXPECT_NEAR(weight.to(at::kFloat).std().item<double>(), 0.1, 0.01);
  EXPECT_TRUE(reader.Has("anything"));
  EXPECT_TRUE(reader.Finish().ok());
}

TEST(WeightReaderTest, ReportsAMissingPart) {
  const TempDir dir;
  const absl::Status status = OpenWeights(dir.path(), "model", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(status), AllOf(HasSubstr(dir.path()), HasSubstr("model.safetensors")));
}

TEST(WeightReaderTest, ReportsAMissingShard) {
  const TempDir dir;
  dir.Write("model.safetensors.index.json", R"({"weight_map": {"w": "model-1.safetensors"}})");
  const absl::Status status = OpenWeights(dir.path(), "model", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(status), HasSubstr("model-1.safetensors"));
}

TEST(WeightReaderTest, ReportsAnIndexThatDoesNotFitTheShards) {
  const TempDir dir;
  WriteWeights(dir, "model-1.safetensors", {{"a", at::ones({2})}, {"twice", at::ones({2})}});
  WriteWeights(dir, "model-2.safetensors", {{"b", at::ones({2})}, {"twice", at::ones({2})}});
  dir.Write("model.safetensors.index.json",
            R"({"weight_map": {"a": "model-2.safetensors", "b": "model-2.safetensors",
                               "none": "model-1.safetensors"}})");
  const absl::Status status = OpenWeights(dir.path(), "model", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status),
              AllOf(HasSubstr("tensor 'a' in model-2.safetensors, which does not hold it"),
                    HasSubstr("tensor 'none' in model-1.safetensors, which does not hold it"),
                    HasSubstr("tensor 'twice' is both in model-1.safetensors and in "
                              "model-2.safetensors"),
                    Not(HasSubstr("'b'"))));
}

TEST(WeightReaderTest, SurvivesAFileThatShrinksAfterOpening) {
  const TempDir dir;
  WriteWeights(dir, "model.safetensors", {{"w", at::ones({100'000})}});
  auto reader = OpenWeights(dir.path(), "model", {});
  const at::Tensor weight = reader->Take("w", {100'000});
  std::filesystem::resize_file(dir / "model.safetensors", 200'000);
  EXPECT_LT(weight.sum().item<float>(), 60'000);
  EXPECT_EQ(CheckMappedFiles().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(CheckMappedFiles()), HasSubstr(dir / "model.safetensors"));
}

TEST(WeightReaderTest, OnTheMetaDeviceChecksNamesAndShapesAndReadsNothing) {
  const TempDir dir;
  WriteWeights(dir, "model.safetensors", {{"w", at::ones({5, 7})}, {"b", at::ones({3})}});
  int64_t bytes = 0;
  WeightOptions options = {.dtype = at::kBFloat16, .device = at::kMeta, .taken_bytes = &bytes};
  auto reader = OpenWeights(dir.path(), "model", options);
  const at::Tensor weight = reader->Take("w", {5, 7});
  EXPECT_TRUE(weight.is_meta());
  EXPECT_EQ(weight.scalar_type(), at::kBFloat16);
  EXPECT_EQ(bytes, 5 * 7 * 2);
  EXPECT_FALSE(reader->Take("b", {4}).defined());
  EXPECT_THAT(Message(reader->Finish()), HasSubstr("expected F32, F16, BF16 or F8_E4M3 [4]"));
}

TEST(WeightReaderTest, SeesAnAlteredTensor) {
  const testing::CheckpointCopy copy;
  const std::string vae = copy.dir() + "/vae";
  const auto take = [&] {
    return OpenWeights(vae, "diffusion_pytorch_model", {})
        ->Take("decoder.conv_out.bias", {3})
        .clone();
  };
  const at::Tensor before = take();
  copy.AlterTensor("vae", "decoder.conv_out.bias");
  EXPECT_TRUE(at::equal(take(), before + at::tensor({0.5F, 0.5F, 0.0F})));
}

}  // namespace
}  // namespace tessera
