// Parameters of attention on sm_90a: attention_parameters.h with its operands as tensor maps.
#pragma once

#include "attention_parameters.h"
#include "tensor_map.h"

namespace sdxl::cuda {

struct AttentionWgmmaParameters {
  TensorMap q, k, v;              // [batch, rows, heads, 64]
  AttentionParameters attention;  // heads of 64 elements, no mask
};

}  // namespace sdxl::cuda
