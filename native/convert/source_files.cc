#include "convert/source_files.h"

#include <algorithm>

#include "core/sha256.h"

namespace sdxl::convert {

SourceFiles::SourceFiles(const weights::Checkpoint& checkpoint) {
  for (const auto& mapped : checkpoint.files) {
    const auto [at, is_new] = sources_.try_emplace(mapped->path(), Source{mapped->bytes().data(), InputFile(mapped->path())});
    if (is_new && at->second.file.size() != int64_t(mapped->bytes().size()))
      throw Error(Code::model_format, mapped->path() + " was changed while it was opened", {{"path", mapped->path()}});
  }
}

void SourceFiles::read(const weights::SourceTensor& tensor, int64_t begin, std::span<std::byte> to) {
  Source& source = sources_.find(tensor.file)->second;
  source.file.read(tensor.data - source.begin + begin * size_of(tensor.dtype), to);
}

std::string source_mark(const weights::Checkpoint& checkpoint, SourceFiles& sources, const std::map<std::string, std::string>& small_files,
                        const std::string& options) {
  constexpr int64_t kSample = 64;
  Sha256 sha;
  const auto add = [&](std::string_view text) { sha.add(std::to_string(text.size()) + ":"), sha.add(text); };
  add(options);
  for (const weights::Component* part : checkpoint.components()) {
    add(part->name);
    for (const auto& [name, tensor] : part->tensors) {
      add(name), add(name_of(tensor.dtype));
      for (const int64_t size : tensor.shape) add(std::to_string(size));
      std::byte bytes[kSample * 8];
      const int64_t elements = tensor.elements(), count = std::min(kSample, elements);
      const std::span sample(bytes, size_t(count * size_of(tensor.dtype)));
      sources.read(tensor, (elements - count) / 2, sample);
      sha.add(sample);
    }
  }
  for (const auto& [key, value] : checkpoint.metadata) add(key), add(value);
  for (const std::string& marker : checkpoint.markers) add(marker);
  for (const auto& [name, text] : small_files) add(name), add(text);
  return sha.hex();
}

std::filesystem::file_time_type last_change(const weights::Checkpoint& checkpoint, const std::map<std::string, std::string>& small_files) {
  auto latest = std::filesystem::file_time_type::min();
  const auto add = [&](const std::string& path) {
    std::error_code gone;
    const auto time = std::filesystem::last_write_time(system_path(path), gone);
    latest = std::max(latest, gone ? std::filesystem::file_time_type::max() : time);
  };
  for (const auto& file : checkpoint.files) add(file->path());
  for (const auto& [name, text] : small_files) add(checkpoint.path + "/" + name);
  return latest;
}

}  // namespace sdxl::convert
