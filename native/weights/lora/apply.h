// What a delta does to numbers.
#pragma once

#include <optional>
#include <vector>

#include "weights/lora/lora_delta.h"

namespace sdxl::lora {

// weight += strength · Δ, all in fp32. `base` and `weight` have the parameter's shape; `base` is the model's own, untouched by any delta, and
// need not be given to those that `reads_base` denies. Runs on the calling thread: parameters are independent of each other.
// Throws Error(lora_format) when the file holds NaN or infinite values.
void add_delta(const LoraDelta& delta, float strength, const float* base, float* weight);

// Whether Δ depends on the model's weights.
bool reads_base(const LoraDelta& delta);

// Δ = up · down, the scale in `up`.
struct LowRank {
  int64_t rank = 0;
  std::vector<float> up;    // [out, rank]
  std::vector<float> down;  // [rank, in · height · width], in the parameter's order
};

// For layers that add the product to their result instead of changing their weights; nothing where Δ is no product of low rank.
std::optional<LowRank> low_rank(const LoraDelta& delta);

}  // namespace sdxl::lora
