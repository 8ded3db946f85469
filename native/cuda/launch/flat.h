// The grid of kernels that treat each element on its own, see kernels/flat.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "cuda/kernels/flat_parameters.h"
#include "cuda/launch/launch.h"

namespace sdxl::cuda {

// Whether all of these addresses can be read sixteen bytes at a time.
template <class... Pointers>
bool aligned_16(Pointers... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// `items`: elements, or vectors of them. Threads take several items where that fills any GPU all the same.
template <class Parameters>
Launch flat_launch(std::string file, std::string kernel, int64_t items, const Parameters& parameters) {
  constexpr int64_t kMostBlocks = 4096;
  const int64_t blocks = std::clamp<int64_t>((items + kFlatThreads - 1) / kFlatThreads, 1, kMostBlocks);
  return Launch(std::move(file), std::move(kernel), {.x = unsigned(blocks)}, kFlatThreads, 0, parameters);
}

}  // namespace sdxl::cuda
