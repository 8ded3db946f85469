// The names that one layer has in other people's code.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sdxl::lora {

class ModuleNames {
 public:
  // `modules`: those of the component in Diffusers' and transformers' names. SGM numbers a UNet's blocks in one row, so only the whole list
  // tells their numbers.
  ModuleNames(std::string component, const std::set<std::string>& modules);

  // The module's own name and all others, dots included: "down_blocks.1.attentions.0.proj_in", "input_blocks.4.1.proj_in", …
  std::vector<std::string> of(const std::string& module) const;

 private:
  std::string sgm(const std::string& module) const;  // "" for none

  bool unet_;
  std::vector<std::pair<std::string, std::string>> blocks_;  // Diffusers' prefix, SGM's
};

// What files put before the name of a component's layer, dots replaced with underscores; longest first.
std::vector<std::string> module_prefixes(const std::string& component);

}  // namespace sdxl::lora
