// Number formats of weights and activations.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sdxl {

enum class DType : uint8_t { f32, f16, bf16, f8_e4m3, f8_e5m2, f64, i64, i32, u8 };

constexpr int64_t size_of(DType type) {
  switch (type) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::f16:
    case DType::bf16: return 2;
    default: return 1;
  }
}

constexpr const char* name_of(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::f16: return "F16";
    case DType::bf16: return "BF16";
    case DType::f8_e4m3: return "F8_E4M3";
    case DType::f8_e5m2: return "F8_E5M2";
    case DType::f64: return "F64";
    case DType::i64: return "I64";
    case DType::i32: return "I32";
    case DType::u8: return "U8";
  }
  return "?";
}

// The formats that may hold a model's weights.
constexpr bool is_weight(DType type) { return type <= DType::f8_e5m2; }

inline float f16_to_f32(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000 | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float value = float(mantissa) * 0x1p-24f;  // zero or subnormal
  return sign ? -value : value;
}

// Rounds to nearest even; overflow gives infinity, as hardware does.
inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return uint16_t(sign | 0x7E00);
  if (magnitude >= 0x477FF000) return uint16_t(sign | 0x7C00);
  if (magnitude < 0x38800000) {  // subnormal: let the float adder round at the right place
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000));
  }
  const uint32_t odd = magnitude >> 13 & 1;
  return uint16_t(sign | (magnitude + 0xFFF + odd - (112u << 23)) >> 13);
}

inline float bf16_to_f32(uint16_t value) { return std::bit_cast<float>(uint32_t(value) << 16); }

inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return uint16_t(bits >> 16 | 0x40);  // stays a NaN
  return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// E4M3 "fn": no infinities, 0x7F and 0xFF are NaN, largest 448. E5M2 is the upper byte of an f16. Both fit f16 exactly.
inline float f8_e4m3_to_f32(uint8_t byte) {
  const int exponent = byte >> 3 & 15, mantissa = byte & 7;
  float value;
  if (exponent == 15 && mantissa == 7) value = std::bit_cast<float>(0x7FC00000);
  else if (exponent == 0) value = float(mantissa) * 0x1p-9f;
  else value = std::bit_cast<float>(uint32_t(exponent + 120) << 23 | uint32_t(mantissa) << 20);
  return byte & 0x80 ? -value : value;
}
inline float f8_e5m2_to_f32(uint8_t byte) { return f16_to_f32(uint16_t(byte << 8)); }

// Value `index` of a weight's data, which is aligned to nothing.
inline float value_at(const std::byte* data, DType type, int64_t index) {
  const std::byte* p = data + index * size_of(type);
  if (type == DType::f32) {
    float v;
    std::memcpy(&v, p, 4);
    return v;
  }
  if (size_of(type) == 1) return type == DType::f8_e4m3 ? f8_e4m3_to_f32(uint8_t(*p)) : f8_e5m2_to_f32(uint8_t(*p));
  uint16_t v;
  std::memcpy(&v, p, 2);
  return type == DType::f16 ? f16_to_f32(v) : bf16_to_f32(v);
}

}  // namespace sdxl
