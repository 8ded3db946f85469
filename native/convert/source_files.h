// The files of a checkpoint, read piece by piece.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/file.h"
#include "weights/checkpoint.h"

namespace sdxl::convert {

class SourceFiles {
 public:
  explicit SourceFiles(const weights::Checkpoint& checkpoint);

  // Elements of the tensor as its file holds them, from number `begin` on, as many as fit.
  void read(const weights::SourceTensor& tensor, int64_t begin, std::span<std::byte> to);

 private:
  struct Source {
    const std::byte* begin;  // where the checkpoint has it mapped
    InputFile file;
  };
  std::map<std::string, Source, std::less<>> sources_;
};

// Tells what is made of a source from what is made of any other, at the price of reading headers and one page per tensor: 64 hexadecimal
// digits of the names, shapes and formats of all tensors, some bytes of each, the small files and `options`. Neither paths nor times count,
// so the same model gives the same result anywhere. Whoever relies on it has to know that the source was not written to since: see below.
std::string source_mark(const weights::Checkpoint& checkpoint, SourceFiles& sources, const std::map<std::string, std::string>& small_files,
                        const std::string& options);

// When any of its files was last written to.
std::filesystem::file_time_type last_change(const weights::Checkpoint& checkpoint, const std::map<std::string, std::string>& small_files);

}  // namespace sdxl::convert
