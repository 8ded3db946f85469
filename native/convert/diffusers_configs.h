// The JSON files of a Diffusers folder, from the shapes of the weights.
#pragma once

#include <map>
#include <string>

#include "core/json.h"
#include "engine/parts.h"

namespace sdxl::convert {

// Name inside the folder → value: model_index.json, the scheduler's and one config.json per part. `parts` was built of `checkpoint` and has
// no problems. Throws Error(model_unsupported) for a structure that Diffusers' configurations have no words for.
std::map<std::string, json::Value> diffusers_configs(const weights::Checkpoint& checkpoint, const engine::Parts& parts);

}  // namespace sdxl::convert
