// Sixteen floats of AVX-512 (F, VL, BW, DQ): Intel's servers since 2017, AMD's since Zen 4. What each function means stands in
// vector_plain.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace sdxl::cpu {
namespace {

struct Avx512Vector {
  using Number = float;
  using Sums = Avx512Vector;
  static constexpr int kWidth = 16;
  static constexpr int kTileRows = 14;  // 28 of the 32 registers hold sums

  __m512 raw;

  static Avx512Vector all(float x) { return {_mm512_set1_ps(x)}; }
  static Avx512Vector load(const float* from) { return {_mm512_loadu_ps(from)}; }
  void store(float* to) const { _mm512_storeu_ps(to, raw); }

  static Avx512Vector load_f16(const uint16_t* from) { return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))}; }
  static Avx512Vector load_bf16(const uint16_t* from) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }

  friend Avx512Vector operator+(Avx512Vector a, Avx512Vector b) { return {_mm512_add_ps(a.raw, b.raw)}; }
  friend Avx512Vector operator-(Avx512Vector a, Avx512Vector b) { return {_mm512_sub_ps(a.raw, b.raw)}; }
  friend Avx512Vector operator*(Avx512Vector a, Avx512Vector b) { return {_mm512_mul_ps(a.raw, b.raw)}; }
  friend Avx512Vector operator/(Avx512Vector a, Avx512Vector b) { return {_mm512_div_ps(a.raw, b.raw)}; }
  friend Avx512Vector fma(Avx512Vector a, Avx512Vector b, Avx512Vector c) { return {_mm512_fmadd_ps(a.raw, b.raw, c.raw)}; }

  friend Avx512Vector where_less(Avx512Vector a, Avx512Vector b, Avx512Vector x, Avx512Vector y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.raw, b.raw, _CMP_LT_OQ), y.raw, x.raw)};
  }
  friend Avx512Vector max(Avx512Vector a, Avx512Vector b) { return {_mm512_max_ps(a.raw, b.raw)}; }
  friend Avx512Vector min(Avx512Vector a, Avx512Vector b) { return {_mm512_min_ps(a.raw, b.raw)}; }

  friend Avx512Vector bits_to_exponent(Avx512Vector a) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.raw), 23))}; }

  friend float sum(Avx512Vector a) { return _mm512_reduce_add_ps(a.raw); }
  friend float largest(Avx512Vector a) { return _mm512_reduce_max_ps(a.raw); }

  struct Doubles {
    __m512d low, high;
    static Doubles load(const double* from) { return {_mm512_loadu_pd(from), _mm512_loadu_pd(from + 8)}; }
    void store(double* to) const {
      _mm512_storeu_pd(to, low);
      _mm512_storeu_pd(to + 8, high);
    }
    void add(Avx512Vector v) {
      low = _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(v.raw)));
      high = _mm512_add_pd(high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v.raw, 1)));
    }
    void add_square(Avx512Vector v) {
      const __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(v.raw)), b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v.raw, 1));
      low = _mm512_fmadd_pd(a, a, low);
      high = _mm512_fmadd_pd(b, b, high);
    }
  };
};

}  // namespace
}  // namespace sdxl::cpu
