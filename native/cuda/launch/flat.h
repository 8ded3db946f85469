// The grid of kernels that treat each element on its own, see kernels/flat.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "core/dtype.h"
#include "core/error.h"
#include "cuda/kernels/flat_parameters.h"
#include "cuda/launch/launch.h"

namespace sdxl::cuda {

// Whether all of these addresses can be read sixteen bytes at a time.
template <class... Pointers>
bool aligned_16(Pointers... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// Of the formats that kernels compute with, as they are called by them.
inline const char* kernel_name(DType type) {
  switch (type) {
    case DType::f32: return "f32";
    case DType::f16: return "fp16";
    case DType::bf16: return "bf16";
    default: throw Error(Code::internal, std::string("no kernel works on ") + sdxl::name_of(type));
  }
}

// `items`: elements, or vectors of them. Threads take several items where that fills any GPU all the same.
template <class Parameters>
Launch flat_launch(std::string file, std::string kernel, int64_t items, const Parameters& parameters) {
  constexpr int64_t kMostBlocks = 4096;
  const int64_t blocks = std::clamp<int64_t>((items + kFlatThreads - 1) / kFlatThreads, 1, kMostBlocks);
  return Launch(std::move(file), std::move(kernel), {.x = unsigned(blocks)}, kFlatThreads, 0, parameters);
}

}  // namespace sdxl::cuda
