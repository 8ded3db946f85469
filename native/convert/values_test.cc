#include "convert/values.h"

#include <bit>
#include <string>
#include <vector>

#include "test/check.h"

namespace sdxl::convert {
namespace {

template <class T>
const std::byte* bytes(const std::vector<T>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}

// Rounding itself is checked against torch, in test/model/convert-values.test.ts.
TEST("convert values: as dtype.h has it, whatever the length") {
  std::vector<float> from;
  for (int i = 0; i < 1000; ++i) from.push_back(std::bit_cast<float>(uint32_t(i) * 0x00437A51u));
  for (const int64_t count : {0, 1, 7, 8, 31, 1000}) {
    std::vector<uint16_t> half(size_t(count) + 1, 0xABCD), brain = half;
    convert_values(bytes(from), DType::f32, reinterpret_cast<std::byte*>(half.data()), DType::f16, count);
    convert_values(bytes(from), DType::f32, reinterpret_cast<std::byte*>(brain.data()), DType::bf16, count);
    for (size_t i = 0; i < size_t(count); ++i) CHECK(half[i] == f32_to_f16(from[i]) && brain[i] == f32_to_bf16(from[i]));
    CHECK(half.back() == 0xABCD && brain.back() == 0xABCD);
  }
}

TEST("convert values: what is no number is counted, and the first one found") {
  std::vector<uint16_t> half(10'000, 0x7BFF);
  CHECK(non_finite(bytes(half), DType::f16, 10'000).none());
  half[9'999] = 0x7E01, half[4'096] = 0xFC00, half[4'097] = 0xFE00;
  const NonFinite found = non_finite(bytes(half), DType::f16, 10'000);
  CHECK(found.nan == 2 && found.infinite == 1 && found.first == 4'096);
  CHECK(non_finite(bytes(half), DType::f16, 4'096).none());
  // The same bits are numbers in other formats.
  CHECK(non_finite(bytes(half), DType::i32, 5'000).none() && non_finite(bytes(half), DType::u8, 20'000).none());
  for (unsigned code = 0; code < 256; ++code) {
    const std::vector<uint8_t> one(8, uint8_t(code));
    CHECK(non_finite(bytes(one), DType::f8_e4m3, 8).none() == std::isfinite(f8_e4m3_to_f32(uint8_t(code))));
    CHECK(non_finite(bytes(one), DType::f8_e5m2, 8).none() == std::isfinite(f8_e5m2_to_f32(uint8_t(code))));
  }
}

TEST("convert values: transposing, for elements of any size") {
  const std::string from = "abcdefghijklmnopqrstuvwx";
  for (const int64_t size : {1, 2, 4}) {
    std::string to(24, '.');
    const int64_t columns = 12 / size;
    transpose(reinterpret_cast<const std::byte*>(from.data()), 2, columns, size, reinterpret_cast<std::byte*>(to.data()));
    for (int64_t r = 0; r < 2; ++r)
      for (int64_t c = 0; c < columns; ++c)
        CHECK(to.substr(size_t((c * 2 + r) * size), size_t(size)) == from.substr(size_t((r * columns + c) * size), size_t(size)));
  }
}

}  // namespace
}  // namespace sdxl::convert
