#include "weights/weight_reader.h"

#include <algorithm>

#include "core/json.h"
#include "weights/shape_text.h"

namespace sdxl::weights {

namespace {

// "unet: conv_in.weight (model.diffusion_model.input_blocks.0.0.weight)"; the name in the file only where it is another.
std::string title(const Component& component, std::string_view name, const SourceTensor& tensor) {
  std::string text = component.name + ": " + json::printable(name);
  if (tensor.name != name) text += " (" + json::printable(tensor.name) + ")";
  return text;
}

}  // namespace

bool WeightReader::has(std::string_view name) const { return component_.tensors.find(name) != component_.tensors.end(); }

bool WeightReader::has_any(std::string_view prefix) const {
  const auto first = component_.tensors.lower_bound(prefix);
  return first != component_.tensors.end() && first->first.starts_with(prefix);
}

int WeightReader::count(std::string_view prefix) const {
  for (int i = 0;; ++i) {
    const std::string member = std::string(prefix) + std::to_string(i);
    if (!has(member) && !has_any(member + ".")) return i;
  }
}

int64_t WeightReader::dim(std::string_view name, int dimension) {
  const auto found = component_.tensors.find(name);
  if (found == component_.tensors.end()) {
    // Marked as seen, so that take() does not report the same absence again.
    if (taken_.emplace(name).second) problem(component_.name + ": " + std::string(name) + " is missing");
    return 0;
  }
  const auto& shape = found->second.shape;
  if (dimension >= 0 && size_t(dimension) < shape.size()) return shape[size_t(dimension)];
  problem(title(component_, name, found->second) + " has shape " + text_of(shape) + ", wanted at least " + std::to_string(dimension + 1) + " dimensions");
  return 0;
}

const SourceTensor* WeightReader::take(const std::string& name, std::span<const int64_t> shape) {
  const bool is_new = taken_.insert(name).second;
  const auto found = component_.tensors.find(name);
  if (found == component_.tensors.end()) {
    if (is_new) problem(component_.name + ": " + name + " is missing, wanted shape " + text_of(shape));
    return nullptr;
  }
  const SourceTensor& tensor = found->second;
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    problem(title(component_, name, tensor) + " has shape " + text_of(tensor.shape) + ", wanted " + text_of(shape));
    return nullptr;
  }
  if (!is_weight(tensor.dtype)) {
    problem(title(component_, name, tensor) + " has dtype " + name_of(tensor.dtype) + ", wanted F32, F16, BF16, F8_E4M3 or F8_E5M2");
    return nullptr;
  }
  return &tensor;
}

std::vector<std::string> WeightReader::problems(std::span<const std::string_view> ignorable) const {
  std::vector<std::string> all = problems_;
  for (const auto& [name, tensor] : component_.tensors) {
    const bool may_stay = std::any_of(ignorable.begin(), ignorable.end(), [&](std::string_view suffix) { return std::string_view(name).ends_with(suffix); });
    if (!may_stay && taken_.find(name) == taken_.end()) all.push_back(title(component_, name, tensor) + " is left over: nothing in the model uses it");
  }
  return all;
}

}  // namespace sdxl::weights
