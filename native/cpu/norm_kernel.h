// Inner loops of group and layer normalisation. Sums are taken in double: E[x²] − E[x]² then loses nothing that a float holds.
#pragma once

#include "cpu/kernels.h"
#include "cpu/partial_vector.h"
#include "cpu/vector_math.h"

namespace sdxl::cpu {

template <class V>
void channel_sums(const float* x, int64_t pixels, int64_t channels, double* sums, double* squares) {
  constexpr int64_t kTogether = 8;  // pixels for one load and store of the sums
  for (int64_t p = 0; p < pixels; p += kTogether) {
    const int64_t end = p + kTogether < pixels ? p + kTogether : pixels;
    for (int64_t c = 0; c < channels; c += V::kWidth) {
      auto sum = V::Doubles::load(sums + c), square = V::Doubles::load(squares + c);
      for (int64_t i = p; i < end; ++i) {
        const V v = load_first<V>(x + i * channels + c, channels - c);
        sum.add(v);
        square.add_square(v);
      }
      sum.store(sums + c);
      square.store(squares + c);
    }
  }
}

template <class V, bool with_silu>
void normalize_as(const float* x, float* y, int64_t pixels, int64_t channels, const float* mean, const float* scale, const float* shift) {
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < channels; c += V::kWidth) {
      const int64_t at = p * channels + c, count = channels - c;
      const V centred = load_first<V>(x + at, count) - load_first<V>(mean + c, count);
      const V v = fma(centred, load_first<V>(scale + c, count), load_first<V>(shift + c, count));
      store_first(with_silu ? silu(v) : v, y + at, count);
    }
}

template <class V>
void normalize(const float* x, float* y, int64_t pixels, int64_t channels, const float* mean, const float* scale, const float* shift, bool with_silu) {
  if (with_silu) normalize_as<V, true>(x, y, pixels, channels, mean, scale, shift);
  else normalize_as<V, false>(x, y, pixels, channels, mean, scale, shift);
}

template <class V>
void layer_norm(const float* x, float* y, int64_t rows, int64_t channels, const float* weight, const float* bias, float eps) {
  for (int64_t row = 0; row < rows; ++row, x += channels, y += channels) {
    double lanes[2][V::kWidth] = {};
    auto sum = V::Doubles::load(lanes[0]), square = sum;
    for (int64_t c = 0; c < channels; c += V::kWidth) {
      const V v = load_first<V>(x + c, channels - c);
      sum.add(v);
      square.add_square(v);
    }
    sum.store(lanes[0]);
    square.store(lanes[1]);
    double mean = 0, mean_square = 0;
    for (int i = 0; i < V::kWidth; ++i) {
      mean += lanes[0][i];
      mean_square += lanes[1][i];
    }
    mean /= double(channels);
    const double variance = mean_square / double(channels) - mean * mean;
    const V centre = V::all(float(mean)), scale = V::all(float(1 / __builtin_sqrt((variance > 0 ? variance : 0) + eps)));
    for (int64_t c = 0; c < channels; c += V::kWidth) {
      const int64_t count = channels - c;
      const V v = (load_first<V>(x + c, count) - centre) * scale;
      store_first(fma(v, load_first<V>(weight + c, count), load_first<V>(bias + c, count)), y + c, count);
    }
  }
}

}  // namespace sdxl::cpu
