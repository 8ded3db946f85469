// Hands a model's tensors out one by one and keeps book of what is missing, of the wrong shape, or left over.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/source_tensor.h"

namespace sdxl::weights {

// The tensors of one part of a model (UNet, a text encoder, VAE) by their Diffusers/transformers names.
struct Component {
  std::string name;  // "unet", "text_encoder", "text_encoder_2", "vae"
  std::map<std::string, SourceTensor, std::less<>> tensors;
};

class WeightReader {
 public:
  explicit WeightReader(const Component& component) : component_(component) {}

  bool has(std::string_view name) const;
  bool has_any(std::string_view prefix) const;  // some name starts with it
  // How many of prefix0…, prefix1… exist in an unbroken run: count("down_blocks.") is the number of levels.
  int count(std::string_view prefix) const;
  // Dimension of a tensor that decides the structure; 0 and a noted problem when it is absent or has fewer dimensions.
  int64_t dim(std::string_view name, int dimension);

  // The tensor, if it is there and has exactly this shape and a weight's dtype; else null and a noted problem.
  const SourceTensor* take(const std::string& name, std::span<const int64_t> shape);

  void problem(std::string text) { problems_.push_back(std::move(text)); }
  // Everything noted so far, then what was never taken. `ignorable`: name suffixes that may be left over.
  std::vector<std::string> problems(std::span<const std::string_view> ignorable = {}) const;

 private:
  const Component& component_;
  std::set<std::string, std::less<>> taken_;
  std::vector<std::string> problems_;
};

}  // namespace sdxl::weights
