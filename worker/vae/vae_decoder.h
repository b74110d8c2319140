#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/kernels/kernel_choice.h"
#include "worker/vae/vae_config.h"
#include "worker/vae/vae_layers.h"
#include "worker/weights/weight_reader.h"

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
// A picture whose largest activation takes more than max_band_bytes is decoded in bands of rows.
// Nothing is approximated: group norms are measured over all bands before one is normalised, each
// convolution sees one row of the neighbouring bands, and the attention, at latent size, sees the
// whole picture. The result equals that of the whole decode up to the order in which a convolution
// sums, far below one level of 255.
//
// Kept whole, at each level of h x w pixels, are at most its input or two of its outputs:
//   max(channels_in, 2 * channels_out) * h * w elements;
// all else has latent size or is temporary, about ten bands' worth (part of it in float64). For
// FLUX the last level decides: 256 * height * width elements, 1 GiB at 1024x1024 in float32, where
// a decoder that is not cut holds at least 640. Pictures of a batch are decoded one after the
// other.
//
// The ranks of a group may share one picture, each holding some of the rows at every level; what is
// measured over the whole picture still is. All compute conv_in and the attention's keys and values
// alike, a 500th of FLUX's work at 1024x1024; its queries are split, so that its input has to be
// gathered (17 MB in bfloat16).
class VaeDecoder {
 public:
  // On the CPU bands also pay in time: small temporaries reuse their pages, large ones are given
  // back to the system and faulted in again.
  static constexpr int64_t kCpuBandBytes = int64_t{8} << 20;
  static constexpr int64_t kDeviceBandBytes = int64_t{64} << 20;

  // Errors: NOT_FOUND, INVALID_ARGUMENT listing every problem,
  // DATA_LOSS. `kernels` turn pictures into bytes.
  static absl::StatusOr<VaeDecoder> Load(const Checkpoint& checkpoint, const WeightOptions& options,
                                         KernelChoice kernels = {});
  static absl::StatusOr<VaeDecoder> Load(const VaeConfig& config, WeightReader reader,
                                         KernelChoice kernels = {});

  const VaeConfig& config() const { return config_; }
  const VaeDecoderWeights& weights() const { return weights_; }

  // latents [B, latent_channels, h, w] as the transformer leaves them -> pictures [B, 3, H, W] in
  // the compute type, -1 to 1 and beyond (not clamped).
  at::Tensor Decode(const at::Tensor& latents) const;
  at::Tensor Decode(const at::Tensor& latents, int64_t max_band_bytes) const;

  // One picture, each rank decoding its rows (RowSplit): latents [1, latent_channels, h, w], the
  // same on all ranks -> bytes [H, W, 3] on the device, on all ranks. With one rank they are those
  // of Decode. Every rank calls it. Throws StatusException: the communicator's, or INTERNAL for
  // values that are not finite among this rank's; and what tensor code throws.
  at::Tensor DecodeRgb8(const at::Tensor& latents, Communicator& communicator) const;
  at::Tensor DecodeRgb8(const at::Tensor& latents, Communicator& communicator,
                        int64_t max_band_bytes) const;
  // Its first half: this rank's rows [1, 3, rows, W], as of Decode. The caller sets InferenceMode.
  at::Tensor DecodeRows(const at::Tensor& latents, const RowSplit& split,
                        int64_t max_band_bytes) const;

 private:
  VaeDecoder() = default;
  int64_t DefaultBandBytes() const;

  VaeConfig config_;
  KernelChoice kernels_;
  VaeDecoderWeights weights_;
};

}  // namespace tessera
