#include "weights/diffusers_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/json.h"

namespace sdxl::weights {

namespace {

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(system_path(path), error);
}

json::Value read_json(const std::string& path) {
  const MappedFile file(path);
  try {
    return json::parse(file.text());
  } catch (const Error& error) {
    throw Error(error.code, path + ": " + error.message, {{"path", path}});
  }
}

std::string string_member(const json::Value& value, std::string_view name) {
  const json::Value* member = value.find(name);
  return member && member->string() ? *member->string() : "";
}

void add_file(FolderWeights& weights, const std::string& path) {
  const Safetensors& file = weights.files.emplace_back(open_safetensors(path));
  for (const SafetensorsEntry& entry : file.entries) weights.entries.push_back({entry.name, &entry, &file.file->path()});
}

// A name with a folder in it could point anywhere on the system.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\:\0", 4)) == std::string::npos;
}

FolderWeights open_shards(const std::string& folder, const std::string& index_path) {
  const json::Value index = read_json(index_path);
  const json::Value* map = index.find("weight_map");
  Problems problems;
  if (!map || !map->object()) {
    problems.add("it has no weight_map from tensors to files");
    throw problems.error(index_path, "not an index of shards");
  }
  std::map<std::string, std::vector<std::string_view>> tensors_by_shard;
  for (const auto& [tensor, shard] : *map->object()) {
    if (shard.string() && is_plain_name(*shard.string())) tensors_by_shard[*shard.string()].push_back(tensor);
    else problems.add("\"" + json::printable(tensor) + "\" names no file of this folder");
  }

  FolderWeights weights;
  for (auto& [shard, tensors] : tensors_by_shard) {
    const std::string path = inside(folder, shard);
    if (!exists(path)) {
      problems.add("the shard \"" + json::printable(shard) + "\" with " + std::to_string(tensors.size()) + " tensors is missing");
      continue;
    }
    std::sort(tensors.begin(), tensors.end());
    const Safetensors& file = weights.files.emplace_back(open_safetensors(path));
    std::vector<std::string_view> found;
    for (const SafetensorsEntry& entry : file.entries) {
      if (std::binary_search(tensors.begin(), tensors.end(), std::string_view(entry.name))) {
        weights.entries.push_back({entry.name, &entry, &file.file->path()});
        found.push_back(entry.name);
      } else {
        ++weights.ignored;
      }
    }
    std::sort(found.begin(), found.end());
    for (const std::string_view tensor : tensors)
      if (!std::binary_search(found.begin(), found.end(), tensor))
        problems.add("the shard \"" + json::printable(shard) + "\" does not hold \"" + json::printable(tensor) + "\"");
  }
  problems.throw_if_any(index_path, "the model is incomplete, copy or download it again");
  return weights;
}

}  // namespace

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(system_path(path), error);
}

std::string inside(const std::string& folder, const std::string& name) { return utf8_path(system_path(folder) / system_path(name)); }

std::string listing(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(system_path(folder), error), end; !error && at != end; at.increment(error))
    names.push_back(utf8_path(at->path().filename()));
  if (names.empty()) return "nothing";
  std::sort(names.begin(), names.end());
  std::string text;
  for (size_t i = 0; i < names.size() && i < 8; ++i) text += (i ? ", " : "") + json::printable(names[i]);
  return names.size() > 8 ? text + " and " + std::to_string(names.size() - 8) + " more" : text;
}

FolderWeights open_component_folder(const std::string& folder, const std::string& stem) {
  FolderWeights weights;
  if (!is_folder(folder)) return weights;
  for (const std::string variant : {"", ".fp16", ".bf16"}) {
    if (const std::string path = inside(folder, stem + variant + ".safetensors"); exists(path)) {
      add_file(weights, path);
      return weights;
    }
    // Diffusers has named the index of a variant in two ways.
    for (const std::string& name : {stem + ".safetensors.index" + variant + ".json", stem + variant + ".safetensors.index.json"})
      if (const std::string path = inside(folder, name); exists(path)) return open_shards(folder, path);
  }
  Problems problems;
  problems.add("looked for " + stem + ".safetensors, its fp16 and bf16 variants and " + stem + ".safetensors.index.json, found " + listing(folder) +
               "; PyTorch's .bin files are never read, convert them to safetensors");
  throw problems.error(folder, "no weights in this folder");
}

double read_latent_scale(const std::string& model_folder) {
  const std::string path = inside(inside(model_folder, "vae"), "config.json");
  if (!exists(path)) return 0;
  const json::Value value = read_json(path);
  const json::Value* factor = value.find("scaling_factor");
  return factor ? factor->number().value_or(0) : 0;
}

std::string read_activation(const std::string& encoder_folder) {
  const std::string path = inside(encoder_folder, "config.json");
  if (!exists(path)) return "";
  return string_member(read_json(path), "hidden_act");
}

std::string read_pipeline(const std::string& model_folder) {
  const std::string path = inside(model_folder, "model_index.json");
  return exists(path) ? string_member(read_json(path), "_class_name") : "";
}

SchedulerConfig read_scheduler_config(const std::string& model_folder) {
  SchedulerConfig config;
  const std::string path = inside(inside(model_folder, "scheduler"), "scheduler_config.json");
  if (!exists(path)) return config;
  const json::Value value = read_json(path);
  config.scheduler = string_member(value, "_class_name");
  config.prediction_type = string_member(value, "prediction_type");
  if (const json::Value* rescale = value.find("rescale_betas_zero_snr")) config.zero_terminal_snr = rescale->boolean().value_or(false);
  return config;
}

}  // namespace sdxl::weights
