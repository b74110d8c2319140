#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tessera::testing {

// The size of a VAE checkpoint with random weights.
struct RandomVaeSize {
  std::vector<int64_t> block_out_channels = {6, 12, 24};
  int64_t layers_per_block = 1;
  int64_t latent_channels = 5;
  int64_t norm_num_groups = 3;
  bool use_post_quant_conv = false;
  bool mid_block_add_attention = true;
};

// vae/config.json and vae/diffusion_pytorch_model.safetensors in a temporary folder, removed with
// the object.
class RandomVae {
 public:
  explicit RandomVae(const RandomVaeSize& size);
  ~RandomVae();
  RandomVae(const RandomVae&) = delete;
  RandomVae& operator=(const RandomVae&) = delete;

  const std::string& dir() const { return dir_; }
  std::map<std::string, at::Tensor>& tensors() { return tensors_; }

  // Writes tensors() and the config again; `fields` are JSON fields that replace or join the
  // config's, such as R"("act_fn": "relu")".
  void Write(const std::string& fields = "") const;

 private:
  void AddConv(const std::string& name, int64_t in, int64_t out, int64_t kernel);
  void AddNorm(const std::string& name, int64_t channels);
  void AddResnet(const std::string& name, int64_t in, int64_t out);
  void AddLinear(const std::string& name, int64_t channels);

  RandomVaeSize size_;
  std::string dir_;
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace tessera::testing
