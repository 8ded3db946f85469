#include "engine/inspect.h"

#include <algorithm>
#include <filesystem>

#include "engine/parts.h"
#include "weights/safetensors.h"

namespace sdxl::engine {

namespace {

using weights::Safetensors;

const char* precision_name(std::string_view dtype) {
  if (dtype == "F32") return "fp32";
  if (dtype == "F16") return "fp16";
  if (dtype == "BF16") return "bf16";
  if (dtype == "F8_E4M3") return "fp8_e4m3";
  if (dtype == "F8_E5M2") return "fp8_e5m2";
  if (dtype == "F64") return "fp64";
  return "other";
}

// The number format of most bytes.
class Census {
 public:
  void count(std::string_view dtype, int64_t bytes) { bytes_[precision_name(dtype)] += bytes; }
  std::string most() const {
    const auto by_bytes = [](const auto& a, const auto& b) { return a.second < b.second; };
    return bytes_.empty() ? "unknown" : std::max_element(bytes_.begin(), bytes_.end(), by_bytes)->first;
  }

 private:
  std::map<std::string, int64_t> bytes_;
};

bool any_name(const Safetensors& file, auto matches) {
  return std::any_of(file.entries.begin(), file.entries.end(), [&](const auto& entry) { return matches(std::string_view(entry.name)); });
}
bool contains(const Safetensors& file, std::string_view part) {
  return any_name(file, [&](std::string_view name) { return name.find(part) != std::string_view::npos; });
}
bool has(const Safetensors& file, std::string_view whole) {
  return any_name(file, [&](std::string_view name) { return name == whole; });
}

std::string format_of(const Safetensors& file) {
  for (const char* part : {".lora_down", ".lora_up", "lora_A.", "lora_B.", ".lora.down", ".hada_w1", ".lokr_w1", ".oft_", ".diff_b", ".dora_scale"})
    if (contains(file, part)) return "lora";
  if (has(file, "clip_g") || has(file, "clip_l") || has(file, "emb_params")) return "embedding";
  if (contains(file, "diffusion_model.") || contains(file, "conditioner.embedders.")) return "single-file";
  if (contains(file, "decoder.conv_in.")) return "vae";
  return "unknown";
}

void describe(const weights::Checkpoint& checkpoint, Inspection& result) {
  const Parts parts = build_parts(checkpoint);
  result.problems = parts.problems;
  if (parts.is_refiner()) result.family = "sdxl-refiner";
  else if (parts.unet && parts.unet->context_width() && checkpoint.unet.tensors.count("add_embedding.linear_1.weight")) result.family = "sdxl";
  if (result.family == "unknown") return;
  for (const std::string& part : parts.absent)
    if (!(result.family == "sdxl-refiner" && part == "text_encoder")) result.problems.push_back("no tensors of " + part + " were found");
}

}  // namespace

Inspection inspect(const std::string& path) {
  Inspection result;
  result.family = "unknown";
  Census census;
  if (std::filesystem::is_directory(system_path(path))) {
    result.format = "diffusers";
    const weights::Checkpoint checkpoint = weights::open_checkpoint(path, "");
    for (const weights::Component* part : {&checkpoint.unet, &checkpoint.text_encoder, &checkpoint.text_encoder_2, &checkpoint.vae})
      for (const auto& [name, tensor] : part->tensors) {
        census.count(name_of(tensor.dtype), tensor.bytes()), result.bytes += tensor.bytes(), ++result.tensors;
      }
    result.metadata = checkpoint.metadata;
    describe(checkpoint, result);
  } else {
    const Safetensors file = weights::open_safetensors(path);
    for (const auto& entry : file.entries) census.count(entry.dtype, int64_t(entry.data.size())), result.bytes += int64_t(entry.data.size());
    result.tensors = int64_t(file.entries.size());
    result.metadata = file.metadata;
    result.format = format_of(file);
    if (contains(file, "cond_stage_model.transformer.")) result.family = "sd1";
    else if (contains(file, "cond_stage_model.model.")) result.family = "sd2";
    else if (result.format == "single-file") describe(weights::open_checkpoint(path, ""), result);
  }
  result.dtype = census.most();
  return result;
}

}  // namespace sdxl::engine
