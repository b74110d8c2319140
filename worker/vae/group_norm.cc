#include "worker/vae/group_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "worker/base/norm_eps.h"
#include "worker/vae/cpu_pixels.h"

namespace tessera {
namespace {

constexpr int kRowDim = 2;
constexpr int64_t kElementsPerTask = 1 << 14;
// Pixels are walked in blocks of at least so many elements.
constexpr int64_t kMinBlock = 64;

// Whether the pixels lie one after the other, the channels of each side by side.
bool HasCpuPixels(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

int64_t BlockOf(int64_t channels) { return channels * ((kMinBlock + channels - 1) / channels); }

// Calls f(first, count) with the elements of some whole rows of x.
template <typename F>
void ForEachRowRange(const at::Tensor& x, const F& f) {
  const int64_t row = x.size(1) * x.size(3);
  const int64_t grain = std::max<int64_t>(1, kElementsPerTask / row);
  at::parallel_for(0, x.size(kRowDim), grain,
                   [&](int64_t begin, int64_t end) { f(begin * row, (end - begin) * row); });
}

at::Tensor CpuChannelMoments(const at::Tensor& x) {
  const int64_t channels = x.size(1), rows = x.size(kRowDim), block = BlockOf(channels);
  const int64_t row = channels * x.size(3);
  // [rows, 2, blocks' pixels, C]: apart by row, so that the sum does not depend on the threads.
  at::Tensor moments = at::zeros({rows, 2, block / channels, channels}, at::kDouble);
  const float* elements = x.const_data_ptr<float>();
  double* sums = moments.mutable_data_ptr<double>();
  ForEachRowRange(x, [&](int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; i += row) {
      double* sum = sums + i / row * 2 * block;
      cpu::AddMoments(elements + i, row, block, sum, sum + block);
    }
  });
  return moments.sum(at::IntArrayRef{0, 2});
}

at::Tensor CpuNormSilu(const GroupNorm& norm, const GroupStatistics& statistics,
                       const std::vector<at::Tensor>& parts) {
  const int64_t channels = parts.front().size(1), block = BlockOf(channels);
  const at::Tensor scale = norm.weight / (statistics.variance + kNormEps).sqrt();
  const at::Tensor shift = norm.bias - statistics.mean * scale;
  const at::Tensor scales = scale.repeat(block / channels), shifts = shift.repeat(block / channels);

  int64_t rows = 0;
  for (const at::Tensor& part : parts) rows += part.size(kRowDim);
  at::Tensor y = at::empty({1, channels, rows, parts.front().size(3)}, parts.front().options(),
                           at::MemoryFormat::ChannelsLast);
  float* out = y.mutable_data_ptr<float>();
  for (const at::Tensor& part : parts) {
    const float* in = part.const_data_ptr<float>();
    ForEachRowRange(part, [&](int64_t first, int64_t count) {
      cpu::ScaleShiftSilu(in + first, count, scales.const_data_ptr<float>(),
                          shifts.const_data_ptr<float>(), block, out + first);
    });
    out += part.numel();
  }
  return y;
}

}  // namespace

ChannelSums SumChannels(const RowBands& bands) {
  ChannelSums total;
  for (const at::Tensor& band : bands) {
    const at::Tensor part =
        HasCpuPixels(band) ? CpuChannelMoments(band) : reference::ChannelMoments(band);
    total.sums = total.sums.defined() ? total.sums + part : part;
    total.pixels += band.size(kRowDim) * band.size(3);
  }
  return total;
}

GroupStatistics StatisticsOf(const ChannelSums& sums, int64_t groups) {
  const int64_t group_size = sums.sums.size(1) / groups;
  const at::Tensor moments =
      sums.sums.view({2, groups, group_size}).sum(2, /*keepdim=*/true) / (sums.pixels * group_size);
  const at::Tensor variance = (moments[1] - moments[0].square()).clamp_min(0);
  const auto by_channel = [&](const at::Tensor& value) {
    return value.expand({groups, group_size}).flatten().to(at::kFloat);
  };
  return {by_channel(moments[0]), by_channel(variance)};
}

GroupStatistics MeasureGroups(const RowBands& bands, int64_t groups) {
  return StatisticsOf(SumChannels(bands), groups);
}

GroupNorm GroupNorm::Load(WeightReader& reader, const std::string& name, int64_t channels,
                          int64_t groups) {
  const auto take = [&](const char* part) {
    const at::Tensor tensor = reader.Take(name + part, {channels});
    return tensor.defined() ? tensor.to(at::kFloat) : tensor;
  };
  return {groups, take(".weight"), take(".bias")};
}

at::Tensor GroupNorm::operator()(const at::Tensor& x, const GroupStatistics& statistics) const {
  // With the statistics known, this is a batch norm at inference.
  return at::batch_norm(x, weight, bias, statistics.mean, statistics.variance,
                        /*training=*/false, /*momentum=*/0.0, kNormEps, /*cudnn_enabled=*/false);
}

at::Tensor NormSilu(const GroupNorm& norm, const GroupStatistics& statistics,
                    const std::vector<at::Tensor>& parts) {
  return std::all_of(parts.begin(), parts.end(), HasCpuPixels)
             ? CpuNormSilu(norm, statistics, parts)
             : reference::NormSilu(norm, statistics, parts);
}

namespace reference {

at::Tensor ChannelMoments(const at::Tensor& x) {
  at::Tensor wide = x.to(at::kDouble);
  const at::Tensor sum = wide.sum(at::IntArrayRef{2, 3});
  return at::cat({sum, wide.square_().sum(at::IntArrayRef{2, 3})});
}

at::Tensor NormSilu(const GroupNorm& norm, const GroupStatistics& statistics,
                    const std::vector<at::Tensor>& parts) {
  at::Tensor y = norm(at::cat(parts, kRowDim), statistics);
  return at::silu_(y);
}

}  // namespace reference

}  // namespace tessera
