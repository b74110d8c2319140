#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"
#include "worker/comm/single_communicator.h"
#include "worker/flux/flux_transformer.h"
#include "worker/parallel/rotating_strategy.h"

namespace tessera {
namespace {

using testing::Golden;
using testing::MatchesGolden;

constexpr int64_t kTextTokens = 50, kGrid = 4;

struct Inputs {
  at::Tensor latents = Golden("net/in_hidden");
  at::Tensor text = Golden("net/in_text");
  at::Tensor pooled = Golden("net/in_pooled");
};

// Remembers what the blocks hand to and get from attention.
class RecordingAttention : public RotatingAttention {
 public:
  using RotatingAttention::RotatingAttention;
  at::Tensor Attend(int64_t layer, const at::Tensor& q) override {
    return outputs_[layer] = RotatingAttention::Attend(layer, q);
  }
  const at::Tensor& output(int64_t layer) { return outputs_[layer]; }

 private:
  std::map<int64_t, at::Tensor> outputs_;
};

class TransformerGoldenTest : public ::testing::Test {
 protected:
  static FluxTransformer Load(const std::string& dir) {
    absl::StatusOr<FluxTransformer> model =
        FluxTransformer::Load(CheckpointFolder(dir), WeightOptions{});
    if (!model.ok()) ADD_FAILURE() << model.status();
    return *std::move(model);
  }

  // sigma is the transformer's timestep argument. Fills attention_ and states_ on the way.
  at::Tensor Velocity(const FluxTransformer& model, float sigma, double guidance) {
    const Inputs in;
    const float timestep = sigma * 1000;
    const FluxConditioning conditioning =
        model.Prepare(in.text, in.pooled, std::span(&timestep, 1), guidance, kGrid, kGrid);
    context_ = conditioning.context;
    cache_.Reserve({.layers = model.config().attention_layers(),
                    .batch = 2,
                    .rows = kTextTokens + kGrid * kGrid,
                    .heads = model.config().num_attention_heads,
                    .head_dim = model.config().attention_head_dim},
                   in.latents.options());
    attention_.BeginStep(0);
    return model.Velocity(
        conditioning, 0, in.latents, {{0, kTextTokens}, {0, kGrid * kGrid}}, attention_,
        [this](const std::string& block, const at::Tensor& text, const at::Tensor& image) {
          states_[block] = at::cat({text, image}, 1)[0].unsqueeze(0);
          if (block == "norm_out") states_[block] = image[0].unsqueeze(0).clone();
        });
  }

  const c10::InferenceMode inference_;
  SingleCommunicator communicator_;
  KvCache cache_;
  const std::unique_ptr<const ParallelPlan> plan_ =
      MakeParallelPlan({.text_tokens = kTextTokens, .image_tokens = kGrid * kGrid}, 1, {});
  RecordingAttention attention_ = RecordingAttention(*plan_, cache_, communicator_);
  at::Tensor context_;
  std::map<std::string, at::Tensor> states_;
};

TEST_F(TransformerGoldenTest, VelocityAtSeveralTimesAndGuidances) {
  const FluxTransformer model = Load(testing::TinyFluxDir());
  EXPECT_TRUE(MatchesGolden("net/out_t1.0_g3.5", Velocity(model, 1.0f, 3.5)));
  EXPECT_TRUE(MatchesGolden("net/out_t0.7_g3.5", Velocity(model, 0.7f, 3.5)));
  EXPECT_TRUE(MatchesGolden("net/out_t0.25_g1.0", Velocity(model, 0.25f, 1.0)));
  EXPECT_TRUE(MatchesGolden("net/out_t0.01_g30.0", Velocity(model, 0.01f, 30.0)));
}

TEST_F(TransformerGoldenTest, TrailOfIntermediates) {
  const FluxTransformer model = Load(testing::TinyFluxDir());
  Velocity(model, 0.7f, 3.5);
  EXPECT_TRUE(MatchesGolden("net/trail_context_embedder", context_[0].unsqueeze(0)));
  for (const char* block : {"double0", "double1", "single0", "single3", "norm_out"}) {
    EXPECT_TRUE(MatchesGolden(std::string("net/trail_") + block, states_.at(block)));
  }
  EXPECT_TRUE(MatchesGolden("net/trail_single0_attn", attention_.output(2)[0].unsqueeze(0)));
}

TEST_F(TransformerGoldenTest, WithoutGuidanceEmbedder) {
  const testing::CheckpointCopy copy;
  copy.EditJson("transformer/config.json", R"({"guidance_embeds": false})");
  copy.RemoveTensors("transformer", "time_text_embed.guidance_embedder.");
  const FluxTransformer model = Load(copy.dir());
  EXPECT_TRUE(MatchesGolden("net/out_t0.7_noguidance", Velocity(model, 0.7f, 3.5)));
}

// Each of these tensors reaches the result: altered, the comparison fails.
class AlteredWeightTest : public TransformerGoldenTest,
                          public ::testing::WithParamInterface<const char*> {};

TEST_P(AlteredWeightTest, IsSeen) {
  const testing::CheckpointCopy copy;
  copy.AlterTensor("transformer", GetParam());
  const FluxTransformer model = Load(copy.dir());
  EXPECT_FALSE(MatchesGolden("net/out_t0.7_g3.5", Velocity(model, 0.7f, 3.5)));
}

INSTANTIATE_TEST_SUITE_P(
    EachKind, AlteredWeightTest,
    ::testing::Values(
        "x_embedder.weight", "context_embedder.bias",
        "time_text_embed.timestep_embedder.linear_1.weight",
        "time_text_embed.guidance_embedder.linear_2.bias",
        "time_text_embed.text_embedder.linear_1.weight", "transformer_blocks.0.norm1.linear.bias",
        "transformer_blocks.1.norm1_context.linear.bias", "transformer_blocks.0.attn.to_q.weight",
        "transformer_blocks.1.attn.add_k_proj.weight",
        "transformer_blocks.0.attn.norm_added_q.weight", "transformer_blocks.1.attn.norm_k.weight",
        "transformer_blocks.0.attn.to_out.0.bias", "transformer_blocks.0.attn.to_add_out.weight",
        "transformer_blocks.1.ff.net.2.weight", "transformer_blocks.0.ff_context.net.0.proj.bias",
        "single_transformer_blocks.0.norm.linear.bias",
        "single_transformer_blocks.1.attn.to_v.bias",
        "single_transformer_blocks.2.attn.norm_q.weight",
        "single_transformer_blocks.3.proj_mlp.weight", "single_transformer_blocks.3.proj_out.bias",
        "norm_out.linear.bias", "proj_out.weight"),
    [](const auto& test) {
      std::string name = test.param;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

}  // namespace
}  // namespace tessera
