#include "engine/embedding.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "model/clip.h"
#include "weights/safetensors.h"
#include "weights/shape_text.h"

namespace sdxl::engine {

namespace {

using weights::text_of;

constexpr int64_t kMost = model::Clip::kLength - 2;  // they have to fit into one chunk

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Error(Code::model_format, path + " is no textual inversion for this model: " + why, {{"path", path}});
}

std::string list(const weights::Safetensors& file) {
  std::string found;
  for (size_t i = 0; i < std::min<size_t>(file.entries.size(), 4); ++i) found += (i ? ", " : "") + file.entries[i].name + " " + text_of(file.entries[i].shape);
  if (file.entries.size() > 4) found += " and " + std::to_string(file.entries.size() - 4) + " more";
  return found.empty() ? "nothing" : found;
}

std::vector<float> read(const std::string& path, const weights::Safetensors& file, const char* name, int64_t width) {
  const auto entry = std::find_if(file.entries.begin(), file.entries.end(), [&](const auto& e) { return e.name == name; });
  if (entry == file.entries.end())
    refuse(path, std::string("it has no tensor ") + name + "; an SDXL embedding has clip_l and clip_g, found " + list(file) +
                     (file.entries.size() == 1 ? ", which looks like one for Stable Diffusion 1 or 2" : ""));
  std::vector<int64_t> shape = entry->shape;
  if (shape.size() == 1) shape.insert(shape.begin(), 1);
  if (shape.size() != 2 || shape[1] != width || shape[0] < 1 || shape[0] > kMost)
    refuse(path, std::string("tensor ") + name + " is " + text_of(entry->shape) + "; wanted is [n, " + std::to_string(width) + "] with n from 1 to " +
                     std::to_string(kMost));
  if (!entry->type || !is_weight(*entry->type)) refuse(path, std::string("tensor ") + name + " has the format " + std::string(entry->dtype));
  std::vector<float> values(size_t(shape[0] * width));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = value_at(entry->data.data(), *entry->type, int64_t(i));
    if (!std::isfinite(values[i])) refuse(path, std::string("tensor ") + name + " holds NaN or infinite values");
  }
  return values;
}

}  // namespace

Embedding read_embedding(const std::string& path, int64_t first_width, int64_t second_width) {
  const weights::Safetensors file = weights::open_safetensors(path);
  Embedding result{.vectors = 0, .first = read(path, file, "clip_l", first_width), .second = read(path, file, "clip_g", second_width)};
  result.vectors = int64_t(result.first.size()) / first_width;
  if (const int64_t second = int64_t(result.second.size()) / second_width; second != result.vectors)
    refuse(path, "clip_l has " + std::to_string(result.vectors) + " vectors, clip_g " + std::to_string(second));
  return result;
}

}  // namespace sdxl::engine
