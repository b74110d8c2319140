#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/vae/row_bands.h"
#include "worker/weights/weight_reader.h"

namespace tessera {

// Sum and sum of squares of each channel, float64 [2, C], over so many pixels.
struct ChannelSums {
  at::Tensor sums;
  int64_t pixels = 0;
};

// Mean and variance (biased) of each group of channels over a whole activation, repeated for each
// channel of the group: float32 [C].
struct GroupStatistics {
  at::Tensor mean, variance;
};

// Sums run in float64, so that the statistics do not depend on where the bands are cut.
ChannelSums SumChannels(const RowBands& bands);
GroupStatistics StatisticsOf(const ChannelSums& sums, int64_t groups);
// Both, for bands that are the whole activation.
GroupStatistics MeasureGroups(const RowBands& bands, int64_t groups);

// Group normalisation (eps 1e-6) in two halves: measure the whole, then normalise any part of it.
struct GroupNorm {
  int64_t groups = 1;
  at::Tensor weight;  // float32 [channels], whatever the compute type
  at::Tensor bias;    // float32 [channels]

  static GroupNorm Load(WeightReader& reader, const std::string& name, int64_t channels,
                        int64_t groups);

  // x [1, C, rows, W], rounded to its dtype.
  at::Tensor operator()(const at::Tensor& x, const GroupStatistics& statistics) const;
};

// silu(norm(x)) for the parts of x, which lie one below the other, as one new tensor. A fused
// kernel in float32 on the CPU; else its twin.
at::Tensor NormSilu(const GroupNorm& norm, const GroupStatistics& statistics,
                    const std::vector<at::Tensor>& parts);

namespace reference {

// ChannelSums::sums of x.
at::Tensor ChannelMoments(const at::Tensor& x);
at::Tensor NormSilu(const GroupNorm& norm, const GroupStatistics& statistics,
                    const std::vector<at::Tensor>& parts);

}  // namespace reference

}  // namespace tessera
