#include "engine/offload.h"

#include "test/check.h"

namespace sdxl::engine {

namespace {

constexpr int64_t kMiB = int64_t(1) << 20;

// The UNet and the VAE of SDXL, about.
PackedParts sdxl() {
  PackedParts parts;
  parts.add({.packed = 160 * kMiB, .largest = 5 * kMiB, .count = 100, .small = kMiB});
  parts.add({.packed = 4900 * kMiB, .largest = 56 * kMiB, .count = 800, .small = 3 * kMiB});
  return parts;
}

}  // namespace

TEST("offload: room for parts is that of the largest, and more for LoRAs where there is memory") {
  const PackedParts parts = sdxl();
  CHECK(parts.packed == 5060 * kMiB && parts.small == 4 * kMiB && parts.largest_weight == 56 * kMiB);
  const int64_t least = weight_room("model", parts, 5000 * kMiB);
  CHECK(least >= (4900 + 56) * kMiB && least < (4900 + 56 + 1) * kMiB);
  CHECK(weight_room("model", parts, least) == least && weight_room("model", parts, 100000 * kMiB) == least + least / 8);
  CHECK(weight_room("model", parts, 7000 * kMiB) == 5250 * kMiB);
  CHECK(ERROR_OF(weight_room("model", parts, least - 1)).message.find("'layers' needs " + std::to_string(112 * kMiB)) != std::string::npos);
}

TEST("offload: room for layers is that of four, or half of what there is, and never of fewer than two") {
  const PackedParts parts = sdxl();
  CHECK(weight_room("layers", parts, 10000 * kMiB) == 224 * kMiB);
  CHECK(weight_room("layers", parts, 300 * kMiB) == 150 * kMiB);
  CHECK(weight_room("layers", parts, 112 * kMiB) == 112 * kMiB);
  CHECK(ERROR_OF(weight_room("layers", parts, 112 * kMiB - 1)).code == Code::out_of_memory);
  PackedParts small;
  small.add({.packed = 900, .largest = 100, .count = 9, .small = 0});
  CHECK(weight_room("layers", small, 10000 * kMiB) < 8000);
}

}  // namespace sdxl::engine
