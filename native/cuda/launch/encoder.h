// Makes tensor maps: the driver's function, or the emulator's.
#pragma once

#include <functional>

#include "cuda/kernels/tensor_map.h"

namespace sdxl::cuda {

using TensorMapEncoder = std::function<TensorMap(const TensorBox&)>;

}  // namespace sdxl::cuda
