#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/tensor_io/weight_reader.h"
#include "worker/vae/vae_config.h"
#include "worker/vae/vae_layers.h"

namespace tessera {

// The decoder of diffusers' AutoencoderKL, in the order in which it is applied.
struct VaeDecoderWeights {
  struct UpBlock {
    std::vector<ResnetBlock> resnets;
    std::optional<Conv> upsample;  // absent in the last
  };

  std::optional<Conv> post_quant_conv;
  Conv conv_in;
  ResnetBlock mid_first;
  std::optional<AttentionBlock> mid_attention;
  ResnetBlock mid_last;
  std::vector<UpBlock> up_blocks;
  GroupNorm norm_out;
  Conv conv_out;

  // Takes the decoder's tensors and ignores the encoder's; Finish() is the caller's.
  static VaeDecoderWeights Load(WeightReader& reader, const VaeConfig& config);
};

// Turns latents into pictures (the decoder of diffusers' AutoencoderKL). Immutable once loaded;
// thread-safe.
//
// A picture whose largest activation takes more than max_band_bytes is decoded in bands of rows:
// statistics of the group norms are gathered over all bands first, bands take one row of their
// neighbours for each convolution, and the attention, at latent size, sees the whole picture. The
// result is the same up to the order of summation.
//
// Kept whole at any time are at most: at a level of h x w pixels, the larger of its input and twice
// its output, that is
//   max(channels_in, 2 * channels_out) * h * w * element size
// and all else is a handful of bands, or has latent size. For FLUX this is 256 * height * width
// elements: 1 GiB at 1024x1024 in float32, where a decoder that is not cut takes more than three
// times as much. Pictures of a batch are decoded one after the other.
class VaeDecoder {
 public:
  // Large enough for full speed; on the CPU small enough that the allocator reuses its pages
  // instead of asking the system for fresh ones.
  static constexpr int64_t kCpuBandBytes = int64_t{16} << 20;
  static constexpr int64_t kDeviceBandBytes = int64_t{256} << 20;

  // Reads vae/ below model_dir. Errors: NOT_FOUND, INVALID_ARGUMENT listing every problem,
  // DATA_LOSS.
  static absl::StatusOr<VaeDecoder> Load(const std::string& model_dir,
                                         const WeightOptions& options);

  const VaeConfig& config() const { return config_; }
  const VaeDecoderWeights& weights() const { return weights_; }

  // latents [B, latent_channels, h, w] as the transformer leaves them -> pictures [B, 3, H, W] in
  // the compute type, -1 to 1 and beyond (not clamped).
  at::Tensor Decode(const at::Tensor& latents) const;
  at::Tensor Decode(const at::Tensor& latents, int64_t max_band_bytes) const;

 private:
  VaeDecoder() = default;
  at::Tensor DecodeOne(const at::Tensor& latents, int64_t max_band_bytes) const;

  VaeConfig config_;
  VaeDecoderWeights weights_;
};

}  // namespace tessera
