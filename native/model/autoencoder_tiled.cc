// Coding in overlapping tiles. Their places and the blending are those of Diffusers' tiled_decode: rows above, then columns to the left,
// linearly. But an axis that one tile covers has one tile. Tiles are cut and blended by the host, which has memory for large pictures.
#include <algorithm>

#include "model/autoencoder.h"

namespace sdxl::model {

namespace {

float mixed(float before, float after, int64_t i, int64_t extent) {
  const float share = float(i) / float(extent);
  return before * (1 - share) + after * share;
}

// Sides in latents; `from` and `to` are the sizes of a latent before and after the work.
struct Tiles {
  int64_t tile, from, to, channels;  // channels: of the result
  int64_t overlap() const { return tile / 4; }
  // Between the tiles of an axis with so many latents.
  int64_t step(int64_t side) const { return tile >= side ? side : tile - overlap(); }
  // How many begin before `end`.
  int64_t count(int64_t side, int64_t end) const { return (end + step(side) - 1) / step(side); }
  // The longest side of one.
  int64_t side(int64_t height, int64_t width) const { return std::min(tile, std::max(height, width)); }
};

using TileWork = std::function<Array(const Run& run, ConstTensor part)>;

// How many latents the picture is continued by on each axis. An axis that one tile covers wraps in the convolutions themselves.
struct Continued {
  int64_t rows, columns;
};
Continued continued_by(const Tiles& tiles, int64_t height, int64_t width, Tiling tiling) {
  return {tiling.y && tiles.tile < height ? tiles.overlap() : 0, tiling.x && tiles.tile < width ? tiles.overlap() : 0};
}

// What the tiles to come blend with: the last columns of the one to the left, and the last rows of those above, for this row and the next.
// All of it is taken before the work begins, for between the blocks of the work it would keep others from being used again.
class Edges {
 public:
  Edges(const Run& run, int64_t tile, int64_t extent, int64_t channels, int64_t row_length)
      : tile_(tile),
        extent_(extent),
        channels_(channels),
        left_(run.backend.host().take(shape(1))),
        above_(run.backend.host().take(shape(row_length))),
        below_(run.backend.host().take(shape(row_length))) {}

  // The first rows of the j-th tile of a row fade in from those above.
  void blend_rows(const Array& tile, int64_t j) const {
    const int64_t columns = tile.shape()[2], extent = std::min(extent_, tile.shape()[1]);
    for (int64_t y = 0; y < extent; ++y) {
      const float* from = strip(above_, j) + (extent_ - extent + y) * columns * channels_;
      float* to = tile.data() + y * columns * channels_;
      for (int64_t i = 0; i < columns * channels_; ++i) to[i] = mixed(from[i], to[i], y, extent);
    }
  }
  // The same for columns.
  void blend_columns(const Array& tile) const {
    const int64_t columns = tile.shape()[2], extent = std::min(extent_, columns);
    for (int64_t y = 0; y < tile.shape()[1]; ++y)
      for (int64_t x = 0; x < extent; ++x) {
        const float* from = left_.data() + (y * extent_ + extent_ - extent + x) * channels_;
        float* to = tile.data() + (y * columns + x) * channels_;
        for (int64_t c = 0; c < channels_; ++c) to[c] = mixed(from[c], to[c], x, extent);
      }
  }

  void keep_columns(const Array& tile) {
    const int64_t columns = tile.shape()[2];
    for (int64_t y = 0; y < tile.shape()[1]; ++y)
      std::copy_n(tile.data() + (y * columns + columns - extent_) * channels_, extent_ * channels_, left_.data() + y * extent_ * channels_);
  }
  void keep_rows(const Array& tile, int64_t j) {
    const int64_t row = tile.shape()[2] * channels_;
    std::copy_n(tile.data() + (tile.shape()[1] - extent_) * row, extent_ * row, strip(below_, j));
  }
  void next_row() { std::swap(above_, below_); }

  static int64_t elements(int64_t tile, int64_t extent, int64_t channels, int64_t row_length) {
    return (1 + 2 * row_length) * tile * std::max<int64_t>(extent, 1) * channels;
  }

 private:
  Shape shape(int64_t count) const { return {count, tile_, std::max<int64_t>(extent_, 1), channels_}; }
  float* strip(const Array& strips, int64_t j) const { return strips.data() + j * tile_ * extent_ * channels_; }

