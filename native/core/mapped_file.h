// A file in memory, read only. The system reads the pages that are touched, when they are touched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace sdxl {

class MappedFile {
 public:
  // `path` is UTF-8. Throws Error(model_not_found) when the file is absent, a folder or unreadable, Error(model_format) when it is empty;
  // both name the path. The file must not shrink while it is mapped: the system ends a process that reads pages behind its end.
  explicit MappedFile(std::string path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }  // page-aligned, never empty
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

// Paths are UTF-8 strings everywhere but in calls to the system: Windows knows files by UTF-16 names.
std::filesystem::path system_path(const std::string& utf8);
std::string utf8_path(const std::filesystem::path& path);

}  // namespace sdxl
