#include "worker/flux/double_block.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"
#include "worker/base/norm_eps.h"
#include "worker/kernels/gated_add.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/norm_rope_qkv.h"

namespace tessera {
namespace {

struct StreamNames {
  std::string modulation, q, k, v, out, norm_q, norm_k, mlp;
};

DoubleStream LoadStream(WeightReader& reader, const FluxConfig& config, const StreamNames& names,
                        const LayerSet& fp8, KernelChoice kernels) {
  const int64_t inner = config.inner_dim();
  const auto load = [&](const std::string& name, int64_t in, int64_t out, LayerClass layer) {
    return Linear::Load(reader, name, in, out, layer, fp8, kernels);
  };
  DoubleStream stream;
  stream.kernels = kernels;
  stream.modulation = Linear::Load(reader, names.modulation + ".linear", inner, 6 * inner, kernels);
  stream.to_q = load(names.q, inner, inner, LayerClass::kDoubleQkv);
  stream.to_k = load(names.k, inner, inner, LayerClass::kDoubleQkv);
  stream.to_v = load(names.v, inner, inner, LayerClass::kDoubleQkv);
  stream.to_out = load(names.out, inner, inner, LayerClass::kDoubleOut);
  stream.norm_q = reader.Take(names.norm_q + ".weight", {config.attention_head_dim});
  stream.norm_k = reader.Take(names.norm_k + ".weight", {config.attention_head_dim});
  stream.mlp_in = load(names.mlp + ".net.0.proj", inner, 4 * inner, LayerClass::kDoubleMlpIn);
  stream.mlp_out = load(names.mlp + ".net.2", 4 * inner, inner, LayerClass::kDoubleMlpOut);
  return stream;
}

}  // namespace

Modulation ModulationOf(const at::Tensor& vectors, int64_t index, int64_t inner_dim) {
  const auto part = [&](int64_t i) {
    return vectors.narrow(-1, (3 * index + i) * inner_dim, inner_dim);
  };
  return {part(0), part(1), part(2)};
}

LinearInput Modulated(const at::Tensor& x, const Modulation& m, const Linear& consumer) {
  if (consumer.is_fp8())
    return LayerNormModulateFp8(x, m.shift, m.scale, kNormEps, consumer.kernels);
  return LayerNormModulate(x, m.shift, m.scale, kNormEps, consumer.kernels);
}

void DoubleStream::ProjectQkv(const at::Tensor& x, const at::Tensor& vectors, const RopeTable& rope,
                              const at::Tensor& q,
                              const JointAttention::KeyValue& key_value) const {
  if (x.size(1) == 0) return;
  const LinearInput y = Modulated(x, ModulationOf(vectors, 0, x.size(2)), to_q);
  const auto heads = [&](const Linear& linear) {
    return linear(y).unflatten(-1, {q.size(2), q.size(3)});
  };
  NormRopeQkv({heads(to_q), heads(to_k), heads(to_v)}, norm_q, norm_k, rope.cos, rope.sin, kNormEps,
              {q, key_value.k, key_value.v}, kernels);
}

void DoubleStream::AddBranches(at::Tensor& x, const at::Tensor& vectors,
                               const at::Tensor& attention) const {
  if (x.size(1) == 0) return;
  const int64_t inner = x.size(2);
  GatedAdd(x, ModulationOf(vectors, 0, inner).gate, to_out(attention), kernels);
  const Modulation m = ModulationOf(vectors, 1, inner);
  const LinearInput y = Modulated(x, m, mlp_in);
  const LinearInput hidden =  // [B, rows, 4 * inner]
      mlp_out.is_fp8() ? LinearInput(QuantizeGeluRows(/*head=*/{}, mlp_in(y), kernels))
                       : mlp_in.Gelu(y);
  GatedAdd(x, m.gate, mlp_out(hidden), kernels);
}

DoubleBlock DoubleBlock::Load(WeightReader& reader, const FluxConfig& config, int64_t index,
                              const LayerSet& fp8, KernelChoice kernels) {
  const std::string p = absl::StrCat("transformer_blocks.", index, ".");
  return {LoadStream(reader, config,
                     {p + "norm1", p + "attn.to_q", p + "attn.to_k", p + "attn.to_v",
                      p + "attn.to_out.0", p + "attn.norm_q", p + "attn.norm_k", p + "ff"},
                     fp8, kernels),
          LoadStream(reader, config,
                     {p + "norm1_context", p + "attn.add_q_proj", p + "attn.add_k_proj",
                      p + "attn.add_v_proj", p + "attn.to_add_out", p + "attn.norm_added_q",
                      p + "attn.norm_added_k", p + "ff_context"},
                     fp8, kernels)};
}

void DoubleBlock::Forward(at::Tensor& text_rows, at::Tensor& image_rows,
                          const at::Tensor& text_vectors, const at::Tensor& image_vectors,
                          const RopeTable& text_rope, const RopeTable& image_rope, int64_t layer,
                          JointAttention& attention) const {
  const int64_t text_count = text_rows.size(1), image_count = image_rows.size(1);
  const JointAttention::KeyValue text_kv = attention.TextRows(layer);
  const JointAttention::KeyValue image_kv = attention.ImageRows(layer);
  const at::Tensor q = at::empty(
      {image_rows.size(0), text_count + image_count, image_kv.k.size(2), image_kv.k.size(3)},
      image_rows.options());
  text.ProjectQkv(text_rows, text_vectors, text_rope, q.narrow(1, 0, text_count), text_kv);
  image.ProjectQkv(image_rows, image_vectors, image_rope, q.narrow(1, text_count, image_count),
                   image_kv);
  const at::Tensor a = attention.Attend(layer, q);  // [B, text + image, inner]
  image.AddBranches(image_rows, image_vectors, a.narrow(1, text_count, image_count));
  text.AddBranches(text_rows, text_vectors, a.narrow(1, 0, text_count));
}

}  // namespace tessera
