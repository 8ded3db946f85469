#include "convert/values.h"

#include <algorithm>
#include <array>

#include "core/number_format.h"

namespace sdxl::convert {

namespace {

// By table: the formats of 8 bits have few values, and taking them apart is slow.
template <DType type>
float widened(typename Format<type>::Bits bits) {
  if constexpr (sizeof(bits) > 1) {
    return Format<type>::widen(bits);
  } else {
    static const std::array<float, 256> table = [] {
      std::array<float, 256> all;
      for (size_t i = 0; i < all.size(); ++i) all[i] = Format<type>::widen(uint8_t(i));
      return all;
    }();
    return table[bits];
  }
}

template <DType type>
const typename Format<type>::Bits* bits_of(const std::byte* data) {
  return reinterpret_cast<const typename Format<type>::Bits*>(data);
}

template <DType source, DType target>
void convert(const std::byte* from, std::byte* to, int64_t count) {
  const auto* read = bits_of<source>(from);
  auto* write = reinterpret_cast<typename Format<target>::Bits*>(to);
  for (int64_t i = 0; i < count; ++i) write[i] = Format<target>::round(widened<source>(read[i]));
}

template <DType source>
void convert_from(const std::byte* from, std::byte* to, DType target, int64_t count) {
  if (target == DType::f32) convert<source, DType::f32>(from, to, count);
  else if (target == DType::f16) convert<source, DType::f16>(from, to, count);
  else convert<source, DType::bf16>(from, to, count);
}

template <DType type>
NonFinite non_finite_of(const std::byte* data, int64_t count) {
  using F = Format<type>;
  constexpr int64_t kBlock = 4096;
  const auto* bits = bits_of<type>(data);
  NonFinite found;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    // Without a branch, so that the compiler makes vectors of it: nearly all blocks are sound.
    typename F::Bits any = 0;
    for (int64_t i = begin; i < end; ++i) any |= typename F::Bits(!is_finite<type>(bits[i]));
    if (!any) continue;
    for (int64_t i = begin; i < end; ++i) {
      if (is_finite<type>(bits[i])) continue;
      ++((bits[i] & F::kMantissa) ? found.nan : found.infinite);
      if (found.first < 0) found.first = i;
    }
  }
  return found;
}

}  // namespace

void convert_values(const std::byte* from, DType source, std::byte* to, DType target, int64_t count) {
  if (source == target) {
    std::memcpy(to, from, size_t(count * size_of(source)));
    return;
  }
  switch (source) {
    case DType::f32: return convert_from<DType::f32>(from, to, target, count);
    case DType::f16: return convert_from<DType::f16>(from, to, target, count);
    case DType::bf16: return convert_from<DType::bf16>(from, to, target, count);
    case DType::f8_e4m3: return convert_from<DType::f8_e4m3>(from, to, target, count);
    default: return convert_from<DType::f8_e5m2>(from, to, target, count);
  }
}

NonFinite non_finite(const std::byte* data, DType type, int64_t count) {
  switch (type) {
    case DType::f32: return non_finite_of<DType::f32>(data, count);
    case DType::f16: return non_finite_of<DType::f16>(data, count);
    case DType::bf16: return non_finite_of<DType::bf16>(data, count);
    case DType::f8_e4m3: return non_finite_of<DType::f8_e4m3>(data, count);
    case DType::f8_e5m2: return non_finite_of<DType::f8_e5m2>(data, count);
    case DType::f64: return non_finite_of<DType::f64>(data, count);
    default: return {};
  }
}

void transpose(const std::byte* from, int64_t rows, int64_t columns, int64_t size, std::byte* to) {
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r) std::memcpy(to + (c * rows + r) * size, from + (r * columns + c) * size, size_t(size));
}

}  // namespace sdxl::convert
