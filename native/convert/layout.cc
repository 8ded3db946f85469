#include "convert/layout.h"

#include <algorithm>

#include "convert/single_file_names.h"

namespace sdxl::convert {

namespace {

using weights::Component;
using weights::SourceTensor;

// One format for all parts; where theirs differ, the one that holds each exactly.
DType type_of(const std::vector<const SourceTensor*>& parts, TargetType wanted) {
  if (wanted) return *wanted;
  const bool alike = std::all_of(parts.begin(), parts.end(), [&](const SourceTensor* p) { return p->dtype == parts[0]->dtype; });
  return alike ? parts[0]->dtype : DType::f32;
}

FileTensor whole(std::string name, const Component& component, const SourceTensor& tensor, TargetType dtype) {
  return {.name = std::move(name), .dtype = dtype.value_or(tensor.dtype), .shape = tensor.shape, .parts = {&tensor}, .phase = component.name};
}

// SDXL's first encoder has no projection, though some folders keep CLIP's.
bool is_written(const Component& component, const std::string& name) { return component.name != "text_encoder" || name != "text_projection.weight"; }

void add_unet(std::vector<FileTensor>& files, const Component& component, TargetType dtype) {
  const UnetFileNames name(component);
  for (const auto& [key, tensor] : component.tensors) files.push_back(whole("model.diffusion_model." + name(key), component, tensor, dtype));
}

void add_vae(std::vector<FileTensor>& files, const Component& component, TargetType dtype) {
  const VaeFileNames name(component);
  for (const auto& [key, tensor] : component.tensors) {
    FileTensor& file = files.emplace_back(whole("first_stage_model." + name(key), component, tensor, dtype));
    // The attention of the original code is made of convolutions.
    if (key.find(".attentions.") != std::string::npos && file.shape.size() == 2) file.shape.insert(file.shape.end(), 2, 1);
  }
}

void add_clip_l(std::vector<FileTensor>& files, const Component& component, TargetType dtype) {
  for (const auto& [key, tensor] : component.tensors)
    if (is_written(component, key)) files.push_back(whole("conditioner.embedders.0.transformer." + key, component, tensor, dtype));
}

void add_clip_g(std::vector<FileTensor>& files, const Component& component, const std::string& prefix, TargetType dtype) {
  for (const auto& [key, tensor] : component.tensors) {
    const OpenClipFileName place = open_clip_file_name(key);
    if (place.row_of_three > 0) continue;  // k and v travel with q
    if (place.row_of_three < 0) {
      FileTensor& file = files.emplace_back(whole(prefix + place.name, component, tensor, dtype));
      if ((file.transposed = place.transposed)) std::reverse(file.shape.begin(), file.shape.end());
      continue;
    }
    std::vector<const SourceTensor*> parts;
    for (const char projection : {'q', 'k', 'v'}) {
      std::string name = key;
      name[name.find(".q_proj.") + 1] = projection;
      parts.push_back(&component.tensors.at(name));
    }
    std::vector<int64_t> shape = tensor.shape;
    shape[0] *= 3;
    const DType type = type_of(parts, dtype);
    files.push_back({.name = prefix + place.name, .dtype = type, .shape = std::move(shape), .parts = std::move(parts), .phase = component.name});
  }
}

// Wider elements first, as the format's own library writes them, so that each tensor is aligned to its elements.
void order(std::vector<FileTensor>& files) {
  std::sort(files.begin(), files.end(), [](const FileTensor& a, const FileTensor& b) {
    return size_of(a.dtype) != size_of(b.dtype) ? size_of(a.dtype) > size_of(b.dtype) : a.name < b.name;
  });
}

}  // namespace

int64_t FileTensor::elements() const {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return n;
}

std::vector<FileTensor> single_file_tensors(const weights::Checkpoint& checkpoint, TargetType dtype) {
  std::vector<FileTensor> files;
  add_unet(files, checkpoint.unet, dtype);
  add_vae(files, checkpoint.vae, dtype);
  add_clip_l(files, checkpoint.text_encoder, dtype);
  // The refiner, which has the second encoder only, numbers it 0.
  add_clip_g(files, checkpoint.text_encoder_2, checkpoint.text_encoder.tensors.empty() ? "conditioner.embedders.0.model." : "conditioner.embedders.1.model.",
             dtype);
  const auto mark = [&](const char* name) { files.push_back({.name = name, .dtype = DType::f32, .shape = {0}, .parts = {}, .phase = ""}); };
  if (checkpoint.prediction == "v") mark("v_pred");
  if (std::find(checkpoint.markers.begin(), checkpoint.markers.end(), "ztsnr") != checkpoint.markers.end()) mark("ztsnr");
  order(files);
  return files;
}

std::vector<FileTensor> component_tensors(const Component& component, TargetType dtype) {
  std::vector<FileTensor> files;
  for (const auto& [key, tensor] : component.tensors)
    if (is_written(component, key)) files.push_back(whole(key, component, tensor, dtype));
  order(files);
  return files;
}

}  // namespace sdxl::convert
