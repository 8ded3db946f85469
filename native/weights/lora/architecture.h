// What a LoRA was made for, when it is not the model at hand.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "weights/safetensors.h"

namespace sdxl::lora {

// A key that no layer of the model has.
struct Stranger {
  const weights::SafetensorsEntry* entry;
  std::string name;  // flattened
};

// The family that the key gives away, such as "Flux"; "" when it gives none away.
std::string foreign_family(const Stranger& stranger);

// The family of a file whose layers do not have this model's shapes: by the width of the text that its cross-attention reads, else by what
// the metadata say. Never empty.
std::string family_of(std::span<const weights::SafetensorsEntry> entries, const std::map<std::string, std::string>& metadata);

}  // namespace sdxl::lora
