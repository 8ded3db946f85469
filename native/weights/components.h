// Makes components out of the tensors of files: internal names, and views in the shapes the layers mean.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/problems.h"
#include "weights/safetensors.h"
#include "weights/weight_reader.h"

namespace sdxl::weights {

// A tensor that belongs to a part of a model.
struct PartEntry {
  std::string_view name;  // without the prefix that stands for the part
  const SafetensorsEntry* entry;
  const std::string* file;  // path
};

std::vector<std::string_view> names_of(std::span<const PartEntry> entries);

// Each adds tensors to `component`, whose name is set, and notes what cannot be one of a model: a dtype that holds no weights, a name that
// occurs twice, a fused tensor that cannot be divided. Any naming is accepted and unknown names are kept, so that the model's own check
// reports them. Returns how many entries were left aside on purpose.
int64_t add_unet(Component& component, std::span<const PartEntry> entries, Problems& problems);
// A TAESD in the VAE's place too, see TaesdNames.
int64_t add_vae(Component& component, std::span<const PartEntry> entries, Problems& problems);
int64_t add_taesd(Component& component, std::span<const PartEntry> entries, Problems& problems);
int64_t add_transformers_text(Component& component, std::span<const PartEntry> entries, Problems& problems);
int64_t add_open_clip_text(Component& component, std::span<const PartEntry> entries, Problems& problems);

}  // namespace sdxl::weights
