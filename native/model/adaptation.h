// Layers under LoRAs: what takes the place of their own weights, or is added to them, without touching what was loaded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "ops/backend.h"
#include "weights/lora/lora_delta.h"

namespace sdxl::model {

// By parameter ("….to_q.weight"): the deltas and how strongly they act.
using Changes = std::map<std::string, std::vector<std::pair<const lora::LoraDelta*, float>>, std::less<>>;

// Of a linear layer or a convolution. Factors of low rank are added when the layer runs, which costs no time to switch and rounds nothing.
// Where they would cost the layer more than that saves, or a family has none, `merged` takes the place of the weight.
struct AdaptedWeight {
  ops::PackedPtr merged, down, up;
  Array bias;  // with its changes, if it has any

  int64_t bytes() const;
  ops::LowRank added() const { return {down.get(), up.get()}; }
};

struct AdaptedNorm {
  Array weight, bias;
};

// What a set of changes makes of one part of a model. It may outlive its use and be installed again.
struct Adaptation {
  // By the layer's index among its kind.
  std::map<size_t, AdaptedWeight> linears, convs;
  std::map<size_t, AdaptedNorm> norms;

  int64_t bytes() const;
};
using AdaptationPtr = std::shared_ptr<const Adaptation>;

}  // namespace sdxl::model
