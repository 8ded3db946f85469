#include "engine/lora_directory.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <vector>

#include "core/error.h"
#include "weights/safetensors.h"

namespace sdxl::engine {

namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string relative, stem;  // "styles/ink", "ink"
  fs::path path;
};

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return text;
}

std::vector<Entry> list(const std::string& directory) {
  std::error_code error;
  const fs::path root = system_path(directory);
  std::vector<Entry> entries;
  for (fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied, error), end; !error && at != end; at.increment(error)) {
    const fs::path& path = at->path();
    if (lower(path.extension().string()) != ".safetensors" || !at->is_regular_file(error)) continue;
    fs::path relative = path.lexically_relative(root);
    entries.push_back({relative.replace_extension().generic_string(), path.stem().string(), path});
  }
  if (error)
    throw Error(Code::invalid_argument, "loraDirectory " + directory + " cannot be read: " + error.message(),
                {{"field", std::string("loraDirectory")}, {"path", directory}});
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.relative < b.relative; });
  return entries;
}

std::string output_name(const Entry& entry) {
  try {
    const auto file = weights::open_safetensors(entry.path.string());
    const auto found = file.metadata.find("ss_output_name");
    return found == file.metadata.end() ? "" : found->second;
  } catch (const Error&) {
    return "";  // a damaged file that nobody asked for
  }
}

}  // namespace

FoundLora find_lora(const std::string& directory, const std::string& name) {
  const std::vector<Entry> entries = list(directory);
  const std::function<bool(const Entry&)> tries[] = {
      [&](const Entry& e) { return e.relative == name; },
      [&](const Entry& e) { return e.stem == name; },
      [&](const Entry& e) { return lower(e.relative) == lower(name) || lower(e.stem) == lower(name); },
      [&](const Entry& e) { return output_name(e) == name; },
  };
  FoundLora found;
  for (const auto& matches : tries) {
    for (const Entry& entry : entries) {
      if (!matches(entry)) continue;
      if (found.candidates++ == 0) found.path = entry.path.string();
    }
    if (found.candidates) break;
  }
  return found;
}

}  // namespace sdxl::engine
