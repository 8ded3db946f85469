// Files that are read and written piece by piece: what passes through a program once need not lie in its memory, and a file that another
// process cuts short meanwhile is an error here, where a mapped one ends the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "core/error.h"

namespace sdxl {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FileHandle = std::unique_ptr<std::FILE, CloseFile>;

class InputFile {
 public:
  // `path` is UTF-8. Throws Error(model_not_found).
  explicit InputFile(std::string path);

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // when it was opened

  // Fills `to` from that byte on. Throws Error(model_format) when the file ends before.
  void read(int64_t offset, std::span<std::byte> to);

 private:
  std::string path_;
  FileHandle file_;
  int64_t size_ = 0, at_ = 0;
};

// A new file. What cannot be written is Error(invalid_argument) where it is the caller's to change (no space, no permission), else internal.
class OutputFile {
 public:
  explicit OutputFile(std::string path);

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // so far
  void write(std::span<const std::byte> bytes);
  // Closes it; the bytes are on the disk then, whatever happens to the machine.
  void finish();

 private:
  std::string path_;
  FileHandle file_;
  int64_t size_ = 0;
};

// "cannot write <path>: <what the system says>". `system_error`: errno.
Error write_error(const std::string& path, int system_error);
// Makes renames and new names in a folder outlast a crash of the machine.
void sync_folder(const std::string& path);

}  // namespace sdxl
