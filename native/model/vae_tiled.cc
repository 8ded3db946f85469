// Decoding in overlapping tiles. The blending is Diffusers' tiled_decode: rows above, then columns to the left, linearly.
#include <algorithm>

#include "model/vae.h"

namespace sdxl::model {

namespace {

// The first `extent` rows of `tile` fade in from the last rows of the one above.
void blend_rows(const Array& above, const Array& tile, int64_t extent) {
  const int64_t rows = above.shape()[1], row = tile.shape()[2] * 3, above_row = above.shape()[2] * 3;
  extent = std::min({extent, rows, tile.shape()[1]});
  for (int64_t y = 0; y < extent; ++y) {
    const float share = float(y) / float(extent);
    for (int64_t i = 0; i < std::min(row, above_row); ++i) {
      float& v = tile.data()[y * row + i];
      v = above.data()[(rows - extent + y) * above_row + i] * (1 - share) + v * share;
    }
  }
}

// The same for columns and the tile to the left.
void blend_columns(const Array& left, const Array& tile, int64_t extent) {
  const int64_t columns = left.shape()[2], width = tile.shape()[2];
  extent = std::min({extent, columns, width});
  for (int64_t y = 0; y < std::min(left.shape()[1], tile.shape()[1]); ++y)
    for (int64_t x = 0; x < extent; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        const float share = float(x) / float(extent);
        float& v = tile.data()[(y * width + x) * 3 + c];
        v = left.data()[(y * columns + columns - extent + x) * 3 + c] * (1 - share) + v * share;
      }
}

}  // namespace

Array Vae::decode_tiled(const Run& run, ConstTensor latents, int64_t tile) const {
  const auto [batch, height, width, channels] = latents.dims<4>();
  const int64_t overlap = tile / 4, step = tile - overlap;
  const int64_t extent = tile * scale_ / 4, keep = tile * scale_ - extent;  // pixels
  Array picture = run.take({batch, height * scale_, width * scale_, 3});

  std::vector<Array> above, row;
  for (int64_t y = 0; y < height; y += step) {
    row.clear();
    for (int64_t x = 0; x < width; x += step) {
      const int64_t h = std::min(tile, height - y), w = std::min(tile, width - x);
      Array part = run.take({1, h, w, channels});
      for (int64_t r = 0; r < h; ++r) std::copy_n(latents.data() + ((y + r) * width + x) * channels, w * channels, part.data() + r * w * channels);
      row.push_back(decode(run, part));
    }
    // Each tile blends with neighbours that are blended already, as Diffusers does it.
    for (size_t j = 0; j < row.size(); ++j) {
      if (!above.empty()) blend_rows(above[j], row[j], extent);
      if (j > 0) blend_columns(row[j - 1], row[j], extent);
      const int64_t top = y / step * keep, left = int64_t(j) * keep;
      const int64_t rows = std::min(keep, row[j].shape()[1]), columns = std::min(keep, row[j].shape()[2]);
      for (int64_t r = 0; r < rows && top + r < height * scale_; ++r)
        std::copy_n(row[j].data() + r * row[j].shape()[2] * 3, std::min(columns, width * scale_ - left) * 3,
                    picture.data() + ((top + r) * width * scale_ + left) * 3);
    }
    above = std::move(row);
  }
  return picture;
}

}  // namespace sdxl::model
