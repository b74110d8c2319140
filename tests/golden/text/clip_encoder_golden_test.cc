#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/model/checkpoint_folder.h"
#include "tests/golden/text/golden_ids.h"
#include "tests/support/golden.h"
#include "worker/text/clip_encoder.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using testing::GoldenIds;
using testing::MatchesGolden;

class ClipEncoderGoldenTest : public ::testing::Test {
 protected:
  static ClipEncoder Load(const std::string& model_dir) {
    absl::StatusOr<ClipEncoder> encoder = ClipEncoder::Load(CheckpointFolder(model_dir), {});
    EXPECT_TRUE(encoder.ok()) << encoder.status();
    return *std::move(encoder);
  }

  // Of every golden prompt, int32 [prompts].
  static at::Tensor PoolPositions(const ClipEncoder& encoder) {
    std::vector<int64_t> positions;
    for (const at::Tensor& row : GoldenIds("clip/ids").unbind()) {
      const int64_t* ids = row.const_data_ptr<int64_t>();
      positions.push_back(encoder.PoolPosition({ids, ids + row.numel()}));
    }
    return at::tensor(positions, at::kInt);
  }

  static at::Tensor Pooled(const ClipEncoder& encoder) {
    const at::Tensor positions = PoolPositions(encoder).to(at::kLong);
    return encoder.Hidden(GoldenIds("clip/ids")).index({at::arange(positions.size(0)), positions});
  }

  const c10::InferenceMode inference_;
};

TEST_F(ClipEncoderGoldenTest, HiddenStates) {
  const ClipEncoder encoder = Load(testing::TinyFluxDir());
  const at::Tensor ids = GoldenIds("clip/ids").index_select(0, testing::StoredPrompts());
  EXPECT_TRUE(MatchesGolden("clip/hidden", encoder.Hidden(ids)));
}

TEST_F(ClipEncoderGoldenTest, PoolPositionOfEveryPrompt) {
  EXPECT_TRUE(MatchesGolden("clip/pool_position", PoolPositions(Load(testing::TinyFluxDir()))));
}

TEST_F(ClipEncoderGoldenTest, PoolPositionByTheEndTokensId) {
  const CheckpointCopy checkpoint;
  checkpoint.EditJson("text_encoder/config.json", R"({"eos_token_id": 693})");
  EXPECT_TRUE(MatchesGolden("clip/pool_position", PoolPositions(Load(checkpoint.dir()))));
}

TEST_F(ClipEncoderGoldenTest, PooledOutputOfEveryPrompt) {
  EXPECT_TRUE(MatchesGolden("clip/pooled", Pooled(Load(testing::TinyFluxDir()))));
}

class AlteredClipGoldenTest : public ClipEncoderGoldenTest,
                              public ::testing::WithParamInterface<const char*> {};

TEST_P(AlteredClipGoldenTest, IsSeen) {
  const CheckpointCopy checkpoint;
  checkpoint.AlterTensor("text_encoder", std::string("text_model.") + GetParam());
  EXPECT_FALSE(MatchesGolden("clip/pooled", Pooled(Load(checkpoint.dir()))));
}

// Left out: the bias of k_proj, which shifts all scores of a row alike, so that softmax removes it,
// and the token embedding, whose rows AlterTensor shifts as a whole, so that LayerNorm removes it.
INSTANTIATE_TEST_SUITE_P(
    Weights, AlteredClipGoldenTest,
    ::testing::Values("embeddings.position_embedding.weight", "encoder.layers.1.layer_norm1.bias",
                      "encoder.layers.0.self_attn.q_proj.bias",
                      "encoder.layers.0.self_attn.k_proj.weight",
                      "encoder.layers.0.self_attn.v_proj.bias",
                      "encoder.layers.1.self_attn.out_proj.bias", "encoder.layers.0.mlp.fc1.bias",
                      "encoder.layers.1.mlp.fc2.weight", "final_layer_norm.weight"));

}  // namespace
}  // namespace tessera
