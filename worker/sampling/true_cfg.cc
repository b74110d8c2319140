#include "worker/sampling/true_cfg.h"

#include <ATen/ATen.h>

namespace tessera {

at::Tensor CombineTrueCfg(const at::Tensor& negative, const at::Tensor& positive, double scale) {
  return negative + scale * (positive - negative);
}

}  // namespace tessera
