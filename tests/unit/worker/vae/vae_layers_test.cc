#include "worker/vae/vae_layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/open_weights.h"
#include "tests/unit/worker/vae/random_vae.h"

namespace tessera {
namespace {

using testing::RandomVae;
using testing::RandomVaeSize;

constexpr int64_t kTop = 24, kGroups = 3;

// The layers of a random VAE beside the same layers written with the library's own whole-tensor
// functions.
class VaeLayersTest : public ::testing::Test {
 protected:
  WeightReader Reader() {
    return testing::OpenWeights(vae_.dir() + "/vae", "diffusion_pytorch_model", {}).value();
  }
  at::Tensor Weight(const std::string& name) { return vae_.tensors().at(name); }
  at::Tensor Norm(const std::string& name, const at::Tensor& x) {
    return at::group_norm(x, kGroups, Weight(name + ".weight"), Weight(name + ".bias"), 1e-6);
  }
  at::Tensor Convolve(const std::string& name, const at::Tensor& x, int64_t padding) {
    return at::conv2d(x, Weight(name + ".weight"), Weight(name + ".bias"), 1,
                      at::IntArrayRef{padding});
  }
  at::Tensor Project(const std::string& name, const at::Tensor& x) {
    return at::linear(x, Weight(name + ".weight"), Weight(name + ".bias"));
  }

  static bool Close(const at::Tensor& a, const at::Tensor& b) {
    return a.sizes() == b.sizes() && at::allclose(a, b, 0, 1e-5);
  }

  RandomVae vae_{RandomVaeSize{}};
};

TEST_F(VaeLayersTest, ResnetWithShortcutInBandsOfAnyHeight) {
  const std::string name = "decoder.up_blocks.1.resnets.0";  // 24 -> 12 channels
  WeightReader reader = Reader();
  const ResnetBlock block = ResnetBlock::Load(reader, name, kTop, kTop / 2, kGroups);
  ASSERT_TRUE(block.shortcut.has_value());
  const at::Tensor x = at::randn({1, kTop, 6, 5}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor hidden = Convolve(name + ".conv1", at::silu(Norm(name + ".norm1", x)), 1);
  const at::Tensor expected = Convolve(name + ".conv_shortcut", x, 0) +
                              Convolve(name + ".conv2", at::silu(Norm(name + ".norm2", hidden)), 1);
  for (const int64_t rows : {1, 2, 4, 6}) {
    RowBands bands = SplitRows({x.clone()}, rows * kTop * 5 * 4);
    ApplyResnet(block, bands);
    EXPECT_TRUE(Close(at::cat(bands, 2), expected)) << rows << " rows";
  }
}

TEST_F(VaeLayersTest, UpsampleInBandsOfAnyHeight) {
  const std::string name = "decoder.up_blocks.0.upsamplers.0.conv";
  WeightReader reader = Reader();
  const Conv conv = Conv::Load(reader, name, kTop, kTop, 3);
  const at::Tensor x = at::randn({1, kTop, 5, 4}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3);
  for (const int64_t rows : {1, 2, 3, 5}) {
    RowBands bands = SplitRows({x.clone()}, rows * kTop * 4 * 4);
    ApplyUpsample(conv, bands);
    EXPECT_TRUE(Close(at::cat(bands, 2), Convolve(name, doubled, 1))) << rows << " rows";
  }
}

TEST_F(VaeLayersTest, AttentionWithAnyNumberOfQueriesAtATime) {
  const std::string name = "decoder.mid_block.attentions.0";
  WeightReader reader = Reader();
  const AttentionBlock block = AttentionBlock::Load(reader, name, kTop, kGroups);
  const at::Tensor x = at::randn({1, kTop, 3, 5}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor tokens = Norm(name + ".group_norm", x).flatten(2).transpose(1, 2);
  const at::Tensor scores =
      at::matmul(Project(name + ".to_q", tokens), Project(name + ".to_k", tokens).transpose(1, 2)) /
      std::sqrt(static_cast<double>(kTop));
  const at::Tensor mixed = at::matmul(at::softmax(scores, -1), Project(name + ".to_v", tokens));
  const at::Tensor expected =
      x + Project(name + ".to_out.0", mixed).transpose(1, 2).view(x.sizes());
  for (const int64_t queries : {1, 4, 15, 100}) {
    EXPECT_TRUE(Close(ApplyAttention(block, x, {0, 3}, queries * 15 * 4), expected)) << queries;
  }
}

TEST_F(VaeLayersTest, AttentionTakesOldNamesAndConvolutions) {
  const std::string name = "decoder.mid_block.attentions.0.";
  const at::Tensor x = at::randn({1, kTop, 3, 5});
  WeightReader reader = Reader();
  const at::Tensor expected =
      ApplyAttention(AttentionBlock::Load(reader, name.substr(0, name.size() - 1), kTop, kGroups),
                     x, {0, 3}, 1 << 20);
  auto& tensors = vae_.tensors();
  for (const auto& [new_name, old_name] : std::map<std::string, std::string>{
           {"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}}) {
    for (const std::string part : {".weight", ".bias"}) {
      auto node = tensors.extract(name + new_name + part);
      node.key() = name + old_name + part;
      tensors.insert(std::move(node));
    }
  }
  at::Tensor& query = tensors.at(name + "query.weight");
  query = query.view({kTop, kTop, 1, 1});
  vae_.Write();
  WeightReader old_reader = Reader();
  const AttentionBlock block =
      AttentionBlock::Load(old_reader, name.substr(0, name.size() - 1), kTop, kGroups);
  EXPECT_TRUE(at::equal(ApplyAttention(block, x, {0, 3}, 1 << 20), expected));
}

}  // namespace
}  // namespace tessera
