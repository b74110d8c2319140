#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tessera {

// The latent picture of one image: [channels, height, width]. The transformer sees each 2x2 cell as
// one token.
struct LatentShape {
  int64_t channels = 0;
  int64_t height = 0;  // even
  int64_t width = 0;   // even

  int64_t rows() const { return height / 2; }    // of the token grid
  int64_t columns() const { return width / 2; }  // of the token grid
  int64_t tokens() const { return rows() * columns(); }
  int64_t features() const { return 4 * channels; }  // of a token
};

// The latents of a picture of width x height pixels, rounded down to whole tokens, for a VAE with
// `channels` latent channels whose sides are pixel_scale times shorter than the picture's.
LatentShape LatentShapeOf(int64_t width, int64_t height, int64_t channels, int64_t pixel_scale);

// [B, C, h, w] -> [B, (h/2)(w/2), 4C]: token (y, x), feature 4 * channel + 2 * dy + dx =
// latent[channel, 2y + dy, 2x + dx].
at::Tensor PackLatents(const at::Tensor& latents);
// The inverse.
at::Tensor UnpackLatents(const at::Tensor& tokens, const LatentShape& shape);

// Where a run starts: the noise of `count` pictures, packed, [count, tokens, features], on the CPU,
// as diffusers draws it from one CPU generator: item 0 is the single picture of that seed, item 1
// continues the stream. The low 32 bits of the seed count. The dtype is part of the seed: float32,
// bfloat16 and float16 noise of one seed are unrelated numbers.
at::Tensor InitialLatents(const LatentShape& shape, int64_t count, at::ScalarType dtype,
                          uint64_t seed);

}  // namespace tessera
