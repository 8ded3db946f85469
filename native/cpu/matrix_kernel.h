// Inner loops of the matrix product.
#pragma once

#include "cpu/kernels.h"
#include "cpu/partial_vector.h"
#include "cpu/vector_math.h"

namespace sdxl::cpu {

template <class V, bool bf16>
void widen(const uint16_t* from, int64_t count, float* to) {
  const auto load = [](const uint16_t* at) { return bf16 ? V::load_bf16(at) : V::load_f16(at); };
  int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) load(from + i).store(to + i);
  if (i == count) return;
  uint16_t rest[V::kWidth] = {};
  for (int64_t j = i; j < count; ++j) rest[j - i] = from[j];
  store_first(load(rest), to + i, count - i);
}

// `rows` × 2 vectors of sums stay in registers. Rows of a are read one number at a time, so a needs no transposing. V is a vector of what a
// and b are made of: floats, or pairs of bf16.
template <class V, int rows>
void multiply_tile(int64_t depth, const typename V::Number* a, int64_t a_stride, const typename V::Number* b, float* c, int64_t c_stride, bool add) {
  using Sums = typename V::Sums;
  Sums sums[rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) sums[r][0] = sums[r][1] = Sums::all(0);
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; ++k) {
    const V b0 = V::load(b + k * 2 * V::kWidth), b1 = V::load(b + k * 2 * V::kWidth + V::kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const V x = V::all(a[r * a_stride + k]);
      sums[r][0] = fma(x, b0, sums[r][0]);
      sums[r][1] = fma(x, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      float* at = c + r * c_stride + i * V::kWidth;
      (add ? Sums::load(at) + sums[r][i] : sums[r][i]).store(at);
    }
}

template <class V, int rows>
void multiply_rest(int64_t count, int64_t depth, const typename V::Number* a, int64_t a_stride, const typename V::Number* b, float* c, int64_t c_stride,
                   bool add) {
  if constexpr (rows > 0) {
    if (count == rows) multiply_tile<V, rows>(depth, a, a_stride, b, c, c_stride, add);
    else multiply_rest<V, rows - 1>(count, depth, a, a_stride, b, c, c_stride, add);
  }
}

template <class V>
void multiply(int64_t rows, int64_t depth, const typename V::Number* a, int64_t a_stride, const typename V::Number* b, float* c, int64_t c_stride, bool add) {
  constexpr int kRows = V::kTileRows;
  for (; rows >= kRows; rows -= kRows, a += kRows * a_stride, c += kRows * c_stride) multiply_tile<V, kRows>(depth, a, a_stride, b, c, c_stride, add);
  multiply_rest<V, kRows - 1>(rows, depth, a, a_stride, b, c, c_stride, add);
}

template <class V, ops::Activation activation, bool geglu>
void finish_as(const Finish& f) {
  constexpr int kPanel = 2 * V::kWidth, kVectors = geglu ? 1 : 2;
  for (int64_t row = 0; row < f.rows; ++row)
    for (int64_t i = 0; i < kVectors; ++i) {
      const int64_t first = i * V::kWidth, count = f.columns - first, at = row * f.stride + first;
      if (count <= 0) continue;
      const auto with_bias = [&](int64_t column) { return V::load(f.product + row * kPanel + column) + V::load(f.bias + column); };
      V v = activated<V, activation>(with_bias(first));
      if constexpr (geglu) v = v * gelu(with_bias(V::kWidth));
      if (f.residual) v = v + load_first<V>(f.residual + at, count);
      store_first(v, f.y + at, count);
    }
}

template <class V>
void finish(const Finish& f) {
  using ops::Activation;
  if (f.geglu) return finish_as<V, Activation::none, true>(f);
  switch (f.activation) {
    case Activation::none: return finish_as<V, Activation::none, false>(f);
    case Activation::silu: return finish_as<V, Activation::silu, false>(f);
    case Activation::gelu: return finish_as<V, Activation::gelu, false>(f);
    case Activation::quick_gelu: return finish_as<V, Activation::quick_gelu, false>(f);
    case Activation::relu: return finish_as<V, Activation::relu, false>(f);
  }
}

template <class V>
float peak(int64_t rounds) {
  V sums[kPeakTerms];
  for (int i = 0; i < kPeakTerms; ++i) sums[i] = V::all(float(i));
  const V factor = V::all(0.999f), term = V::all(0.001f);
  for (int64_t n = 0; n < rounds; ++n)
#pragma GCC unroll 12
    for (int i = 0; i < kPeakTerms; ++i) sums[i] = fma(sums[i], factor, term);
  V total = sums[0];
  for (int i = 1; i < kPeakTerms; ++i) total = total + sums[i];
  return sum(total);
}

}  // namespace sdxl::cpu
