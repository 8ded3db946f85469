#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

namespace {

float value_at(const ops::WeightRows& weight, int64_t index) {
  const std::byte* at = weight.data + index * size_of(weight.dtype);
  const auto bits = [&](auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (weight.dtype) {
    case DType::f32: return bits(float());
    case DType::f16: return f16_to_f32(bits(uint16_t()));
    case DType::bf16: return bf16_to_f32(bits(uint16_t()));
    case DType::f8_e4m3: return f8_e4m3_to_f32(bits(uint8_t()));
    case DType::f8_e5m2: return f8_e5m2_to_f32(bits(uint8_t()));
    default: throw Error(Code::model_format, std::string("holds ") + name_of(weight.dtype) + ", which is no weight format");
  }
}

float rounded(float value, ops::Storage storage) {
  if (storage == ops::Storage::f16) return f16_to_f32(f32_to_f16(value));
  if (storage == ops::Storage::bf16) return bf16_to_f32(f32_to_bf16(value));
  return value;
}

}  // namespace

std::unique_ptr<Matrix> pack(const std::vector<ops::WeightRows>& parts, ops::Storage storage) {
  auto matrix = std::make_unique<Matrix>();
  for (const ops::WeightRows& part : parts) {
    for (int64_t r = 0; r < part.rows; ++r)
      for (int64_t c = 0; c < part.columns; ++c) {
        const float value = rounded(value_at(part, part.transposed ? c * part.rows + r : r * part.columns + c), storage);
        if (!std::isfinite(value)) throw Error(Code::model_format, "holds NaN or infinite values");
        matrix->values.push_back(value);
      }
    matrix->rows += part.rows;
    matrix->columns = part.columns;
  }
  return matrix;
}

}  // namespace sdxl::reference
