// Token and position embedding of the text encoders: y = table[id] + positions[i].
#pragma once

#include <cstdint>

#include "ops/weight.h"

namespace sdxl::ops {

struct Embedding {
  const int32_t* ids;     // [batch, length], each below the table's rows
  const Packed* table;    // [vocabulary, width], from Backend::pack_table
  ConstTensor positions;  // [length, width]
  Tensor y;               // [batch, length, width]
};

}  // namespace sdxl::ops
