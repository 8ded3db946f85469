// What a model file is, from its headers alone.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sdxl::engine {

struct Inspection {
  std::string format = "unknown";  // "single-file", "diffusers", "lora", "embedding", "vae", "unknown"
  std::string family = "unknown";  // "sdxl", "sdxl-refiner", "sd1", "sd2", "sd3", "flux", "unknown"
  std::string variant;             // of SDXL: "inpainting", "instruct-pix2pix", "ssd-1b", "vega"; "" for its usual structure
  std::string prediction;          // "epsilon" or "v"; "" where nothing says
  std::string dtype;               // of most bytes: "fp16", "bf16", "fp32", …
  int64_t tensors = 0, bytes = 0;  // of data
  std::vector<std::string> parts;  // "unet", "text_encoder", "text_encoder_2", "vae"
  std::map<std::string, std::string> metadata;
  std::vector<std::string> problems;  // what keeps it from being used as what it is
};

// Throws Error for files that are absent or damaged.
Inspection inspect(const std::string& path);

}  // namespace sdxl::engine
