// LoRA files for tests, and the model they are read for: the shapes of the synthetic checkpoint tiny-a.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "test/check.h"
#include "weights/lora/lora_file.h"
#include "weights/test_model.h"

namespace sdxl::lora::test {

using weights::test::TempFolder;
using weights::test::TestTensor;
using Shape = std::vector<int64_t>;

inline const weights::test::UnetShape kTinyUnet{.widths = {32, 64, 192}, .depths = {0, 1, 2}, .resnets = 2, .cross = 192, .pooled = 96};
inline weights::test::Tensors tiny_unet() { return weights::test::unet_tensors(kTinyUnet); }
inline weights::test::Tensors tiny_text() { return weights::test::text_tensors(64, 3, 100, 77, 0); }
inline weights::test::Tensors tiny_text_2() { return weights::test::text_tensors(128, 4, 100, 77, 96); }

// Names and shapes without values.
inline weights::Component component_of(const std::string& name, const weights::test::Tensors& tensors) {
  weights::Component component{name, {}};
  for (const TestTensor& t : tensors) component.tensors[t.name] = {nullptr, DType::f16, t.shape, false, "model", t.name};
  return component;
}
inline std::vector<weights::Component> tiny_components() {
  return {component_of("unet", tiny_unet()), component_of("text_encoder", tiny_text()), component_of("text_encoder_2", tiny_text_2())};
}
inline const Targets& tiny() {
  static const std::vector<weights::Component> components = tiny_components();
  static const weights::Component* const list[] = {&components[0], &components[1], &components[2]};
  static const Targets targets(list);
  return targets;
}

// A tensor of reproducible numbers between −1 and 1.
inline TestTensor numbers(const std::string& name, const Shape& shape, uint32_t seed = 1) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  uint32_t state = seed;
  for (const char c : name) state = state * 31 + uint8_t(c);
  std::string bytes;
  for (int64_t i = 0; i < n; ++i) {
    state = state * 1664525 + 1013904223;
    const float value = float(int32_t(state) >> 8) * 0x1p-23f;
    bytes.append(reinterpret_cast<const char*>(&value), 4);
  }
  return {name, shape, bytes, "F32"};
}
inline TestTensor number(const std::string& name, float value) { return {name, {}, std::string(reinterpret_cast<const char*>(&value), 4), "F32"}; }

// A LoRA of rank 2 for one layer.
inline void add_layer(std::vector<TestTensor>& tensors, const std::string& module, const Shape& weight, const std::string& up = ".lora_up.weight",
                      const std::string& down = ".lora_down.weight") {
  Shape left(weight.size(), 1), right = weight;
  left[0] = weight[0], left[1] = right[0] = 2;
  tensors.push_back(numbers(module + up, left));
  tensors.push_back(numbers(module + down, right));
}

// The file's text is the test's; JSON in metadata values has to be escaped.
inline LoraFile read(const std::vector<TestTensor>& tensors, const std::map<std::string, std::string>& metadata = {}, const Targets& targets = tiny()) {
  const TempFolder folder;
  // Mapped files outlive their folder everywhere but on Windows, where an open one cannot be removed; the folder ignores that.
  return read_lora(folder.write("some.safetensors", weights::test::safetensors_bytes(tensors, metadata)), targets);
}

inline std::string detail(const Error& error, const std::string& name) {
  for (const auto& [key, value] : error.details)
    if (const auto* text = std::get_if<std::string>(&value); text && key == name) return *text;
  return "";
}

}  // namespace sdxl::lora::test
