#include "worker/flux/rope.h"

#include <ATen/ATen.h>

#include <vector>

namespace tessera {

RopeTable RopeFromIds(const at::Tensor& ids, at::IntArrayRef axes_dims) {
  constexpr double kTheta = 10000.0;
  std::vector<at::Tensor> angles;
  for (size_t axis = 0; axis < axes_dims.size(); ++axis) {
    const double width = static_cast<double>(axes_dims[axis]);
    const at::Tensor exponent =
        at::arange(0, axes_dims[axis], 2, ids.options().dtype(at::kDouble)) / width;
    const at::Tensor frequency = 1.0 / at::pow(kTheta, exponent);  // [width / 2]
    angles.push_back(
        at::outer(ids.select(1, static_cast<int64_t>(axis)).to(at::kDouble), frequency));
  }
  const at::Tensor angle = at::cat(angles, 1);  // [rows, head_dim / 2]
  return {angle.cos().to(at::kFloat).contiguous(), angle.sin().to(at::kFloat).contiguous()};
}

RopeTable BuildRopeTable(const FluxConfig& config, int64_t text_tokens, int64_t grid_height,
                         int64_t grid_width, at::Device device) {
  const at::TensorOptions options = at::TensorOptions().dtype(at::kDouble).device(at::kCPU);
  at::Tensor image_ids = at::zeros({grid_height, grid_width, 3}, options);
  image_ids.select(2, 1).copy_(
      at::arange(grid_height, options).unsqueeze(1).expand({-1, grid_width}));
  image_ids.select(2, 2).copy_(
      at::arange(grid_width, options).unsqueeze(0).expand({grid_height, -1}));
  const at::Tensor ids = at::cat({at::zeros({text_tokens, 3}, options), image_ids.flatten(0, 1)});
  const RopeTable table = RopeFromIds(ids, config.axes_dims_rope);
  return {table.cos.to(device), table.sin.to(device)};
}

}  // namespace tessera
