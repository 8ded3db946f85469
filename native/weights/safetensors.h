// Reads safetensors files (https://github.com/huggingface/safetensors#format) and trusts nothing in them.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/mapped_file.h"

namespace sdxl::weights {

struct SafetensorsEntry {
  std::string name;
  std::string_view dtype;           // as the format calls it: "F16", "BOOL", …
  std::optional<DType> type;        // for the formats the engine knows
  std::vector<int64_t> shape;       // of any rank; a dimension may be 0
  std::span<const std::byte> data;  // aligned to nothing
};

struct Safetensors {
  std::shared_ptr<const MappedFile> file;       // keeps the data alive
  std::vector<SafetensorsEntry> entries;        // in the order of their data
  std::map<std::string, std::string> metadata;  // __metadata__
};

// Throws what MappedFile throws, and Error(model_format) with all problems of the file at once: a bad header, unknown dtypes, shapes that
// are no sizes, data outside of the file, of the wrong length, overlapping, or covered by no tensor. Other kinds of model files are told
// apart, with what to do about them; nothing in them is ever executed.
Safetensors open_safetensors(const std::string& path);

// The same for bytes in memory, which must outlive the result; `path` is for messages. Leaves `file` empty.
Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& path);

}  // namespace sdxl::weights
