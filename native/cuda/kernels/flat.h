// Kernels that treat each element, or each vector, on its own: a thread takes every so-many-th.
#pragma once

#include "device.h"
#include "flat_parameters.h"

namespace sdxl::cuda::device {

template <class Body>
__device__ __forceinline__ void for_each_of(int64_t count, const Body& body) {
  for (int64_t i = int64_t(blockIdx.x) * kFlatThreads + threadIdx.x; i < count; i += int64_t(gridDim.x) * kFlatThreads) body(i);
}

}  // namespace sdxl::cuda::device
