// Eight floats of AVX2 with FMA and F16C: every x86 server since 2013. What each function means stands in vector_plain.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace sdxl::cpu {
namespace {

struct Avx2Vector {
  using Number = float;
  using Sums = Avx2Vector;
  static constexpr int kWidth = 8;
  static constexpr int kTileRows = 6;

  __m256 raw;

  static Avx2Vector all(float x) { return {_mm256_set1_ps(x)}; }
  static Avx2Vector load(const float* from) { return {_mm256_loadu_ps(from)}; }
  void store(float* to) const { _mm256_storeu_ps(to, raw); }

  static Avx2Vector load_f16(const uint16_t* from) { return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))}; }
  static Avx2Vector load_bf16(const uint16_t* from) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }

  friend Avx2Vector operator+(Avx2Vector a, Avx2Vector b) { return {_mm256_add_ps(a.raw, b.raw)}; }
  friend Avx2Vector operator-(Avx2Vector a, Avx2Vector b) { return {_mm256_sub_ps(a.raw, b.raw)}; }
  friend Avx2Vector operator*(Avx2Vector a, Avx2Vector b) { return {_mm256_mul_ps(a.raw, b.raw)}; }
  friend Avx2Vector operator/(Avx2Vector a, Avx2Vector b) { return {_mm256_div_ps(a.raw, b.raw)}; }
  friend Avx2Vector fma(Avx2Vector a, Avx2Vector b, Avx2Vector c) { return {_mm256_fmadd_ps(a.raw, b.raw, c.raw)}; }

  friend Avx2Vector where_less(Avx2Vector a, Avx2Vector b, Avx2Vector x, Avx2Vector y) {
    return {_mm256_blendv_ps(y.raw, x.raw, _mm256_cmp_ps(a.raw, b.raw, _CMP_LT_OQ))};
  }
  friend Avx2Vector max(Avx2Vector a, Avx2Vector b) { return {_mm256_max_ps(a.raw, b.raw)}; }
  friend Avx2Vector min(Avx2Vector a, Avx2Vector b) { return {_mm256_min_ps(a.raw, b.raw)}; }

  friend Avx2Vector bits_to_exponent(Avx2Vector a) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.raw), 23))}; }

  friend float sum(Avx2Vector a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a.raw), _mm256_extractf128_ps(a.raw, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  friend float largest(Avx2Vector a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a.raw), _mm256_extractf128_ps(a.raw, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }

  struct Doubles {
    __m256d low, high;
    static Doubles load(const double* from) { return {_mm256_loadu_pd(from), _mm256_loadu_pd(from + 4)}; }
    void store(double* to) const {
      _mm256_storeu_pd(to, low);
      _mm256_storeu_pd(to + 4, high);
    }
    void add(Avx2Vector v) {
      low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(v.raw)));
      high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(v.raw, 1)));
    }
    void add_square(Avx2Vector v) {
      const __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(v.raw)), b = _mm256_cvtps_pd(_mm256_extractf128_ps(v.raw, 1));
      low = _mm256_fmadd_pd(a, a, low);
      high = _mm256_fmadd_pd(b, b, high);
    }
  };
};

}  // namespace
}  // namespace sdxl::cpu
