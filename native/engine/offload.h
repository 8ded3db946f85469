// Weights that lie in the host's memory and take turns on the device: how much of its memory they get.
#pragma once

#include <string>

#include "model/layers.h"

namespace sdxl::engine {

// What the weights of the model's parts take.
struct PackedParts {
  int64_t packed = 0, small = 0;  // in all
  int64_t largest_weight = 0;
  int64_t largest_part = 0;  // with what aligning each of its weights costs

  void add(const model::Layers::Bytes& part);
};

// `offload`: "model", room for the largest part, which parts take in turns, or "layers", for a few of the largest weights. `left`: bytes of the
// device's memory that the model may still take, of which activations want some too. Throws Error(out_of_memory).
int64_t weight_room(const std::string& offload, const PackedParts& parts, int64_t left);

}  // namespace sdxl::engine
