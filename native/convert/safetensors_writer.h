// Writes safetensors files out of tensors that stay on the disk: what is in memory is a fixed buffer.
#pragma once

#include <map>
#include <string>

#include "convert/job.h"
#include "convert/layout.h"
#include "convert/merged_loras.h"
#include "convert/source_files.h"

namespace sdxl::convert {

struct WrittenFile {
  int64_t bytes = 0;
  std::string sha256;
};

class SafetensorsWriter {
 public:
  SafetensorsWriter(SourceFiles& sources, const MergedLoras& loras, Job& job);

  // A new file. Throws what the files throw, Cancelled, Error(model_format) naming file and tensor for values that are no numbers, and
  // Error(invalid_argument) for a value too large for the format it is to be written in.
  WrittenFile write(const std::string& path, const std::vector<FileTensor>& tensors, const std::map<std::string, std::string>& metadata);

 private:
  using Sink = std::function<void(std::span<const std::byte>)>;
  void write_rows(const weights::SourceTensor& part, const FileTensor& to, const Sink& sink);
  void write_transposed(const weights::SourceTensor& part, const FileTensor& to, const Sink& sink);
  void write_changed(const weights::SourceTensor& part, const FileTensor& to, const Sink& sink);
  // in_ → out_
  std::span<const std::byte> converted(const weights::SourceTensor& part, DType to, int64_t count);

  SourceFiles& sources_;
  const MergedLoras& loras_;
  Job& job_;
  std::vector<std::byte> in_, out_;
};

// Length, JSON and blanks: what stands before the data. The data's offsets follow from the order of `tensors`.
std::string safetensors_header(const std::vector<FileTensor>& tensors, const std::map<std::string, std::string>& metadata);

// A text file.
WrittenFile write_text(const std::string& path, const std::string& text);

}  // namespace sdxl::convert
