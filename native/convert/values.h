// Blocks of numbers in the formats of model files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/dtype.h"

namespace sdxl::convert {

// `count` values; both blocks are aligned to 8 bytes and do not overlap. Rounds to nearest even, as torch does; what is beyond the target's
// range becomes infinite. `to` is f32, f16 or bf16, or the format of `from`, which then is any.
void convert_values(const std::byte* from, DType source, std::byte* to, DType target, int64_t count);

struct NonFinite {
  int64_t nan = 0, infinite = 0;
  int64_t first = -1;  // index
  bool none() const { return first < 0; }
};
// Of `count` values aligned to 8 bytes. Integers have none.
NonFinite non_finite(const std::byte* data, DType type, int64_t count);

// to [columns, rows] from [rows, columns], of elements of `size` bytes.
void transpose(const std::byte* from, int64_t rows, int64_t columns, int64_t size, std::byte* to);

}  // namespace sdxl::convert
