// From the tensors that a file has for one layer to deltas of its parameters.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "weights/lora/key_parts.h"
#include "weights/lora/lora_delta.h"
#include "weights/lora/peft_scale.h"
#include "weights/lora/targets.h"
#include "weights/safetensors.h"

namespace sdxl::lora {

struct LayerTensors {
  std::string key;  // the layer as the file calls it
  std::array<const weights::SafetensorsEntry*, size_t(Part::count)> parts{};

  const weights::SafetensorsEntry* operator[](Part part) const { return parts[size_t(part)]; }
};

// A change that is sound in itself and has another shape than the model's parameter.
struct Mismatch {
  std::string key, parameter;
  std::vector<int64_t> wanted, found;
};

struct Assembled {
  std::vector<LoraDelta> deltas;
  std::vector<Mismatch> mismatches;
  std::vector<std::string> unused;  // keys that change nothing: a bias that the layer does not have, an alpha alone
};

// Throws Error(lora_format) naming file, key, wanted and found when tensors are missing or do not fit each other.
Assembled assemble(const std::shared_ptr<const MappedFile>& file, const Module& module, const LayerTensors& tensors, const PeftScale& peft);

}  // namespace sdxl::lora
