#include "engine/pixels.h"

#include <algorithm>
#include <functional>

#include "engine/layout.h"

namespace sdxl::engine {

namespace {

using Bytes = std::function<int64_t(int64_t height, int64_t width)>;

// How a picture of so many latents is coded. `whole`: bytes for all of it at once; `beside`: what stays beside a tile of that side.
struct Work {
  int64_t height, width;
  Bytes whole;
  std::function<int64_t(int64_t tile)> beside;
  std::function<Array(int64_t tile)> code;  // tile ≥ both sides: whole
};

constexpr int64_t kSmallestTile = 8;

// Tiles are slower and not quite the same picture, so only a memory limit asks for them, and for the largest that fit.
int64_t affordable_tile(Arena& arena, const Work& work) {
  int64_t tile = std::max(work.height, work.width);
  if (!arena.limit()) return tile;
  const int64_t whole = work.whole(work.height, work.width), free = int64_t(arena.room(size_t(whole)));
  if (whole <= free) return tile;
  // Some of it is for scratch memory.
  const auto fits = [&] { return work.whole(std::min(tile, work.height), std::min(tile, work.width)) + work.beside(tile) <= free / 16 * 15; };
  for (tile = (tile - 1) / 4 * 4; tile > kSmallestTile && !fits();) tile -= 4;
  return std::max(tile, kSmallestTile);
}

// `tile`: 0 for the largest that fit. What gaps between blocks of unlike size will take is not known before, so those may turn out too large.
Array code(Arena& arena, const Work& work, int64_t tile) {
  if (tile) return work.code(tile);
  for (tile = affordable_tile(arena, work);; tile = std::max(tile / 16 * 12, kSmallestTile)) try {
      return work.code(tile);
    } catch (const Error& error) {
      if (error.code != Code::out_of_memory || tile <= kSmallestTile) throw;
    }
}

}  // namespace

Array decode(const model::Run& run, const Coder& coder, ConstTensor latents, int64_t tile) {
  const auto& autoencoder = coder.autoencoder;
  const int64_t rows = latents.shape()[1], columns = latents.shape()[2];
  Array own;
  if (!autoencoder.is_scaled()) run.backend.run(ops::Combine{{{float(1 / coder.latent_scale), latents}}, own = run.take(latents.shape())});
  const ConstTensor read = own ? ConstTensor(own) : latents;
  const Work work{
      .height = rows,
      .width = columns,
      .whole = [&](int64_t h, int64_t w) { return autoencoder.decode_bytes(h, w); },
      .beside = [&](int64_t side) { return autoencoder.beside_decoded_tile(rows, columns, side, run.tiling); },
      .code = [&](int64_t side) { return side >= std::max(rows, columns) ? autoencoder.decode(run, read) : autoencoder.decode_tiled(run, read, side); },
  };
  return code(run.backend.arena(), work, tile);
}

std::vector<float> encode(const model::Run& run, const Coder& coder, const Picture& picture, int64_t tile) {
  const auto& autoencoder = coder.autoencoder;
  const int64_t scale = autoencoder.scale(), rows = picture.height / scale, columns = picture.width / scale;
  Array pixels = run.backend.host().take({1, picture.height, picture.width, 3});
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.data()[i] = float(picture.rgb[size_t(i)]) / 255.f * 2.f - 1.f;
  for (size_t p = 0; p < picture.hidden.size(); ++p)
    if (picture.hidden[p]) std::fill_n(pixels.data() + 3 * p, 3, 0.f);
  pixels = run.backend.to_device(std::move(pixels), DType::f32);
  const Work work{
      .height = rows,
      .width = columns,
      .whole = [&](int64_t h, int64_t w) { return autoencoder.encode_bytes(h, w); },
      .beside = [&](int64_t side) { return autoencoder.beside_encoded_tile(rows, columns, side, run.tiling); },
      .code = [&](int64_t side) { return side >= std::max(rows, columns) ? autoencoder.encode(run, pixels) : autoencoder.encode_tiled(run, pixels, side); },
  };
  const Array latents = code(run.backend.arena(), work, tile);
  if (!autoencoder.is_scaled()) run.backend.run(ops::Combine{{{float(coder.latent_scale), latents}}, latents});
  return channels_first(run, latents);
}

std::vector<uint8_t> to_rgb(const model::Run& run, ConstTensor pixels) {
  std::vector<uint8_t> rgb(size_t(pixels.elements()));
  run.backend.run(ops::Rgb{pixels, rgb.data()});
  return rgb;
}

}  // namespace sdxl::engine
