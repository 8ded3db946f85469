// What a file of tensors is and which models it belongs to, from names and shapes.
#pragma once

#include <string>

#include "weights/safetensors.h"

namespace sdxl::engine {

struct FileFamily {
  std::string format = "unknown";  // as Inspection::format
  std::string family = "unknown";  // "": like SDXL, and the structure has to tell more
};
FileFamily family_of(const weights::Safetensors& file);

// "sd1" and "sd2" by what their cross-attention reads, "unknown" for other widths.
std::string family_by_context(int64_t width);

}  // namespace sdxl::engine
