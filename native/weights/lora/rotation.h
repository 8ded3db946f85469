// OFT and BOFT: orthogonal changes of a matrix's rows.
#pragma once

#include <vector>

#include "weights/lora/lora_delta.h"

namespace sdxl::lora {

// Δ = rescale · R · W − W, [rows, columns].
std::vector<float> rotated(const LoraDelta& delta, const Rotation& rotation, const float* base);

}  // namespace sdxl::lora
