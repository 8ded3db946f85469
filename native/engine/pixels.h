// Between latents and pixels, whole or in tiles as memory allows.
#pragma once

#include <cstdint>
#include <vector>

#include "model/autoencoder.h"

namespace sdxl::engine {

struct Picture {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> rgb = {};     // [height, width, 3]
  std::vector<uint8_t> hidden = {};  // [height, width], or empty: pixels where it is not 0 count as the gray half-way between black and white
};

// pixels [1, height, width, 3] → bytes [height, width, 3]; see ops::Rgb.
std::vector<uint8_t> to_rgb(const model::Run& run, ConstTensor pixels);

// What an autoencoder works with: the UNet's latents are its own times `latent_scale`, unless it reads those as they are.
struct Coder {
  const model::Autoencoder& autoencoder;
  double latent_scale;
};

// latents [1, height, width, channels], the UNet's → pixels [1, height · scale, width · scale, 3], about −1 … 1. `tile`: side of the tiles to decode in, in
// latents; 0: whole, unless a memory limit asks for tiles, and then in the largest that fit.
Array decode(const model::Run& run, const Coder& coder, ConstTensor latents, int64_t tile = 0);

// The picture's sides are multiples of the scale. The UNet's latents [channels, height / scale, width / scale]; `tile`: see decode.
std::vector<float> encode(const model::Run& run, const Coder& coder, const Picture& picture, int64_t tile = 0);

}  // namespace sdxl::engine
