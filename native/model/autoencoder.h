// What turns pictures into latents and back: SDXL's VAE, or TAESD in its place.
#pragma once

#include "model/layers.h"

namespace sdxl::model {

class Autoencoder {
 public:
  explicit Autoencoder(const weights::Component& component) : layers(component) {}
  virtual ~Autoencoder() = default;

  // latents [1, height, width, latent channels] → pixels [1, height · scale, width · scale, 3], about −1 … 1.
  virtual Array decode(const Run& run, ConstTensor latents) const = 0;
  // pixels [1, height, width, 3], sides multiples of scale → latents [1, height / scale, width / scale, latent channels].
  virtual Array encode(const Run& run, ConstTensor pixels) const = 0;

  // The same from overlapping tiles of `tile` latents a side, blended over a quarter of it: bounded memory for large
  // pictures, at the price of small differences (each tile has its own normalisation). Diffusers: tiled_decode, tiled_encode.
  Array decode_tiled(const Run& run, ConstTensor latents, int64_t tile) const;
  Array encode_tiled(const Run& run, ConstTensor pixels, int64_t tile) const;

  // No less than what `decode` and `encode` hold at once beside their argument, for so many latents.
  virtual int64_t decode_bytes(int64_t height, int64_t width) const = 0;
  virtual int64_t encode_bytes(int64_t height, int64_t width) const = 0;
  // What the tiled forms hold beside the tile that is being worked on.
  int64_t beside_decoded_tile(int64_t height, int64_t width, int64_t tile, Tiling tiling) const;
  int64_t beside_encoded_tile(int64_t height, int64_t width, int64_t tile, Tiling tiling) const;

  // A file may hold one direction only.
  virtual bool can_decode() const = 0;
  virtual bool can_encode() const = 0;
  // Whether its latents are those of the UNet; else those are its own times the latent scale.
  virtual bool is_scaled() const = 0;

  int64_t latent_channels() const { return latent_channels_; }
  int64_t scale() const { return scale_; }  // pixels per latent, along one side
  Layers layers;

 protected:
  int64_t latent_channels_ = 0, scale_ = 1;
};

}  // namespace sdxl::model
