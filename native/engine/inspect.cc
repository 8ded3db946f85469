#include "engine/inspect.h"

#include <algorithm>

#include "engine/file_family.h"
#include "engine/parts.h"
#include "weights/diffusers_folder.h"
#include "weights/safetensors.h"

namespace sdxl::engine {

namespace {

using weights::Checkpoint;
using weights::Component;
using weights::Safetensors;
using weights::WeightReader;

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

std::string variant_of(const Component& component, const model::Unet& unet) {
  const int64_t beside = unet.in_channels() - unet.out_channels();
  if (beside == 5) return "inpainting";
  if (beside == 4) return "instruct-pix2pix";
  const WeightReader reader(component);
  if (reader.has_any("mid_block.attentions.")) return "";
  const auto depth = [&](const char* level) { return reader.count(std::string(level) + ".attentions.0.transformer_blocks."); };
  const std::pair depths(depth("down_blocks.1"), depth("down_blocks.2"));
  if (depths == std::pair(2, 4)) return "ssd-1b";
  if (depths == std::pair(1, 2)) return "vega";
  return "";
}

void describe(const Checkpoint& checkpoint, Inspection& result) {
  const Parts parts = build_parts(checkpoint);
  for (const Component* part : checkpoint.components())
    if (!part->tensors.empty()) result.parts.push_back(part->name);
  result.prediction = checkpoint.prediction;
  const bool sized = checkpoint.unet.tensors.count("add_embedding.linear_1.weight");
  if (parts.unet && !sized) {
    result.family = family_by_context(parts.unet->context_width());
    return;
  }
  result.problems = parts.problems;
  // Of a UNet alone, five size numbers tell a refiner: the width of the pooled text is then taken to be SDXL's.
  const bool refiner = parts.is_refiner() || (parts.unet && !parts.text_encoder && !parts.text_encoder_2 && parts.unet->size_numbers() == 5);
  if (refiner) result.family = "sdxl-refiner";
  else if (parts.unet ? parts.unet->context_width() > 0 : result.format == "single-file") result.family = "sdxl";
  if (result.family == "unknown") return;
  if (parts.unet && !refiner) result.variant = variant_of(checkpoint.unet, *parts.unet);
  for (const std::string& part : parts.absent)
    if (!(refiner && part == "text_encoder")) result.problems.push_back("no tensors of " + part + " were found");
}

void inspect_folder(const std::string& path, Inspection& result, Census& census) {
  result.format = "diffusers";
  const std::string pipeline = weights::read_pipeline(path);
  const Checkpoint checkpoint = weights::open_checkpoint(path);
  for (const Component* part : checkpoint.components())
    for (const auto& [name, tensor] : part->tensors) census.count(name_of(tensor.dtype), tensor.bytes()), result.bytes += tensor.bytes(), ++result.tensors;
  result.metadata = checkpoint.metadata;
  if (pipeline.starts_with("Flux")) result.family = "flux";
  else if (pipeline.starts_with("StableDiffusion3")) result.family = "sd3";
  else describe(checkpoint, result);
}

void inspect_file(const std::string& path, Inspection& result, Census& census) {
  const Safetensors file = weights::open_safetensors(path);
  for (const auto& entry : file.entries) census.count(entry.dtype, int64_t(entry.data.size())), result.bytes += int64_t(entry.data.size());
  result.tensors = int64_t(file.entries.size());
  result.metadata = file.metadata;
  FileFamily found = family_of(file);
  result.format = std::move(found.format);
  const bool like_sdxl = found.family.empty(), vae = result.format == "vae";
  if (!like_sdxl) result.family = std::move(found.family);
  if (!like_sdxl && !vae) return;
  const Checkpoint checkpoint = weights::open_checkpoint(path);
  if (like_sdxl) describe(checkpoint, result);
  else result.problems = build_parts(checkpoint).problems, result.parts = {"vae"};
}

}  // namespace

Inspection inspect(const std::string& path) {
  Inspection result;
  Census census;
  if (weights::is_folder(path)) inspect_folder(path, result, census);
  else inspect_file(path, result, census);
  result.dtype = census.most();
  return result;
}

}  // namespace sdxl::engine
