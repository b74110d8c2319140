#include "tests/unit/worker/vae/random_vae.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera::testing {
namespace {

at::Tensor Normal(at::IntArrayRef shape, double mean, double deviation, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat) * deviation +
         mean;
}

}  // namespace

RandomVae::RandomVae(const RandomVaeSize& size) : size_(size) {
  std::string pattern = ::testing::TempDir() + "/random_vae_XXXXXX";
  dir_ = mkdtemp(pattern.data());
  std::filesystem::create_directories(dir_ + "/vae");

  const int64_t top = size.block_out_channels.back();
  if (size.use_post_quant_conv) {
    AddConv("post_quant_conv", size.latent_channels, size.latent_channels, 1);
  }
  AddConv("decoder.conv_in", size.latent_channels, top, 3);
  AddResnet("decoder.mid_block.resnets.0", top, top);
  if (size.mid_block_add_attention) {
    AddNorm("decoder.mid_block.attentions.0.group_norm", top);
    for (const char* name : {"to_q", "to_k", "to_v", "to_out.0"}) {
      AddLinear(absl::StrCat("decoder.mid_block.attentions.0.", name), top);
    }
  }
  AddResnet("decoder.mid_block.resnets.1", top, top);
  int64_t in = top;
  const size_t levels = size.block_out_channels.size();
  for (size_t i = 0; i < levels; ++i) {
    const int64_t out = size.block_out_channels[levels - 1 - i];
    for (int64_t j = 0; j <= size.layers_per_block; ++j) {
      AddResnet(absl::StrCat("decoder.up_blocks.", i, ".resnets.", j), in, out);
      in = out;
    }
    if (i + 1 < levels) {
      AddConv(absl::StrCat("decoder.up_blocks.", i, ".upsamplers.0.conv"), out, out, 3);
    }
  }
  AddNorm("decoder.conv_norm_out", in);
  AddConv("decoder.conv_out", in, 3, 3);
  AddConv("encoder.conv_in", 3, in, 3);
  Write();
}

RandomVae::~RandomVae() { std::filesystem::remove_all(dir_); }

void RandomVae::Write(const std::string& fields) const {
  nlohmann::json config = {{"_class_name", "AutoencoderKL"},
                           {"block_out_channels", size_.block_out_channels},
                           {"layers_per_block", size_.layers_per_block},
                           {"latent_channels", size_.latent_channels},
                           {"norm_num_groups", size_.norm_num_groups},
                           {"scaling_factor", 0.7},
                           {"shift_factor", 0.2},
                           {"use_post_quant_conv", size_.use_post_quant_conv},
                           {"mid_block_add_attention", size_.mid_block_add_attention}};
  config.update(nlohmann::json::parse(absl::StrCat("{", fields, "}")));
  std::ofstream(dir_ + "/vae/config.json") << config.dump();
  const absl::Status status =
      WriteSafetensors(dir_ + "/vae/diffusion_pytorch_model.safetensors", tensors_);
  ASSERT_TRUE(status.ok()) << status;
}

void RandomVae::AddConv(const std::string& name, int64_t in, int64_t out, int64_t kernel) {
  const double deviation = 1.0 / std::sqrt(static_cast<double>(in * kernel * kernel));
  tensors_[name + ".weight"] = Normal({out, in, kernel, kernel}, 0.0, deviation, tensors_.size());
  tensors_[name + ".bias"] = Normal({out}, 0.0, 0.1, tensors_.size());
}

void RandomVae::AddNorm(const std::string& name, int64_t channels) {
  tensors_[name + ".weight"] = Normal({channels}, 1.0, 0.1, tensors_.size());
  tensors_[name + ".bias"] = Normal({channels}, 0.0, 0.1, tensors_.size());
}

void RandomVae::AddResnet(const std::string& name, int64_t in, int64_t out) {
  AddNorm(name + ".norm1", in);
  AddConv(name + ".conv1", in, out, 3);
  AddNorm(name + ".norm2", out);
  AddConv(name + ".conv2", out, out, 3);
  if (in != out) AddConv(name + ".conv_shortcut", in, out, 1);
}

void RandomVae::AddLinear(const std::string& name, int64_t channels) {
  const double deviation = 1.0 / std::sqrt(static_cast<double>(channels));
  tensors_[name + ".weight"] = Normal({channels, channels}, 0.0, deviation, tensors_.size());
  tensors_[name + ".bias"] = Normal({channels}, 0.0, 0.1, tensors_.size());
}

}  // namespace tessera::testing
