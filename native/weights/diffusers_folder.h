// Finds the files of a model that Diffusers saved as a folder.
#pragma once

#include <string>
#include <vector>

#include "weights/components.h"

namespace sdxl::weights {

struct FolderWeights {
  std::vector<Safetensors> files;  // one, or the shards; none when the folder is absent
  std::vector<PartEntry> entries;  // point into `files`
  int64_t ignored = 0;             // tensors of shards that the index does not list
};

// The weights of one component's folder, such as ".../unet": "STEM.safetensors", shards named by "STEM.safetensors.index.json", or the fp16
// and bf16 variants of both, in this order. `stem` is "diffusion_pytorch_model" or "model". Throws Error(model_format) when the folder holds
// none of these, or a shard or one of its tensors is missing, and what open_safetensors throws.
FolderWeights open_component_folder(const std::string& folder, const std::string& stem);

// prediction_type of scheduler/scheduler_config.json and whether its noise table ends at zero signal.
struct SchedulerConfig {
  std::string scheduler;        // its class, "" when nothing says
  std::string prediction_type;  // "" when nothing says
  bool zero_terminal_snr = false;
};
SchedulerConfig read_scheduler_config(const std::string& model_folder);

// scaling_factor of vae/config.json; 0 when nothing says.
double read_latent_scale(const std::string& model_folder);
// hidden_act of a text encoder's config.json; "" when nothing says.
std::string read_activation(const std::string& encoder_folder);

// The class of the pipeline in model_index.json; "" when nothing says.
std::string read_pipeline(const std::string& model_folder);

bool is_folder(const std::string& path);
// The names in a folder for a message, sorted, the first few; "nothing" when it is empty.
std::string listing(const std::string& folder);
// folder/name
std::string inside(const std::string& folder, const std::string& name);

}  // namespace sdxl::weights
