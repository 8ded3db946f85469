// Files for tests.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/mapped_file.h"

namespace sdxl::test {

// A folder that goes with everything in it.
class TempFolder {
 public:
  TempFolder() {
    static std::atomic<int> next = 0;
    // The address of a static differs between processes that run at the same time.
    const auto unique = reinterpret_cast<uintptr_t>(&next) ^ uintptr_t(std::filesystem::file_time_type::clock::now().time_since_epoch().count());
    path_ = std::filesystem::temp_directory_path() / ("sdxl-test-" + std::to_string(unique) + "-" + std::to_string(next++));
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string operator/(const std::string& name) const { return utf8_path(path_ / system_path(name)); }
  std::string path() const { return utf8_path(path_); }
  // Returns the path. Folders in `name` are made.
  std::string write(const std::string& name, const std::string& bytes) const {
    const auto path = path_ / system_path(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
    return utf8_path(path);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace sdxl::test
