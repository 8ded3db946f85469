// Weights as the matrix products read them: rows of 16-bit elements, [out][taps][in], both sides padded with zeros to eights.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/arena.h"
#include "cuda/launch/launch.h"
#include "ops/weight.h"

namespace sdxl::cuda {

struct WeightLayout {
  DType type = DType::f16;  // of the elements: f16 or bf16, in a table f32 too
  int64_t out = 0, in = 0;  // as the layer means them, gates of a GEGLU included
  int64_t taps = 1;         // of a convolution's kernel
  bool geglu = false;       // rows are value, gate, value, gate, …
  bool table = false;       // plain rows without padding

  int64_t rows() const { return table ? out : (out + 7) / 8 * 8; }
  int64_t inner() const { return table ? in : (in + 7) / 8 * 8; }
  int64_t row_bytes() const { return taps * inner() * size_of(type); }
  int64_t bytes() const { return rows() * row_bytes(); }
  // Which of the layer's rows lies at that place.
  int64_t source_row(int64_t row) const { return !geglu ? row : row % 2 ? out / 2 + row / 2 : row / 2; }
};

// The rows `first` … of the layout, `count` of them, as bytes. Throws Error(model_format) where a value is not finite, or is not in the type.
void lay_out(const WeightLayout& layout, const std::vector<ops::WeightRows>& parts, int64_t first, int64_t count, std::byte* to);

// The other way: `values` [out, in · taps] as the layer means them, in a file's order.
void read_out(const WeightLayout& layout, const std::byte* from, float* values);

// The type that `storage` asks for. Throws Error(internal) for one that no kernel reads.
DType weight_type(ops::Storage storage);

}  // namespace sdxl::cuda
