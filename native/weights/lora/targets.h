// What a LoRA can change in a model, found by any of the names that files give it.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weights/weight_reader.h"

namespace sdxl::lora {

// A layer, or several that files may treat as one: q, k and v, whose matrices lie one below the other.
struct Module {
  struct Parameter {
    std::string name;            // "down_blocks.1.attentions.0.proj_in.weight"
    std::vector<int64_t> shape;  // empty: the layer has none
  };
  struct Piece {
    Parameter weight, bias;
  };
  std::string component, name;  // of a stack: "….attn1.to_qkv", "….attn2.to_kv", "….self_attn.in_proj"
  std::vector<Piece> pieces;
};

class Targets {
 public:
  // Names and shapes are copied. Components other than "unet", "text_encoder" and "text_encoder_2" are left aside.
  explicit Targets(std::span<const weights::Component* const> components);
  Targets(const Targets&) = delete;
  Targets& operator=(const Targets&) = delete;

  // The layer that a file calls `name`, with dots or underscores; null when the model has none.
  const Module* find(std::string_view name) const;

  const std::vector<const Module*>& modules() const { return all_; }

 private:
  struct Part {
    std::vector<std::string> prefixes;
    std::unordered_map<std::string, const Module*> by_name;  // dots replaced with underscores; null where two layers would share a name
  };
  void add_stacks(std::map<std::string, Module>& modules);
  void add_names(const std::string& component, const std::map<std::string, Module>& modules);

  std::vector<std::map<std::string, Module>> owned_;  // nodes keep their addresses
  std::vector<const Module*> all_;
  std::vector<Part> parts_;
};

// `name` with underscores for dots.
std::string flattened(std::string_view name);

}  // namespace sdxl::lora
