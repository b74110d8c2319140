#pragma once

#include <cstdint>
#include <string>

#include "tests/support/temp_dir.h"

namespace tessera::testing {

// The smallest folder that ReadModelInfo accepts: configs of a schnell-like model, weight files
// without tensors.
class CheckpointConfigs {
 public:
  CheckpointConfigs() {
    Write("model_index.json", R"({"_class_name": "FluxPipeline",
        "image_encoder": [null, null],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"]})");
    Write("transformer/config.json", R"({"guidance_embeds": false})");
    Write("vae/config.json", R"({"block_out_channels": [8, 16, 32, 32]})");
    const std::string weights("\2\0\0\0\0\0\0\0{}", 10);
    Write("text_encoder/model.safetensors", weights);
    Write("text_encoder_2/model.safetensors", weights);
    Write("transformer/diffusion_pytorch_model.safetensors", weights);
    Write("vae/diffusion_pytorch_model.safetensors", weights);
  }

  const std::string& dir() const { return dir_.path(); }
  void Write(const std::string& name, const std::string& bytes) const { dir_.Write(name, bytes); }

 private:
  const TempDir dir_;
};

}  // namespace tessera::testing
