#include "cuda/backend/weight.h"

#include <cmath>
#include <cstring>
#include <string>

#include "core/number_format.h"

namespace sdxl::cuda {

namespace {

[[noreturn]] void refuse(bool finite) {
  if (finite) throw Error(Code::model_format, "holds values that F16 cannot store (beyond 65504); store it as BF16 or F32");
  throw Error(Code::model_format, "holds NaN or infinite values");
}

template <DType type>
void store(float value, std::byte* to, int64_t index) {
  const auto bits = Format<type>::round(value);
  if (!is_finite<type>(bits)) refuse(std::isfinite(value));
  std::memcpy(to + index * int64_t(sizeof bits), &bits, sizeof bits);
}

// One row of a file in its order [in, taps] to [taps][inner].
template <DType type>
void lay_out_row(const WeightLayout& layout, const ops::WeightRows& part, int64_t row, std::byte* to) {
  const int64_t inner = layout.inner(), columns = part.columns;
  const int64_t first = part.transposed ? row : row * columns, stride = part.transposed ? part.rows : 1;
  if (layout.taps == 1 && stride == 1 && part.dtype == type) {  // as the file has it
    std::memcpy(to, part.data + first * size_of(type), size_t(columns * size_of(type)));
    using Bits = typename Format<type>::Bits;
    bool all_finite = true;
    for (int64_t i = 0; i < columns; ++i) {
      Bits bits;
      std::memcpy(&bits, to + i * int64_t(sizeof bits), sizeof bits);
      all_finite &= is_finite<type>(bits);
    }
    if (!all_finite) refuse(false);
    return;
  }
  for (int64_t i = 0, column = 0; i < layout.in; ++i)
    for (int64_t tap = 0; tap < layout.taps; ++tap, ++column) store<type>(value_at(part.data, part.dtype, first + column * stride), to, tap * inner + i);
}

}  // namespace

void lay_out(const WeightLayout& layout, const std::vector<ops::WeightRows>& parts, int64_t first, int64_t count, std::byte* to) {
  std::memset(to, 0, size_t(count * layout.row_bytes()));
  for (int64_t row = first; row < first + count && row < layout.out; ++row, to += layout.row_bytes()) {
    int64_t source = layout.source_row(row);
    auto part = parts.begin();
    while (source >= part->rows) source -= (part++)->rows;
    if (layout.type == DType::f16) lay_out_row<DType::f16>(layout, *part, source, to);
    else if (layout.type == DType::bf16) lay_out_row<DType::bf16>(layout, *part, source, to);
    else lay_out_row<DType::f32>(layout, *part, source, to);
  }
}

void read_out(const WeightLayout& layout, const std::byte* from, float* values) {
  for (int64_t row = 0; row < layout.out; ++row) {
    float* to = values + layout.source_row(row) * layout.in * layout.taps;
    for (int64_t i = 0; i < layout.in; ++i)
      for (int64_t tap = 0; tap < layout.taps; ++tap)
        to[i * layout.taps + tap] = value_at(from + row * layout.row_bytes(), layout.type, tap * layout.inner() + i);
  }
}

DType weight_type(ops::Storage storage) {
  if (storage == ops::Storage::f16) return DType::f16;
  if (storage == ops::Storage::bf16) return DType::bf16;
  throw Error(Code::internal, "CUDA kernels read weights of F16 or BF16");
}

}  // namespace sdxl::cuda
