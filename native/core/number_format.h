// The formats of weights, for code that is made once for each: their bits, what these mean, and how a value is rounded to them.
#pragma once

#include <bit>
#include <cstdint>

#include "core/dtype.h"

namespace sdxl {

// A value whose exponent bits are all set is infinite, or NaN where a bit of the mantissa is set too. Nothing is rounded to 8 bits, and
// files may hold f64 but no weights in it.
template <DType type>
struct Format;
template <>
struct Format<DType::f32> {
  using Bits = uint32_t;
  static constexpr Bits kExponent = 0x7F800000, kMantissa = 0x7FFFFF;
  static float widen(Bits bits) { return std::bit_cast<float>(bits); }
  static Bits round(float value) { return std::bit_cast<Bits>(value); }
};
template <>
struct Format<DType::f16> {
  using Bits = uint16_t;
  static constexpr Bits kExponent = 0x7C00, kMantissa = 0x3FF;
  static float widen(Bits bits) { return f16_to_f32(bits); }
  static Bits round(float value) { return f32_to_f16(value); }
};
template <>
struct Format<DType::bf16> {
  using Bits = uint16_t;
  static constexpr Bits kExponent = 0x7F80, kMantissa = 0x7F;
  static float widen(Bits bits) { return bf16_to_f32(bits); }
  static Bits round(float value) { return f32_to_bf16(value); }
};
template <>
struct Format<DType::f8_e5m2> {
  using Bits = uint8_t;
  static constexpr Bits kExponent = 0x7C, kMantissa = 0x03;
  static float widen(Bits bits) { return f8_e5m2_to_f32(bits); }
};
template <>
struct Format<DType::f8_e4m3> {
  using Bits = uint8_t;
  static constexpr Bits kExponent = 0x7F, kMantissa = 0x7F;  // all ones is its only NaN, and there is no infinity
  static float widen(Bits bits) { return f8_e4m3_to_f32(bits); }
};
template <>
struct Format<DType::f64> {
  using Bits = uint64_t;
  static constexpr Bits kExponent = 0x7FF0000000000000, kMantissa = 0xFFFFFFFFFFFFF;
};

template <DType type>
constexpr bool is_finite(typename Format<type>::Bits bits) {
  return (bits & Format<type>::kExponent) != Format<type>::kExponent;
}

}  // namespace sdxl
