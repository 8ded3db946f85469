// Tensors as the copy engine of sm_90 and later sees them.
#pragma once

#include "cuda/driver/context.h"
#include "cuda/kernels/tensor_map.h"

namespace sdxl::cuda {

// Throws Error(internal) for a box that the engine cannot copy.
TensorMap encode_tensor_map(const Context& context, const TensorBox& box);

}  // namespace sdxl::cuda
