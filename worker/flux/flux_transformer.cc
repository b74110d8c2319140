#include "worker/flux/flux_transformer.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/base/norm_eps.h"
#include "worker/kernels/layer_norm_modulate.h"

namespace tessera {
namespace {

constexpr double kHalfMax = 65504;

RopeTable RopeRows(const RopeTable& table, int64_t begin, int64_t size) {
  return {table.cos.narrow(0, begin, size), table.sin.narrow(0, begin, size)};
}

// Hands out slices of the last dimension, one after another.
class ConsecutiveSlices {
 public:
  explicit ConsecutiveSlices(at::Tensor vectors) : vectors_(std::move(vectors)) {}
  at::Tensor Next(int64_t width) {
    begin_ += width;
    return vectors_.narrow(-1, begin_ - width, width);
  }

 private:
  const at::Tensor vectors_;
  int64_t begin_ = 0;
};

// diffusers keeps float16 residual streams finite.
void ClampHalf(at::Tensor& x) {
  if (x.scalar_type() == at::kHalf) x.clamp_(-kHalfMax, kHalfMax);
}

}  // namespace

absl::StatusOr<FluxTransformer> FluxTransformer::Load(const Checkpoint& checkpoint,
                                                      const WeightOptions& options,
                                                      const LayerSet& fp8, KernelChoice kernels) {
  TESSERA_ASSIGN_OR_RETURN(const FluxConfig config, ReadFluxConfig(checkpoint));
  WeightOptions mine = options;
  if (!fp8.empty()) mine.stored_fp8 = StoredFp8::kKeep;
  TESSERA_ASSIGN_OR_RETURN(const WeightFiles files, checkpoint.Weights(Part::kTransformer));
  TESSERA_ASSIGN_OR_RETURN(WeightReader reader, WeightReader::Open(files, mine));
  return Load(config, std::move(reader), fp8, kernels);
}

absl::StatusOr<FluxTransformer> FluxTransformer::Load(const FluxConfig& c, WeightReader reader,
                                                      const LayerSet& fp8, KernelChoice kernels) {
  FluxTransformer model;
  model.config_ = c;
  model.kernels_ = kernels;
  model.x_embedder_ = Linear::Load(reader, "x_embedder", c.in_channels, c.inner_dim(),
                                   LayerClass::kImageIn, fp8, kernels);
  model.context_embedder_ =
      Linear::Load(reader, "context_embedder", c.joint_attention_dim, c.inner_dim(), kernels);
  model.time_text_ = TimeTextEmbedding::Load(reader, c, kernels);
  for (int64_t i = 0; i < c.num_layers; ++i)
    model.double_blocks_.push_back(DoubleBlock::Load(reader, c, i, fp8, kernels));
  for (int64_t i = 0; i < c.num_single_layers; ++i)
    model.single_blocks_.push_back(SingleBlock::Load(reader, c, i, fp8, kernels));
  model.norm_out_ =
      Linear::Load(reader, "norm_out.linear", c.inner_dim(), 2 * c.inner_dim(), kernels);
  model.proj_out_ = Linear::Load(reader, "proj_out", c.inner_dim(), c.out_channels,
                                 LayerClass::kFinal, fp8, kernels);
  TESSERA_RETURN_IF_ERROR(reader.Finish());
  return model;
}

FluxConditioning FluxTransformer::Prepare(const at::Tensor& text, const at::Tensor& pooled,
                                          std::span<const float> timesteps, double guidance_scale,
                                          int64_t grid_height, int64_t grid_width) const {
  FluxConditioning conditioning;
  conditioning.context = context_embedder_(text);
  conditioning.rope = BuildRopeTable(config_, text.size(1), grid_height, grid_width, text.device());

  const at::Tensor times =
      at::tensor(at::ArrayRef<float>(timesteps.data(), timesteps.size())).to(text.device());
  const at::Tensor activated =
      at::silu(time_text_(times, guidance_scale, pooled)).unsqueeze(2);  // [steps, B, 1, inner]
  std::vector<int64_t> sizes = activated.sizes().vec();
  sizes.back() = (12 * config_.num_layers + 3 * config_.num_single_layers + 2) * activated.size(-1);
  conditioning.modulation = at::empty(sizes, activated.options());
  ConsecutiveSlices places(conditioning.modulation);
  const auto write = [&](const Linear& linear) {
    places.Next(linear.bias.size(0)).copy_(linear(activated));
  };
  for (const DoubleBlock& block : double_blocks_) {
    write(block.image.modulation);
    write(block.text.modulation);
  }
  for (const SingleBlock& block : single_blocks_) write(block.modulation);
  write(norm_out_);
  return conditioning;
}

at::Tensor FluxTransformer::Velocity(const FluxConditioning& conditioning, int64_t step,
                                     const at::Tensor& latents, const TokenRows& rows,
                                     JointAttention& attention,
                                     const BlockObserver& observer) const {
  const int64_t text_tokens = conditioning.context.size(1);
  const int64_t text_count = rows.text.size(), image_count = rows.image.size(),
                inner = config_.inner_dim();
  // One buffer for both streams, text first: the single blocks need no concatenation.
  at::Tensor joint =
      at::empty({latents.size(0), text_count + image_count, inner}, latents.options());
  at::Tensor text = joint.narrow(1, 0, text_count),
             image = joint.narrow(1, text_count, image_count);
  text.copy_(conditioning.context.narrow(1, rows.text.begin, text_count));
  image.copy_(x_embedder_(latents.narrow(1, rows.image.begin, image_count)));
  const RopeTable text_rope = RopeRows(conditioning.rope, rows.text.begin, text_count);
  const RopeTable image_rope =
      RopeRows(conditioning.rope, text_tokens + rows.image.begin, image_count);

  ConsecutiveSlices vectors(conditioning.modulation[step]);
  int64_t layer = 0;
  for (size_t i = 0; i < double_blocks_.size(); ++i, ++layer) {
    const at::Tensor image_vectors = vectors.Next(6 * inner),
                     text_vectors = vectors.Next(6 * inner);
    double_blocks_[i].Forward(text, image, text_vectors, image_vectors, text_rope, image_rope,
                              layer, attention);
    ClampHalf(text);
    if (observer) observer(absl::StrCat("double", i), text, image);
  }
  for (size_t i = 0; i < single_blocks_.size(); ++i, ++layer) {
    single_blocks_[i].Forward(joint, text_count, vectors.Next(3 * inner), text_rope, image_rope,
                              layer, attention);
    ClampHalf(joint);
    if (observer) observer(absl::StrCat("single", i), text, image);
  }

  const at::Tensor scale = vectors.Next(inner), shift = vectors.Next(inner);
  const at::Tensor y = LayerNormModulate(image, shift, scale, kNormEps, kernels_);
  if (observer) observer("norm_out", text, y);
  return proj_out_(y);
}

}  // namespace tessera