  int64_t tile_, extent_, channels_;
  Array left_, above_, below_;
};

// x and the result are on the host. `more`: what x is continued by already, where no tile begins.
Array blended(const Run& run, ConstTensor x, const Tiles& tiles, Continued more, const TileWork& work) {
  const auto [batch, height, width, channels] = x.dims<4>();
  const int64_t rows = height / tiles.from, columns = width / tiles.from, down = tiles.step(rows), right = tiles.step(columns);
  const int64_t row_end = rows - more.rows, column_end = columns - more.columns, out_width = columns * tiles.to;
  Array result = run.backend.host().take({1, rows * tiles.to, out_width, tiles.channels});
  Edges edges(run, tiles.side(rows, columns) * tiles.to, tiles.overlap() * tiles.to, tiles.channels, tiles.count(columns, column_end));

  for (int64_t top = 0; top < row_end; top += down, edges.next_row())
    for (int64_t left = 0, j = 0; left < column_end; left += right, ++j) {
      const int64_t h = std::min(tiles.tile, rows - top) * tiles.from, w = std::min(tiles.tile, columns - left) * tiles.from;
      Array part = run.backend.host().take({1, h, w, channels});
      const float* from = x.data() + (top * width + left) * tiles.from * channels;
      for (int64_t r = 0; r < h; ++r) std::copy_n(from + r * width * channels, w * channels, part.data() + r * w * channels);
      part = run.backend.to_device(std::move(part), DType::f32);
      const Array tile = run.backend.to_host(work(run, part));

      // With neighbours that are blended already, as Diffusers does it.
      if (top > 0) edges.blend_rows(tile, j);
      if (left > 0) edges.blend_columns(tile);
      const bool last_row = top + down >= row_end, last_column = left + right >= column_end;
      const int64_t tile_width = tile.shape()[2];
      const int64_t kept_rows = last_row ? tile.shape()[1] : down * tiles.to, kept_columns = last_column ? tile_width : right * tiles.to;
      for (int64_t r = 0; r < kept_rows; ++r)
        std::copy_n(tile.data() + r * tile_width * tiles.channels, kept_columns * tiles.channels,
                    result.data() + ((top * tiles.to + r) * out_width + left * tiles.to) * tiles.channels);
      if (!last_row) edges.keep_rows(tile, j);
      if (!last_column) edges.keep_columns(tile);
    }
  return result;
}

// The picture with its first rows and columns again behind its last ones.
Array continued(const Run& run, ConstTensor x, int64_t rows, int64_t columns) {
  const auto [batch, height, width, channels] = x.dims<4>();
  Array larger = run.backend.host().take({1, height + rows, width + columns, channels});
  for (int64_t y = 0; y < height + rows; ++y) {
    const float* from = x.data() + y % height * width * channels;
    float* to = larger.data() + y * (width + columns) * channels;
    std::copy_n(from, width * channels, to);
    std::copy_n(from, columns * channels, to + width * channels);
  }
  return larger;
}

// What lies behind the last rows and columns fades into the first ones, and goes.
Array folded(const Run& run, const Array& x, int64_t rows, int64_t columns) {
  const auto [batch, full_height, full_width, channels] = x.view().dims<4>();
  const int64_t height = full_height - rows, width = full_width - columns;
  const auto at = [&, full_width = full_width, channels = channels](int64_t row, int64_t column) { return x.data() + (row * full_width + column) * channels; };
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t i = 0; i < full_width * channels; ++i) at(y, 0)[i] = mixed(at(height + y, 0)[i], at(y, 0)[i], y, rows);
  Array result = run.backend.host().take({1, height, width, channels});
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t column = 0; column < columns; ++column)
      for (int64_t c = 0; c < channels; ++c) at(y, column)[c] = mixed(at(y, width + column)[c], at(y, column)[c], column, columns);
    std::copy_n(at(y, 0), width * channels, result.data() + y * width * channels);
  }
  return result;
}

Array coded(const Run& run, ConstTensor x, const Tiles& tiles, const TileWork& work) {
  const int64_t height = x.shape()[1] / tiles.from, width = x.shape()[2] / tiles.from;
  const Continued more = continued_by(tiles, height, width, run.tiling);
  const auto [rows, columns] = more;
  Run inner = run;
  inner.tiling = {run.tiling.x && tiles.tile >= width, run.tiling.y && tiles.tile >= height};
  const ops::HostView view = run.backend.view(x);
  const auto on_device = [&](Array result) { return run.backend.to_device(std::move(result), DType::f32); };
  if (!rows && !columns) return on_device(blended(inner, view.values, tiles, more, work));
  const Array larger = continued(run, view.values, rows * tiles.from, columns * tiles.from);
  return on_device(folded(run, blended(inner, larger, tiles, more, work), rows * tiles.to, columns * tiles.to));
}

// The result, edges of tiles, what the current tile is made of, and the continued picture.
int64_t beside_bytes(const Tiles& tiles, int64_t height, int64_t width, int64_t from_channels, Tiling tiling) {
  const auto [rows, columns] = continued_by(tiles, height, width, tiling);
  const int64_t full_height = height + rows, full_width = width + columns, full = full_height * full_width;
  const int64_t part = std::min(tiles.tile, full_height) * std::min(tiles.tile, full_width);
  const bool continues = rows || columns;
  const int64_t results = full + (continues ? height * width : 0), sources = part + (continues ? full : 0);
  const int64_t edges =
      Edges::elements(tiles.side(full_height, full_width) * tiles.to, tiles.overlap() * tiles.to, tiles.channels, tiles.count(full_width, width));
  return (results * tiles.to * tiles.to * tiles.channels + edges + sources * tiles.from * tiles.from * from_channels) * int64_t(sizeof(float));
}

}  // namespace

Array Autoencoder::decode_tiled(const Run& run, ConstTensor latents, int64_t tile) const {
  return coded(run, latents, {tile, 1, scale_, 3}, [this](const Run& inner, ConstTensor part) { return decode(inner, part); });
}

Array Autoencoder::encode_tiled(const Run& run, ConstTensor pixels, int64_t tile) const {
  return coded(run, pixels, {tile, scale_, 1, latent_channels_}, [this](const Run& inner, ConstTensor part) { return encode(inner, part); });
}

int64_t Autoencoder::beside_decoded_tile(int64_t height, int64_t width, int64_t tile, Tiling tiling) const {
  return beside_bytes({tile, 1, scale_, 3}, height, width, latent_channels_, tiling);
}

int64_t Autoencoder::beside_encoded_tile(int64_t height, int64_t width, int64_t tile, Tiling tiling) const {
  return beside_bytes({tile, scale_, 1, latent_channels_}, height, width, 3, tiling);
}

}  // namespace sdxl::model
