// Text encoder tensor names: from OpenCLIP's, which single files use for bigG, to those of transformers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl::weights {

struct OpenClipName {
  std::vector<std::string> names;  // one; three of equal size, one below the other, for fused q, k and v; none for what is not used
  bool transposed = false;         // held as [in, out]
};

// Takes names behind "conditioner.embedders.1.model.". Not used are the temperature, the mask and the vision tower; unknown names come back
// unchanged.
OpenClipName open_clip_name(std::string_view name);

// Names of transformers, with or without "text_model." before them, get it. Nothing for what is computed rather than learned.
std::optional<std::string> transformers_name(std::string_view name);

}  // namespace sdxl::weights
