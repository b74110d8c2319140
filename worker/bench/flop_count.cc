#include "worker/bench/flop_count.h"

namespace tessera {

std::vector<GemmShape> GemmsOf(const FluxConfig& config, const TokenRows& rows) {
  const int64_t d = config.inner_dim();
  std::vector<GemmShape> gemms = {{rows.image.size(), config.in_channels, d, 1},
                                  {rows.image.size(), d, config.out_channels, 1}};
  for (const int64_t stream : {rows.text.size(), rows.image.size()}) {
    gemms.push_back({stream, d, d, 4 * config.num_layers});  // q, k, v, out
    gemms.push_back({stream, d, 4 * d, config.num_layers});
    gemms.push_back({stream, 4 * d, d, config.num_layers});
  }
  gemms.push_back({rows.size(), d, d, 3 * config.num_single_layers});  // q, k, v
  gemms.push_back({rows.size(), d, 4 * d, config.num_single_layers});
  gemms.push_back({rows.size(), 5 * d, d, config.num_single_layers});
  return gemms;
}

FlopCount CountFlops(const FluxConfig& config, const TokenRows& rows, int64_t joint_tokens) {
  FlopCount count;
  for (const GemmShape& gemm : GemmsOf(config, rows)) {
    count.linear +=
        2.0 * static_cast<double>(gemm.rows * gemm.times) * static_cast<double>(gemm.in * gemm.out);
  }
  count.attention = 4.0 * static_cast<double>(config.attention_layers() * config.inner_dim()) *
                    static_cast<double>(rows.size()) * static_cast<double>(joint_tokens);
  return count;
}

}  // namespace tessera
