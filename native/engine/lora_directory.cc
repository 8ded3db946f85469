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

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return text;
}

std::string output_name(const std::string& path) {
  try {
    const auto file = weights::open_safetensors(path);
    const auto found = file.metadata.find("ss_output_name");
    return found == file.metadata.end() ? "" : found->second;
  } catch (const Error&) {
    return "";  // a damaged file that nobody asked for
  }
}

}  // namespace

LoraDirectory::LoraDirectory(const std::string& directory) {
  std::error_code error;
  const fs::path root = system_path(directory);
  for (fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied, error), end; !error && at != end; at.increment(error)) {
    const fs::path& path = at->path();
    if (lower(utf8_path(path.extension())) != ".safetensors" || !at->is_regular_file(error)) continue;
    const std::u8string relative = path.lexically_relative(root).replace_extension().generic_u8string();  // "/" on every system
    entries_.push_back({{relative.begin(), relative.end()}, utf8_path(path.stem()), utf8_path(path)});
  }
  if (error)
    throw Error(Code::invalid_argument, "loraDirectory " + directory + " cannot be read: " + error.message(),
                {{"field", std::string("loraDirectory")}, {"path", directory}});
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.relative < b.relative; });
}

FoundLora LoraDirectory::find(const std::string& name) const {
  const std::function<bool(const Entry&)> tries[] = {
      [&](const Entry& e) { return e.relative == name; },
      [&](const Entry& e) { return e.stem == name; },
      [&](const Entry& e) { return lower(e.relative) == lower(name) || lower(e.stem) == lower(name); },
      [&](const Entry& e) { return output_name(e.path) == name; },
  };
  FoundLora found;
  for (const auto& matches : tries) {
    for (const Entry& entry : entries_) {
      if (!matches(entry)) continue;
      if (found.candidates++ == 0) found.path = entry.path;
    }
    if (found.candidates) break;
  }
  return found;
}

}  // namespace sdxl::engine
