#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "worker/vae/group_norm.h"
#include "worker/vae/row_bands.h"
#include "worker/vae/row_split.h"
#include "worker/weights/weight_reader.h"

namespace tessera {

// Layers of the VAE (diffusers' models/resnet.py, upsampling.py and attention_processor.py). They
// work on an activation cut into bands of rows, of which the ranks of a group may each hold some;
// the result is that of the uncut one, up to the order of summation. Activations are channels-last:
// the convolutions of oneDNN and cuDNN take it as it is, and a band is dense.

struct Conv {
  at::Tensor weight;  // [out, in, k, k]
  at::Tensor bias;    // [out]

  static Conv Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out,
                   int64_t kernel);

  at::Tensor operator()(const at::Tensor& x) const;  // zeroes around x; height and width stay
};

// x + conv2(silu(norm2(conv1(silu(norm1(x)))))), with a 1x1 convolution on x where the channels
// change.
struct ResnetBlock {
  GroupNorm norm1, norm2;
  Conv conv1, conv2;
  std::optional<Conv> shortcut;

  static ResnetBlock Load(WeightReader& reader, const std::string& name, int64_t in, int64_t out,
                          int64_t groups);
};

// x + to_out(softmax(q k^T / sqrt(C)) v) over all pixels, one head, on the normalised x.
struct AttentionBlock {
  GroupNorm norm;
  at::Tensor q_weight, k_weight, v_weight, out_weight;  // [C, C]
  at::Tensor q_bias, k_bias, v_bias, out_bias;          // [C]

  // Takes old names (query, key, value, proj_attn) and 1x1 convolutions in place of matrices as
  // well.
  static AttentionBlock Load(WeightReader& reader, const std::string& name, int64_t channels,
                             int64_t groups);
};

// In place, on this rank's rows. Besides `bands` they hold one more activation of that size, if
// any, and temporaries the size of a band. What the exchange throws, they throw.
void ApplyResnet(const ResnetBlock& block, RowBands& bands, const RowSplit& split = {});
// Nearest x2, then conv.
void ApplyUpsample(const Conv& conv, RowBands& bands, const RowSplit& split = {});
RowBands ApplyNormSiluConv(const GroupNorm& norm, const Conv& conv, RowBands bands,
                           const RowSplit& split);

// x whole, [1, C, H, W]; the result is that of the given rows. Scores are made for so many queries
// at a time that they take at most max_score_bytes, if they are made at all.
at::Tensor ApplyAttention(const AttentionBlock& block, const at::Tensor& x, const RowRange& rows,
                          int64_t max_score_bytes);

}  // namespace tessera
