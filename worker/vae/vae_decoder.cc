#include "worker/vae/vae_decoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/base/status_exception.h"
#include "worker/kernels/picture_to_rgb8.h"

namespace tessera {
namespace {

constexpr int64_t kPictureChannels = 3;
// Upsampling quadruples a band.
constexpr int64_t kUpsampleGrowth = 4;
constexpr int64_t kMaxScoreBytes = int64_t{256} << 20;

}  // namespace

VaeDecoderWeights VaeDecoderWeights::Load(WeightReader& reader, const VaeConfig& config) {
  const int64_t latent = config.latent_channels, groups = config.norm_num_groups;
  const int64_t top = config.block_out_channels.back();
  const std::string mid = "decoder.mid_block.";
  VaeDecoderWeights weights;
  if (config.use_post_quant_conv) {
    weights.post_quant_conv = Conv::Load(reader, "post_quant_conv", latent, latent, 1);
  }
  weights.conv_in = Conv::Load(reader, "decoder.conv_in", latent, top, 3);
  weights.mid_first = ResnetBlock::Load(reader, mid + "resnets.0", top, top, groups);
  if (config.mid_block_add_attention) {
    weights.mid_attention = AttentionBlock::Load(reader, mid + "attentions.0", top, groups);
  }
  weights.mid_last = ResnetBlock::Load(reader, mid + "resnets.1", top, top, groups);

  const size_t levels = config.block_out_channels.size();
  int64_t in = top;
  for (size_t i = 0; i < levels; ++i) {
    const std::string name = absl::StrCat("decoder.up_blocks.", i, ".");
    const int64_t out = config.block_out_channels[levels - 1 - i];
    UpBlock& block = weights.up_blocks.emplace_back();
    for (int64_t j = 0; j < config.layers_per_block + 1; ++j) {
      block.resnets.push_back(
          ResnetBlock::Load(reader, absl::StrCat(name, "resnets.", j), in, out, groups));
      in = out;
    }
    if (i + 1 < levels) {
      block.upsample = Conv::Load(reader, name + "upsamplers.0.conv", out, out, 3);
    }
  }
  weights.norm_out = GroupNorm::Load(reader, "decoder.conv_norm_out", in, groups);
  weights.conv_out = Conv::Load(reader, "decoder.conv_out", in, kPictureChannels, 3);
  reader.IgnorePrefix("encoder.");
  reader.IgnorePrefix("quant_conv.");
  return weights;
}

absl::StatusOr<VaeDecoder> VaeDecoder::Load(const Checkpoint& checkpoint,
                                            const WeightOptions& options, KernelChoice kernels) {
  TESSERA_ASSIGN_OR_RETURN(const VaeConfig config, ReadVaeConfig(checkpoint));
  TESSERA_ASSIGN_OR_RETURN(const WeightFiles files, checkpoint.Weights(Part::kVae));
  TESSERA_ASSIGN_OR_RETURN(WeightReader reader, WeightReader::Open(files, options));
  return Load(config, std::move(reader), kernels);
}

absl::StatusOr<VaeDecoder> VaeDecoder::Load(const VaeConfig& config, WeightReader reader,
                                            KernelChoice kernels) {
  VaeDecoder decoder;
  decoder.config_ = config;
  decoder.kernels_ = kernels;
  decoder.weights_ = VaeDecoderWeights::Load(reader, decoder.config_);
  TESSERA_RETURN_IF_ERROR(reader.Finish());
  return decoder;
}

int64_t VaeDecoder::DefaultBandBytes() const {
  return weights_.conv_in.weight.is_cpu() ? kCpuBandBytes : kDeviceBandBytes;
}

at::Tensor VaeDecoder::Decode(const at::Tensor& latents) const {
  return Decode(latents, DefaultBandBytes());
}

at::Tensor VaeDecoder::Decode(const at::Tensor& latents, int64_t max_band_bytes) const {
  const c10::InferenceMode inference;
  std::vector<at::Tensor> pictures;
  for (const at::Tensor& one : latents.split(1)) {
    pictures.push_back(DecodeRows(one, RowSplit(), max_band_bytes));
  }
  return at::cat(pictures);
}

at::Tensor VaeDecoder::DecodeRgb8(const at::Tensor& latents, Communicator& communicator) const {
  return DecodeRgb8(latents, communicator, DefaultBandBytes());
}

at::Tensor VaeDecoder::DecodeRgb8(const at::Tensor& latents, Communicator& communicator,
                                  int64_t max_band_bytes) const {
  const c10::InferenceMode inference;
  const RowSplit split(communicator, latents.size(2));
  const at::Tensor rows = DecodeRows(latents, split, max_band_bytes);
  if (!rows.isfinite().all().item<bool>()) {
    throw StatusException(absl::InternalError("the picture is not finite"));
  }
  return split.Gather(PictureToRgb8(rows, kernels_))[0];
}

at::Tensor VaeDecoder::DecodeRows(const at::Tensor& latents, const RowSplit& split,
                                  int64_t max_band_bytes) const {
  at::Tensor x = latents.to(weights_.conv_in.weight.options(), /*non_blocking=*/false,
                            /*copy=*/false, at::MemoryFormat::ChannelsLast);
  x = x.div(config_.scaling_factor).add_(config_.shift_factor);
  if (weights_.post_quant_conv.has_value()) x = (*weights_.post_quant_conv)(x);

  const RowRange mine = split.Mine(x.size(2));
  RowBands bands = {weights_.conv_in(x).narrow(2, mine.begin, mine.size())};
  ApplyResnet(weights_.mid_first, bands, split);
  if (weights_.mid_attention.has_value()) {
    const at::Tensor whole = split.Gather(bands[0].permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
    bands[0] = ApplyAttention(*weights_.mid_attention, whole, mine, kMaxScoreBytes);
  }
  ApplyResnet(weights_.mid_last, bands, split);

  bands = SplitRows(bands, max_band_bytes);
  for (const VaeDecoderWeights::UpBlock& block : weights_.up_blocks) {
    for (const ResnetBlock& resnet : block.resnets) ApplyResnet(resnet, bands, split);
    if (!block.upsample.has_value()) continue;
    bands = SplitRows(bands, max_band_bytes / kUpsampleGrowth);
    ApplyUpsample(*block.upsample, bands, split);
  }
  bands = ApplyNormSiluConv(weights_.norm_out, weights_.conv_out, std::move(bands), split);
  return at::cat(bands, 2).contiguous();
}

}  // namespace tessera
