#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"
#include "tests/support/rank_threads.h"
#include "worker/comm/in_process_communicator.h"
#include "worker/sampling/latents.h"
#include "worker/vae/vae_decoder.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using testing::Golden;
using testing::GoldenBf16;
using testing::MatchesGolden;

constexpr int64_t kScoreBytes = 1 << 20;

VaeDecoder Load(const std::string& dir = testing::TinyFluxDir()) {
  return VaeDecoder::Load(CheckpointFolder(dir), WeightOptions{}).value();
}

// The latents that Decode takes to the decoder input of the golden data.
at::Tensor LatentsOf(const at::Tensor& decoder_input, const VaeConfig& config) {
  return (decoder_input - config.shift_factor) * config.scaling_factor;
}

// The states of the decoder on vae/in_latents, by the names of the golden data.
std::map<std::string, at::Tensor> Trail(const VaeDecoderWeights& weights) {
  std::map<std::string, at::Tensor> trail;
  RowBands x = {weights.conv_in(Golden("vae/in_latents"))};
  trail["conv_in"] = x[0].clone();
  ApplyResnet(weights.mid_first, x);
  x[0] = ApplyAttention(*weights.mid_attention, x[0], {0, x[0].size(2)}, kScoreBytes);
  trail["mid_attention"] = x[0].clone();
  ApplyResnet(weights.mid_last, x);
  trail["mid_block"] = x[0].clone();
  for (const VaeDecoderWeights::UpBlock& block : weights.up_blocks) {
    for (const ResnetBlock& resnet : block.resnets) ApplyResnet(resnet, x);
    if (block.upsample.has_value()) ApplyUpsample(*block.upsample, x);
    trail.emplace("up0", x[0].clone());
  }
  trail["norm_out"] = weights.norm_out(x[0], MeasureGroups(x, weights.norm_out.groups))
                          .slice(2, 0, std::nullopt, 4)
                          .slice(3, 0, std::nullopt, 4);
  return trail;
}

TEST(VaeGoldenTest, EveryStateOfTheTrail) {
  const VaeDecoder decoder = Load();
  for (const auto& [name, state] : Trail(decoder.weights())) {
    EXPECT_TRUE(MatchesGolden("vae/decoder_" + name, state));
  }
}

TEST(VaeGoldenTest, Picture) {
  const VaeDecoder decoder = Load();
  const at::Tensor latents = LatentsOf(Golden("vae/in_latents"), decoder.config());
  EXPECT_TRUE(MatchesGolden("vae/out_image", decoder.Decode(latents)));
}

TEST(VaeGoldenTest, PictureInBands) {
  const VaeDecoder decoder = Load();
  const at::Tensor latents = LatentsOf(Golden("vae/in_latents"), decoder.config());
  EXPECT_TRUE(MatchesGolden("vae/out_image", decoder.Decode(latents, /*max_band_bytes=*/1)));
}

// The latents that a run ends with, and its picture.
struct Run {
  std::string name;
  int64_t width, height;

  friend std::ostream& operator<<(std::ostream& out, const Run& run) { return out << run.name; }
};

class VaeRunGoldenTest : public ::testing::TestWithParam<Run> {};

TEST_P(VaeRunGoldenTest, PictureOfTheLastLatents) {
  const auto& [name, width, height] = GetParam();
  const VaeDecoder decoder = Load();
  const LatentShape shape = LatentShapeOf(width, height, decoder.config().latent_channels,
                                          decoder.config().pixel_scale());
  const at::Tensor latents = UnpackLatents(Golden(name + "/latents")[-1], shape);
  EXPECT_TRUE(MatchesGolden(name + "/image", decoder.Decode(latents)));
}

TEST_P(VaeRunGoldenTest, PixelsOfTheLastLatentsByAnyRanks) {
  const auto& [name, width, height] = GetParam();
  const VaeDecoder decoder = Load();
  const LatentShape shape = LatentShapeOf(width, height, decoder.config().latent_channels,
                                          decoder.config().pixel_scale());
  const at::Tensor latents = UnpackLatents(Golden(name + "/latents")[-1], shape);
  for (const int ranks : {1, 2, 3, 5}) {
    std::vector<std::unique_ptr<Communicator>> group;
    for (auto& communicator : InProcessCommunicator::MakeGroup(ranks, /*timeout_s=*/60)) {
      group.push_back(std::move(communicator));
    }
    for (const at::Tensor& pixels : RunRanks(group, [&](Communicator& communicator) {
           return decoder.DecodeRgb8(latents, communicator);
         })) {
      EXPECT_TRUE(MatchesGolden(name + "/pixels", pixels.unsqueeze(0))) << ranks << " ranks";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Runs, VaeRunGoldenTest,
    ::testing::Values(Run{"run/dev_64x64", 64, 64}, Run{"run/dev_96x128", 128, 96},
                      Run{"run/schnell_64x64", 64, 64}, Run{"run/cfg_64x64", 64, 64},
                      Run{"run/img2img_0.6", 64, 64}, Run{"run/img2img_0.95", 64, 64}));

TEST(VaeGoldenTest, Bfloat16PictureIsClose) {
  const CheckpointCopy checkpoint;
  WeightOptions options;
  options.dtype = at::kBFloat16;
  options.cache_dir = checkpoint.dir() + "/cache";
  const VaeDecoder decoder = VaeDecoder::Load(CheckpointFolder(checkpoint.dir()), options).value();
  const LatentShape shape = LatentShapeOf(64, 64, 16, 8);
  const at::Tensor latents = UnpackLatents(GoldenBf16("run/dev_64x64/latents")[-1], shape);
  const at::Tensor image = decoder.Decode(latents);
  EXPECT_EQ(image.scalar_type(), at::kBFloat16);
  EXPECT_GE(testing::Psnr(GoldenBf16("run/dev_64x64/image"), image), 45.0);
}

class VaeAlteredWeightTest : public ::testing::TestWithParam<std::string> {};

TEST_P(VaeAlteredWeightTest, IsSeenInThePicture) {
  const CheckpointCopy checkpoint;
  checkpoint.AlterTensor("vae", "decoder." + GetParam());
  const VaeDecoder decoder = Load(checkpoint.dir());
  const at::Tensor latents = LatentsOf(Golden("vae/in_latents"), decoder.config());
  EXPECT_FALSE(MatchesGolden("vae/out_image", decoder.Decode(latents)));
}

INSTANTIATE_TEST_SUITE_P(Modules, VaeAlteredWeightTest,
                         ::testing::Values("conv_in.weight", "mid_block.resnets.0.conv1.weight",
                                           "mid_block.attentions.0.group_norm.bias",
                                           "mid_block.attentions.0.to_v.weight",
                                           "mid_block.attentions.0.to_out.0.bias",
                                           "mid_block.resnets.1.norm2.weight",
                                           "up_blocks.0.resnets.2.conv2.bias",
                                           "up_blocks.1.upsamplers.0.conv.weight",
                                           "up_blocks.2.resnets.0.conv_shortcut.weight",
                                           "conv_norm_out.bias", "conv_out.weight"));

}  // namespace
}  // namespace tessera
