#include "worker/pipeline/memory_costs.h"

#include <algorithm>

#include "worker/vae/vae_decoder.h"

namespace tessera {
namespace {

constexpr int64_t kFloatBytes = 4;

// In widths of the transformer (inner_dim elements), at the end of a single block: the residual
// rows, the modulated rows, raw q, k and v, q, the joined input of the last projection (5) and the
// MLP's output on its way into it (4); one more for copies of attention's output.
constexpr int64_t kSingleBlockWidths = 16;

// The same where the last projection is FP8, beside what quantising its joined input (5) takes: the
// residual rows, raw q, k and v, q, attention, the MLP's output (4), the joined input.
constexpr int64_t kFp8BlockWidths = 15;

// The decoder's header tells what it keeps whole: bytes for a pixel of the picture. Its attention,
// at latent size, holds about a dozen activations.
int64_t DecodedPixelBytes(const VaeConfig& vae, int64_t element) {
  constexpr int64_t kAttentionActivations = 12;
  const auto& widths = vae.block_out_channels;  // the first has the size of the picture
  const int64_t latent_pixel = vae.pixel_scale() * vae.pixel_scale();  // in pixels
  double elements = static_cast<double>(kAttentionActivations * widths.back()) /
                    static_cast<double>(latent_pixel);
  for (size_t level = 0; level < widths.size(); ++level) {
    const int64_t in = widths[std::min(level + 1, widths.size() - 1)];
    const double kept = static_cast<double>(std::max(in, 2 * widths[level]));
    elements = std::max(elements, kept / static_cast<double>(int64_t{1} << (2 * level)));
  }
  return static_cast<int64_t>(elements * static_cast<double>(element)) + 1;
}

}  // namespace

MemoryCosts CostsOf(const FluxConfig& flux, const VaeConfig& vae, const T5Config& t5,
                    int max_text_tokens, const ComputeDevice& compute) {
  constexpr int64_t kBands = 12;  // of the decoder, that exist at one time
  const auto element = static_cast<int64_t>(c10::elementSize(compute.dtype));
  const int64_t width = flux.inner_dim() * element;
  const int64_t band =
      compute.device.is_cpu() ? VaeDecoder::kCpuBandBytes : VaeDecoder::kDeviceBandBytes;
  // Attention on the CPU may repack keys and values of a narrow type.
  const int64_t repacked = compute.device.is_cpu() && compute.dtype != at::kFloat ? 2 * width : 0;
  const int64_t inner = flux.inner_dim();
  // ATen quantises an element by way of float32, twice.
  constexpr int64_t kQuantising = 2 * kFloatBytes + 1;
  const int64_t fp8_block = kFp8BlockWidths * width + 5 * inner * kQuantising;
  // Beside the rows that wait in FP8 there is one layer as computed.
  const bool fp8_rows = compute.kv_storage == KvStorage::kFp8;
  const int64_t fp8_row = 2 * (inner + flux.num_attention_heads * kFloatBytes);
  return {
      .layers = flux.attention_layers(),
      .kv_row = fp8_rows ? fp8_row : 2 * width,
      .open_layer_row = fp8_rows ? 2 * (width + inner * kQuantising) : 0,
      .computed_row = compute.fp8.empty() ? kSingleBlockWidths * width : fp8_block,
      // cos and sin; the noise, latents and velocity with their float32 temporaries.
      .any_row = flux.attention_head_dim * kFloatBytes +
                 flux.in_channels * (3 * element + 4 * kFloatBytes) + repacked,
      .text_token = 3 * t5.d_ff * element + t5.d_model * (4 * element + 3 * kFloatBytes) +
                    4 * t5.inner_dim() * element + 2 * t5.num_heads * max_text_tokens * element,
      .step = (12 * flux.num_layers + 3 * flux.num_single_layers + 8) * width,
      // And the three channels on their way to bytes.
      .decoded_pixel = DecodedPixelBytes(vae, element) + 3 * (2 * element + 2 * kFloatBytes),
      .picture_pixel = 3 * 2,  // bytes, on the device and on the host
      .max_bands = kBands * band,
  };
}

}  // namespace tessera
