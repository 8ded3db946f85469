#include "engine/offload.h"

#include <algorithm>

namespace sdxl::engine {

namespace {

constexpr int64_t kAlign = 512;  // at least what a device aligns weights to

int64_t aligned(int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

void PackedParts::add(const model::Layers::Bytes& part) {
  packed += part.packed;
  small += part.small;
  largest_weight = std::max(largest_weight, part.largest);
  largest_part = std::max(largest_part, aligned(part.packed) + kAlign * part.count);
}

int64_t weight_room(const std::string& offload, const PackedParts& parts, int64_t left) {
  const int64_t weight = aligned(parts.largest_weight);
  // What lies at the end of the room is not cut in two, so up to a weight's bytes stay empty there.
  const int64_t whole = parts.largest_part + weight;
  if (offload == "model") {
    if (whole > left)
      throw Error(Code::out_of_memory,
                  "the largest part of the model needs " + std::to_string(whole) + " bytes for its weights, and " + std::to_string(left) +
                      " are left; memory.offload 'layers' needs " + std::to_string(2 * weight),
                  {{"wanted", whole}, {"free", left}});
    // LoRAs' factors are used beside the part. What does not fit is uploaded at every step with all the rest, so where there is memory they get
    // an eighth, and three quarters of all at most.
    return std::max(whole, std::min(whole + whole / 8, left / 4 * 3));
  }
  // One is at work while the next travels. Four leave time for both; few large copies or many small ones take their time too.
  constexpr int64_t kLeast = int64_t(64) << 20;
  if (2 * weight > left)
    throw Error(Code::out_of_memory,
                "two of the model's largest weights need " + std::to_string(2 * weight) + " bytes, and " + std::to_string(left) + " are left",
                {{"wanted", 2 * weight}, {"free", left}});
  return std::min({std::max(4 * weight, kLeast), whole, std::max(left / 2, 2 * weight)});
}

}  // namespace sdxl::engine
