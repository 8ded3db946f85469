// The scale that PEFT keeps apart from the tensors: in adapter_config.json beside the file, or in the metadata that Diffusers writes.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/json.h"

namespace sdxl::lora {

// adapter_config.json beside a file that is called adapter_model.safetensors, else "".
std::string peft_config_beside(const std::string& path);

class PeftScale {
 public:
  // Reads the metadata entry "lora_adapter_metadata", else the configuration beside the file.
  // Throws Error(lora_format) when these are no JSON or hold what has no clear meaning.
  PeftScale(const std::string& path, const std::map<std::string, std::string>& metadata);

  // alpha / rank, or alpha / √rank for rsLoRA, of a layer by its Diffusers or transformers name. `rank` 0: the tensors do not show it.
  // Nothing when the file says nothing.
  std::optional<double> operator()(const std::string& component, const std::string& module, int64_t rank) const;

 private:
  std::optional<double> number(const std::string& prefix, const char* name) const;
  std::optional<double> pattern(const std::string& prefix, const char* name, const std::string& module) const;

  std::string where_;  // for messages
  json::Value config_;
  bool by_component_ = false;  // names begin with "unet." and the like
};

}  // namespace sdxl::lora
