// What the cases share: their number format and how they keep inputs.
#pragma once

#include <memory>
#include <vector>

#include "cuda/bench/suite.h"

namespace sdxl::cuda::bench {

using Values = std::vector<float>;
using Check = Case::Check;
using Launches = std::vector<Launch>;

// Rounding alone, once to bf16, gives 1.7e-3 on random numbers; sums in fp32 add next to nothing.
constexpr double kBf16 = 3e-3;
constexpr DType kType = DType::bf16;
constexpr Element kElement = Element::bf16;

inline const float* floats(const void* p) { return static_cast<const float*>(p); }

// The values of inputs that the reference reads later.
inline std::shared_ptr<std::vector<Values>> kept(size_t count) { return std::make_shared<std::vector<Values>>(count); }

}  // namespace sdxl::cuda::bench
