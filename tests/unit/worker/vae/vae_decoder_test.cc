#include "worker/vae/vae_decoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "common/model/checkpoint_folder.h"
#include "tests/unit/worker/vae/random_vae.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::RandomVae;
using testing::RandomVaeSize;

constexpr int64_t kWhole = int64_t{1} << 40;

VaeDecoder Load(const RandomVae& vae, at::ScalarType dtype = at::kFloat) {
  at::set_num_threads(1);  // of work this small, threads would only wait for each other
  WeightOptions options;
  options.dtype = dtype;
  options.cache_dir = vae.dir() + "/cache";
  return VaeDecoder::Load(CheckpointFolder(vae.dir()), options).value();
}

// The largest difference in levels of an 8-bit picture.
double Levels(const at::Tensor& a, const at::Tensor& b) {
  const auto to_levels = [](const at::Tensor& image) {
    return (image.to(at::kFloat) * 0.5 + 0.5).clamp(0, 1) * 255;
  };
  return (to_levels(a) - to_levels(b)).abs().max().item<double>();
}

// As FLUX's VAE, 32 groups and all, with fewer channels.
RandomVaeSize FluxLike() {
  RandomVaeSize size;
  size.block_out_channels = {32, 64, 64, 64};
  size.layers_per_block = 2;
  size.latent_channels = 16;
  size.norm_num_groups = 32;
  return size;
}

struct Grid {
  int64_t height, width;  // latent

  friend std::ostream& operator<<(std::ostream& out, const Grid& grid) {
    return out << grid.height << "x" << grid.width;
  }
};

class BandedDecodeTest
    : public ::testing::TestWithParam<std::tuple<at::ScalarType, Grid, int64_t>> {};

TEST_P(BandedDecodeTest, EqualsTheWholeDecodeWithinOneLevel) {
  const auto& [dtype, grid, max_band_bytes] = GetParam();
  const RandomVae vae(FluxLike());
  const VaeDecoder decoder = Load(vae, dtype);
  const at::Tensor latents = at::randn({1, 16, grid.height, grid.width});
  const at::Tensor whole = decoder.Decode(latents, kWhole);
  const at::Tensor banded = decoder.Decode(latents, max_band_bytes);
  ASSERT_EQ(whole.sizes(), (at::IntArrayRef{1, 3, 8 * grid.height, 8 * grid.width}));
  EXPECT_EQ(whole.scalar_type(), dtype);
  EXPECT_EQ(banded.sizes(), whole.sizes());
  EXPECT_LE(Levels(banded, whole), dtype == at::kFloat ? 0.01 : 1.0);
}

// 1 byte: bands of one row, as many as there can be.
INSTANTIATE_TEST_SUITE_P(DtypesSizesAndBands, BandedDecodeTest,
                         ::testing::Combine(::testing::Values(at::kFloat, at::kBFloat16),
                                            ::testing::Values(Grid{2, 2}, Grid{10, 14},
                                                              Grid{12, 16}),
                                            ::testing::Values(1, 20'000, 200'000)));

TEST(VaeDecoderTest, ABatchEqualsItsPictures) {
  const RandomVae vae(RandomVaeSize{});
  const VaeDecoder decoder = Load(vae);
  const at::Tensor latents = at::randn({2, 5, 4, 6});
  const at::Tensor pictures = decoder.Decode(latents, 1'000);
  ASSERT_EQ(pictures.sizes(), (at::IntArrayRef{2, 3, 16, 24}));
  EXPECT_TRUE(at::equal(pictures[0], decoder.Decode(latents.narrow(0, 0, 1), 1'000)[0]));
  EXPECT_TRUE(at::equal(pictures[1], decoder.Decode(latents.narrow(0, 1, 1), 1'000)[0]));
}

TEST(VaeDecoderTest, LeavesTheLatentsAsTheyWere) {
  const RandomVae vae(RandomVaeSize{});
  const at::Tensor latents = at::randn({1, 5, 4, 6});
  const at::Tensor before = latents.clone();
  Load(vae).Decode(latents);
  EXPECT_TRUE(at::equal(latents, before));
}

TEST(VaeDecoderTest, DecodesTheSameBytesTwice) {
  const RandomVae vae(FluxLike());
  const VaeDecoder decoder = Load(vae);
  const at::Tensor latents = at::randn({1, 16, 10, 14});
  EXPECT_TRUE(at::equal(decoder.Decode(latents, 50'000), decoder.Decode(latents, 50'000)));
}

TEST(VaeDecoderTest, Float16IsClose) {
  const RandomVae vae(FluxLike());
  const at::Tensor latents = at::randn({1, 16, 4, 4});
  const at::Tensor image = Load(vae, at::kHalf).Decode(latents);
  EXPECT_EQ(image.scalar_type(), at::kHalf);
  EXPECT_TRUE(at::allclose(image.to(at::kFloat), Load(vae).Decode(latents), 0, 0.05));
}

TEST(VaeDecoderTest, ScalesAndShiftsTheLatents) {
  RandomVae vae(RandomVaeSize{});
  const at::Tensor latents = at::randn({1, 5, 2, 2});
  const at::Tensor expected = Load(vae).Decode(latents);
  vae.Write(R"("scaling_factor": 1.0, "shift_factor": 0.0)");
  EXPECT_TRUE(at::allclose(Load(vae).Decode(latents / 0.7 + 0.2), expected, 0, 1e-5));
}

TEST(VaeDecoderTest, AppliesPostQuantConvWhenTheConfigAsks) {
  RandomVaeSize size;
  size.use_post_quant_conv = true;
  RandomVae vae(size);
  const at::Tensor latents = at::randn({1, 5, 2, 2});
  const at::Tensor image = Load(vae).Decode(latents);
  vae.tensors().at("post_quant_conv.weight").mul_(2);
  vae.Write();
  EXPECT_FALSE(at::allclose(Load(vae).Decode(latents), image, 0, 0.01));
}

TEST(VaeDecoderTest, WorksWithoutAttention) {
  RandomVaeSize size;
  size.mid_block_add_attention = false;
  const RandomVae vae(size);
  EXPECT_EQ(Load(vae).Decode(at::randn({1, 5, 2, 4})).sizes(), (at::IntArrayRef{1, 3, 8, 16}));
}

TEST(VaeDecoderTest, OneLevelKeepsTheSize) {
  RandomVaeSize size;
  size.block_out_channels = {9};
  const RandomVae vae(size);
  EXPECT_EQ(Load(vae).Decode(at::randn({1, 5, 2, 4})).sizes(), (at::IntArrayRef{1, 3, 2, 4}));
}

TEST(VaeDecoderTest, ReportsEveryWrongTensorAtOnce) {
  RandomVae vae(RandomVaeSize{});
  auto& tensors = vae.tensors();
  tensors.erase("decoder.conv_in.bias");
  tensors["decoder.up_blocks.0.resnets.0.norm1.weight"] = at::ones({7});
  tensors["decoder.surplus"] = at::ones({1});
  vae.Write();
  const absl::Status status =
      VaeDecoder::Load(CheckpointFolder(vae.dir()), WeightOptions{}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("decoder.conv_in.bias"),
                    HasSubstr("decoder.up_blocks.0.resnets.0.norm1.weight"),
                    HasSubstr("decoder.surplus"), ::testing::Not(HasSubstr("encoder."))));
}

}  // namespace
}  // namespace tessera
