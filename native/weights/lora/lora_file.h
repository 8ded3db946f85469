// Reads a LoRA file of any family and naming for the model at hand.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weights/lora/lora_delta.h"
#include "weights/lora/targets.h"

namespace sdxl::lora {

struct LoraFile {
  std::string path;
  std::vector<LoraDelta> deltas;                // by component and parameter; several for one parameter add up
  std::map<std::string, std::string> metadata;  // __metadata__: ss_output_name, ss_network_module, …
  std::vector<std::string> unmatched;           // keys that change nothing in this model, sorted
};

// Only names, shapes and numbers like alpha are read; the factors stay in the mapped file, which the deltas keep open.
//
// Throws Error(lora_format) for damaged files, keys that make no sense together and families that are not supported, naming file, key, what
// was wanted and what was found; Error(lora_mismatch) for files made for another architecture, naming it and one key with the shape wanted
// and found; and Error(model_not_found) when there is no such file.
LoraFile read_lora(const std::string& path, const Targets& targets);

// A remark on the file's unmatched keys, a few of them named.
std::string unmatched_text(const LoraFile& file);

}  // namespace sdxl::lora
