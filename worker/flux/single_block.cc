#include "worker/flux/single_block.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "worker/base/norm_eps.h"
#include "worker/flux/double_block.h"
#include "worker/kernels/gated_add.h"
#include "worker/kernels/norm_rope_qkv.h"

namespace tessera {
SingleBlock SingleBlock::Load(WeightReader& reader, const FluxConfig& config, int64_t index,
                              const LayerSet& fp8, KernelChoice kernels) {
  const std::string p = absl::StrCat("single_transformer_blocks.", index, ".");
  const int64_t inner = config.inner_dim();
  const auto load = [&](const std::string& name, int64_t from, int64_t to, LayerClass layer) {
    return Linear::Load(reader, p + name, from, to, layer, fp8, kernels);
  };
  SingleBlock block;
  block.kernels = kernels;
  block.modulation = Linear::Load(reader, p + "norm.linear", inner, 3 * inner, kernels);
  block.to_q = load("attn.to_q", inner, inner, LayerClass::kSingleIn);
  block.to_k = load("attn.to_k", inner, inner, LayerClass::kSingleIn);
  block.to_v = load("attn.to_v", inner, inner, LayerClass::kSingleIn);
  block.norm_q = reader.Take(p + "attn.norm_q.weight", {config.attention_head_dim});
  block.norm_k = reader.Take(p + "attn.norm_k.weight", {config.attention_head_dim});
  block.mlp = load("proj_mlp", inner, 4 * inner, LayerClass::kSingleIn);
  block.out = load("proj_out", 5 * inner, inner, LayerClass::kSingleOut);
  return block;
}

void SingleBlock::Forward(at::Tensor& rows, int64_t text_count, const at::Tensor& vectors,
                          const RopeTable& text_rope, const RopeTable& image_rope, int64_t layer,
                          JointAttention& attention) const {
  const int64_t batch = rows.size(0), count = rows.size(1), inner = rows.size(2);
  const Modulation m = ModulationOf(vectors, 0, inner);
  const LinearInput y = Modulated(rows, m, to_q);

  const JointAttention::KeyValue text = attention.TextRows(layer),
                                 image = attention.ImageRows(layer);
  const at::IntArrayRef head_sizes = image.k.sizes().slice(2);
  const auto heads = [&](const Linear& linear) { return linear(y).unflatten(-1, head_sizes); };
  const at::Tensor raw_q = heads(to_q), raw_k = heads(to_k), raw_v = heads(to_v);
  const at::Tensor q = at::empty_like(raw_q);
  const auto write = [&](int64_t begin, int64_t size, const RopeTable& rope,
                         const JointAttention::KeyValue& to) {
    if (size == 0) return;
    NormRopeQkv(
        {raw_q.narrow(1, begin, size), raw_k.narrow(1, begin, size), raw_v.narrow(1, begin, size)},
        norm_q, norm_k, rope.cos, rope.sin, kNormEps, {q.narrow(1, begin, size), to.k, to.v},
        kernels);
  };
  write(0, text_count, text_rope, text);
  write(text_count, count - text_count, image_rope, image);

  // Attention output and MLP side by side, as the projection reads them.
  if (out.is_fp8()) {
    const at::Tensor hidden = mlp(y);  // before its GELU
    GatedAdd(rows, m.gate, out(QuantizeGeluRows(attention.Attend(layer, q), hidden, kernels)),
             kernels);
    return;
  }
  const at::Tensor both = at::empty({batch * count, 5 * inner}, rows.options());
  at::Tensor hidden = both.narrow(1, inner, 4 * inner);
  mlp.GeluInto(y, hidden);
  both.narrow(1, 0, inner).copy_(attention.Attend(layer, q).flatten(0, 1));
  GatedAdd(rows, m.gate, out(both).view({batch, count, inner}), kernels);
}

}  // namespace tessera
