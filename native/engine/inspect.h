// What a model file is, from its headers alone.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sdxl::engine {

struct Inspection {
  std::string format;              // "single-file", "diffusers", "lora", "embedding", "vae", "unknown"
  std::string family;              // "sdxl", "sdxl-refiner", "sd1", "sd2", "unknown"
  std::string dtype;               // of most bytes: "fp16", "bf16", "fp32", …
  int64_t tensors = 0, bytes = 0;  // of data
  std::map<std::string, std::string> metadata;
  std::vector<std::string> problems;  // what keeps it from being used as what it is
};

// Throws Error for files that are absent or damaged.
Inspection inspect(const std::string& path);

}  // namespace sdxl::engine
