#include "weights/file_kind.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace sdxl::weights {

namespace {

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return out;
}

}  // namespace

std::string foreign_kind(std::span<const std::byte> bytes, const std::string& path) {
  using namespace std::string_view_literals;
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 512));
  const std::string name = lower_case(path);
  const auto named = [&](std::string_view suffix) { return name.ends_with(suffix); };

  const std::string convert = "which can run any code when it is read and is never read here; convert it to safetensors, or download the safetensors version";
  if (start.starts_with("PK\3\4"sv)) return "is a PyTorch (zip) checkpoint, " + convert;
  if (start.size() > 8 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) return "is a pickled PyTorch checkpoint, " + convert;
  if (named(".ckpt") || named(".pt") || named(".pth") || named(".bin")) return "is named like a PyTorch checkpoint, " + convert;
  if (start.starts_with("GGUF"sv)) return "is a GGUF file, which is not supported; use the safetensors version of the model";
  if (start.starts_with("version https://git-lfs"sv)) return "is a git-lfs pointer, not the model itself; run \"git lfs pull\", or download the file";

  const std::string text = lower_case(start.substr(std::min(start.find_first_not_of(" \t\r\n\xEF\xBB\xBF"sv), start.size())));
  if (text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml") || text.starts_with("<head"))
    return "is a web page, not a model; the download led to an error or sign-in page, download it again";
  return "";
}

}  // namespace sdxl::weights
