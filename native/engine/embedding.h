// Textual inversion: a name in a prompt that stands for learned tokens. Gal et al. 2022.
#pragma once

#include <string>
#include <vector>

namespace sdxl::engine {

struct Embedding {
  int64_t vectors = 0;
  std::vector<float> first, second;  // [vectors, width of that text encoder]
};

// Throws Error(model_format) unless the safetensors file holds clip_l [n, first width] and clip_g [n, second width], n from 1 to 75.
Embedding read_embedding(const std::string& path, int64_t first_width, int64_t second_width);

}  // namespace sdxl::engine
