#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "common/model/checkpoint.h"
#include "tests/support/golden.h"
#include "worker/text/text_encoders.h"

namespace tessera {
namespace {

using testing::Golden;
using testing::MatchesGolden;
using testing::MatchesGoldenBf16;

class TextEncodersGoldenTest : public ::testing::Test {
 protected:
  static TextEncoders Load(at::ScalarType dtype, const testing::TempDir& cache) {
    WeightOptions options;
    options.dtype = dtype;
    options.cache_dir = cache.path();
    absl::StatusOr<TextEncoders> encoders =
        TextEncoders::Load(Checkpoint::Open(testing::TinyFluxDir()).value(), options);
    EXPECT_TRUE(encoders.ok()) << encoders.status();
    return *std::move(encoders);
  }

  const c10::InferenceMode inference_;
  const testing::TempDir cache_;
};

TEST_F(TextEncodersGoldenTest, EveryPromptInFloat32) {
  TextEncoders encoders = Load(at::kFloat, cache_);
  const std::vector<std::string> prompts = testing::Prompts();
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto embedding = encoders.Encode(prompts[i], std::nullopt, 50);
    ASSERT_TRUE(embedding.ok()) << embedding.status();
    const auto row = static_cast<int64_t>(i);
    EXPECT_TRUE(MatchesGolden("t5/out_50", Golden("t5/out_50").narrow(0, row, 1), embedding->text));
    EXPECT_TRUE(
        MatchesGolden("clip/pooled", Golden("clip/pooled").narrow(0, row, 1), embedding->pooled));
  }
}

TEST_F(TextEncodersGoldenTest, Bfloat16) {
  TextEncoders encoders = Load(at::kBFloat16, cache_);
  const auto embedding = encoders.Encode(testing::Prompts()[0], std::nullopt, 50);
  ASSERT_TRUE(embedding.ok()) << embedding.status();
  EXPECT_EQ(embedding->text.scalar_type(), at::kBFloat16);
  EXPECT_EQ(embedding->pooled.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(MatchesGoldenBf16("text/t5", embedding->text));
  EXPECT_TRUE(MatchesGoldenBf16("text/pooled", embedding->pooled));
}

}  // namespace
}  // namespace tessera
