#include "worker/vae/vae_layers.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

// A 3x3 convolution of rows that bring their own padding above and below.
at::Tensor ConvolveRows(const Conv& conv, const at::Tensor& rows) {
  return at::conv2d(rows, conv.weight, conv.bias, /*stride=*/1, /*padding=*/at::IntArrayRef{0, 1});
}

// Calls sink(i, conv(silu(norm(x)))) band by band; sink may overwrite or drop band i of x.
template <typename Sink>
void ForEachNormSiluConv(const GroupNorm& norm, const Conv& conv, const RowBands& x,
                         const RowSplit& split, Sink&& sink) {
  ChannelSums sums = SumChannels(x);
  const Halo halo = split.ExchangeEdges(x, sums);
  const GroupStatistics statistics = StatisticsOf(sums, norm.groups);
  ForEachBandWithHalo(x, halo, [&](size_t i, const BandWithHalo& rows) {
    at::Tensor activated = NormSilu(norm, statistics, rows);
    ClearOutside(x, halo, i, activated);
    sink(i, ConvolveRows(conv, activated));
  });
}

}  // namespace

Conv Conv::Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out,
                int64_t kernel) {
  return {reader.Take(name + ".weight", {out, in, kernel, kernel}),
          reader.Take(name + ".bias", {out})};
}

at::Tensor Conv::operator()(const at::Tensor& x) const {
  return at::conv2d(x, weight, bias, /*stride=*/1,
                    /*padding=*/at::IntArrayRef{weight.size(-1) / 2});
}

ResnetBlock ResnetBlock::Load(WeightReader& reader, const std::string& name, int64_t in,
                              int64_t out, int64_t groups) {
  ResnetBlock block;
  block.norm1 = GroupNorm::Load(reader, name + ".norm1", in, groups);
  block.conv1 = Conv::Load(reader, name + ".conv1", in, out, 3);
  block.norm2 = GroupNorm::Load(reader, name + ".norm2", out, groups);
  block.conv2 = Conv::Load(reader, name + ".conv2", out, out, 3);
  if (in != out) block.shortcut = Conv::Load(reader, name + ".conv_shortcut", in, out, 1);
  return block;
}

AttentionBlock AttentionBlock::Load(WeightReader& reader, const std::string& name, int64_t channels,
                                    int64_t groups) {
  const bool old_names = reader.Has(name + ".query.weight");
  const auto weight = [&](const char* new_name, const char* old_name) {
    const std::string key = absl::StrCat(name, ".", old_names ? old_name : new_name, ".weight");
    if (reader.Shape(key).size() != 4) return reader.Take(key, {channels, channels});
    const at::Tensor tensor = reader.Take(key, {channels, channels, 1, 1});
    return tensor.defined() ? tensor.view({channels, channels}) : tensor;
  };
  const auto bias = [&](const char* new_name, const char* old_name) {
    return reader.Take(absl::StrCat(name, ".", old_names ? old_name : new_name, ".bias"),
                       {channels});
  };
  AttentionBlock block;
  block.norm = GroupNorm::Load(reader, name + ".group_norm", channels, groups);
  block.q_weight = weight("to_q", "query");
  block.q_bias = bias("to_q", "query");
  block.k_weight = weight("to_k", "key");
  block.k_bias = bias("to_k", "key");
  block.v_weight = weight("to_v", "value");
  block.v_bias = bias("to_v", "value");
  block.out_weight = weight("to_out.0", "proj_attn");
  block.out_bias = bias("to_out.0", "proj_attn");
  return block;
}

void ApplyResnet(const ResnetBlock& block, RowBands& bands, const RowSplit& split) {
  RowBands hidden(bands.size());
  ForEachNormSiluConv(block.norm1, block.conv1, bands, split, [&](size_t i, at::Tensor out) {
    hidden[i] = std::move(out);
    if (block.shortcut.has_value()) bands[i] = (*block.shortcut)(bands[i]);
  });
  ForEachNormSiluConv(block.norm2, block.conv2, hidden, split,
                      [&](size_t i, const at::Tensor& out) {
                        bands[i].add_(out);
                        hidden[i].reset();
                      });
}

void ApplyUpsample(const Conv& conv, RowBands& bands, const RowSplit& split) {
  const Halo halo = split.ExchangeEdges(bands);
  ForEachBandWithHalo(bands, halo, [&](size_t i, const BandWithHalo& parts) {
    const at::Tensor rows = at::cat(parts, 2);
    const int64_t height = 2 * rows.size(2), width = 2 * rows.size(3);
    at::Tensor doubled = at::upsample_nearest2d(rows, at::IntArrayRef{height, width});
    doubled = doubled.narrow(2, 1, height - 2);  // of each halo row, one is needed
    ClearOutside(bands, halo, i, doubled);
    bands[i] = ConvolveRows(conv, doubled);
  });
}

RowBands ApplyNormSiluConv(const GroupNorm& norm, const Conv& conv, RowBands bands,
                           const RowSplit& split) {
  RowBands result(bands.size());
  ForEachNormSiluConv(norm, conv, bands, split, [&](size_t i, at::Tensor out) {
    result[i] = std::move(out);
    bands[i].reset();
  });
  return result;
}

at::Tensor ApplyAttention(const AttentionBlock& block, const at::Tensor& x, const RowRange& rows,
                          int64_t max_score_bytes) {
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3);
  const int64_t pixels = height * width;
  const at::Tensor tokens = block.norm(x, MeasureGroups({x}, block.norm.groups))
                                .permute({0, 2, 3, 1})
                                .reshape({1, 1, pixels, channels});
  const at::Tensor q = at::linear(tokens.narrow(2, rows.begin * width, rows.size() * width),
                                  block.q_weight, block.q_bias);
  const at::Tensor k = at::linear(tokens, block.k_weight, block.k_bias);
  const at::Tensor v = at::linear(tokens, block.v_weight, block.v_bias);

  const int64_t score_bytes = pixels * static_cast<int64_t>(sizeof(float));
  std::vector<at::Tensor> parts;
  for (const at::Tensor& queries :
       q.split(std::max<int64_t>(1, max_score_bytes / score_bytes), 2)) {
    parts.push_back(at::scaled_dot_product_attention(queries, k, v));
  }
  const at::Tensor out = at::linear(at::cat(parts, 2), block.out_weight, block.out_bias);
  return x.narrow(2, rows.begin, rows.size()) +
         out.view({1, rows.size(), width, channels}).permute({0, 3, 1, 2});
}

}  // namespace tessera
