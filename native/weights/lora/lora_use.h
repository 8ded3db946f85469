// A LoRA file and how strongly it acts.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <tuple>

namespace sdxl::lora {

struct LoraUse {
  std::string path;
  float unet = 1, text_encoder = 1;

  // On a component ("unet", "text_encoder", "text_encoder_2").
  float strength(const std::string& component) const { return component == "unet" ? unet : text_encoder; }
  // Uses in this order give the same sums to the last bit, whatever order they were asked for in.
  bool operator<(const LoraUse& other) const { return std::tie(path, unet, text_encoder) < std::tie(other.path, other.unet, other.text_encoder); }
};

// A strength in a key: different where any bit is.
inline std::string key_of(float strength) { return std::to_string(std::bit_cast<uint32_t>(strength)); }

}  // namespace sdxl::lora
