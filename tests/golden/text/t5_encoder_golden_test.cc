#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "common/model/checkpoint_folder.h"
#include "tests/golden/text/golden_ids.h"
#include "tests/support/golden.h"
#include "worker/text/t5_encoder.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using testing::Golden;
using testing::GoldenIds;
using testing::MatchesGolden;

class T5EncoderGoldenTest : public ::testing::Test {
 protected:
  static T5Encoder Load(const std::string& model_dir) {
    absl::StatusOr<T5Encoder> encoder = T5Encoder::Load(CheckpointFolder(model_dir), {});
    EXPECT_TRUE(encoder.ok()) << encoder.status();
    return *std::move(encoder);
  }

  const c10::InferenceMode inference_;
};

TEST_F(T5EncoderGoldenTest, BucketOfEveryDistance) {
  const T5Encoder encoder = Load(testing::TinyFluxDir());
  EXPECT_TRUE(MatchesGolden("t5/bucket_of_distance",
                            T5DistanceBuckets(512, encoder.config()).to(at::kInt)));
}

TEST_F(T5EncoderGoldenTest, StatesOfEveryPrompt) {
  T5Encoder encoder = Load(testing::TinyFluxDir());
  EXPECT_TRUE(MatchesGolden("t5/out_50", encoder.Encode(GoldenIds("t5/ids_50"))));
}

TEST_F(T5EncoderGoldenTest, StatesAtFullLengthAndBackAgain) {
  T5Encoder encoder = Load(testing::TinyFluxDir());
  const at::Tensor ids = GoldenIds("t5/ids_512").index_select(0, testing::StoredPrompts());
  const at::Tensor rows = Golden("t5/out_512_rows").to(at::kLong);
  EXPECT_TRUE(MatchesGolden("t5/out_512", encoder.Encode(ids).index_select(1, rows)));
  EXPECT_TRUE(MatchesGolden("t5/out_50", encoder.Encode(GoldenIds("t5/ids_50"))));
}

class AlteredT5GoldenTest : public T5EncoderGoldenTest,
                            public ::testing::WithParamInterface<const char*> {};

TEST_P(AlteredT5GoldenTest, IsSeen) {
  const CheckpointCopy checkpoint;
  checkpoint.AlterTensor("text_encoder_2", GetParam());
  T5Encoder encoder = Load(checkpoint.dir());
  EXPECT_FALSE(MatchesGolden("t5/out_50", encoder.Encode(GoldenIds("t5/ids_50"))));
}

INSTANTIATE_TEST_SUITE_P(
    Weights, AlteredT5GoldenTest,
    ::testing::Values("shared.weight", "encoder.block.0.layer.0.layer_norm.weight",
                      "encoder.block.0.layer.0.SelfAttention.q.weight",
                      "encoder.block.1.layer.0.SelfAttention.k.weight",
                      "encoder.block.0.layer.0.SelfAttention.v.weight",
                      "encoder.block.1.layer.0.SelfAttention.o.weight",
                      "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                      "encoder.block.1.layer.1.layer_norm.weight",
                      "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
                      "encoder.block.1.layer.1.DenseReluDense.wi_1.weight",
                      "encoder.block.0.layer.1.DenseReluDense.wo.weight",
                      "encoder.final_layer_norm.weight"));

}  // namespace
}  // namespace tessera
