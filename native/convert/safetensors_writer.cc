#include "convert/safetensors_writer.h"

#include <algorithm>
#include <cstring>

#include "convert/values.h"
#include "convert/while_hashing.h"
#include "core/file.h"
#include "core/json_writer.h"

namespace sdxl::convert {

namespace {

constexpr int64_t kValues = 1 << 20;  // converted at a time

const char* option_name(DType type) { return type == DType::f16 ? "fp16" : type == DType::bf16 ? "bf16" : "fp32"; }

[[noreturn]] void not_finite(const weights::SourceTensor& part) {
  throw Error(Code::model_format, part.file + ": tensor " + json::printable(part.name) + " holds NaN or infinite values",
              {{"path", part.file}, {"tensor", part.name}});
}

[[noreturn]] void too_large(const weights::SourceTensor& part, DType to, float value) {
  const std::string shown = std::to_string(value);
  throw Error(Code::invalid_argument,
              part.file + ": tensor " + json::printable(part.name) + " holds the value " + shown + ", which is beyond the range of " + option_name(to) +
                  (to == DType::f16 ? "; convert to bf16 or fp32" : "; convert to fp32"),
              {{"field", "dtype"}, {"path", part.file}, {"tensor", part.name}, {"found", shown}});
}

// What the written bytes pass on their way.
class HashedFile {
 public:
  explicit HashedFile(const std::string& path) : file_(path) {}
  void write(std::span<const std::byte> bytes) {
    while_hashing(sha_, bytes, [&] { file_.write(bytes); });
  }
  void write(const std::string& text) { write(std::as_bytes(std::span(text))); }
  WrittenFile finish() {
    const int64_t bytes = file_.size();
    file_.finish();
    return {bytes, sha_.hex()};
  }

 private:
  OutputFile file_;
  Sha256 sha_;
};

}  // namespace

SafetensorsWriter::SafetensorsWriter(SourceFiles& sources, const MergedLoras& loras, Job& job)
    : sources_(sources), loras_(loras), job_(job), in_(kValues * sizeof(float)), out_(kValues * sizeof(float)) {}

std::span<const std::byte> SafetensorsWriter::converted(const weights::SourceTensor& part, DType to, int64_t count) {
  if (!non_finite(in_.data(), part.dtype, count).none()) not_finite(part);
  const std::span<const std::byte> result(to == part.dtype ? in_.data() : out_.data(), size_t(count * size_of(to)));
  if (to == part.dtype) return result;
  convert_values(in_.data(), part.dtype, out_.data(), to, count);
  if (const NonFinite beyond = non_finite(out_.data(), to, count); !beyond.none()) too_large(part, to, value_at(in_.data(), part.dtype, beyond.first));
  return result;
}

void SafetensorsWriter::write_rows(const weights::SourceTensor& part, const FileTensor& to, const Sink& sink) {
  const int64_t elements = part.elements(), size = size_of(part.dtype);
  for (int64_t begin = 0; begin < elements; begin += kValues) {
    const int64_t count = std::min(kValues, elements - begin);
    sources_.read(part, begin, {in_.data(), size_t(count * size)});
    sink(converted(part, to.dtype, count));
  }
}

// Some columns of the source at a time are as many rows of the target.
void SafetensorsWriter::write_transposed(const weights::SourceTensor& part, const FileTensor& to, const Sink& sink) {
  const int64_t out = part.shape[0], in = part.shape[1], size = size_of(part.dtype);
  const int64_t rows = part.transposed ? in : out, columns = part.transposed ? out : in;
  const int64_t most = std::max<int64_t>(1, kValues / rows);
  std::vector<std::byte> block(size_t(rows * std::min(most, columns) * size));
  if (in_.size() < block.size()) in_.resize(block.size()), out_.resize(size_t(rows) * sizeof(float));
  for (int64_t begin = 0; begin < columns; begin += most) {
    const int64_t width = std::min(most, columns - begin);
    for (int64_t row = 0; row < rows; ++row) sources_.read(part, row * columns + begin, {block.data() + row * width * size, size_t(width * size)});
    transpose(block.data(), rows, width, size, in_.data());
    sink(converted(part, to.dtype, rows * width));
  }
}

// The whole tensor at once: LoRAs are sums over rows and columns. SDXL's largest has 26 million values.
void SafetensorsWriter::write_changed(const weights::SourceTensor& part, const FileTensor& to, const Sink& sink) {
  const int64_t elements = part.elements(), rows = part.shape[0], columns = elements / std::max<int64_t>(rows, 1), size = size_of(part.dtype);
  std::vector<std::byte> bytes(static_cast<size_t>(elements * size));
  sources_.read(part, 0, bytes);
  if (!non_finite(bytes.data(), part.dtype, elements).none()) not_finite(part);
  std::vector<float> values(static_cast<size_t>(elements)), turned;
  convert_values(bytes.data(), part.dtype, reinterpret_cast<std::byte*>(values.data()), DType::f32, elements);
  const auto turn = [&](int64_t from_rows, int64_t from_columns) {
    turned.resize(values.size());
    transpose(reinterpret_cast<const std::byte*>(values.data()), from_rows, from_columns, sizeof(float), reinterpret_cast<std::byte*>(turned.data()));
    values.swap(turned);
  };
  if (part.transposed) turn(columns, rows);
  loras_.apply(part, values);
  if (to.transposed) turn(rows, columns);

  weights::SourceTensor changed = part;
  changed.dtype = DType::f32;
  for (int64_t begin = 0; begin < elements; begin += kValues) {
    const int64_t count = std::min(kValues, elements - begin);
    std::memcpy(in_.data(), values.data() + begin, size_t(count) * sizeof(float));
    sink(converted(changed, to.dtype, count));
  }
}

WrittenFile SafetensorsWriter::write(const std::string& path, const std::vector<FileTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  HashedFile file(path);
  file.write(safetensors_header(tensors, metadata));
  for (const FileTensor& tensor : tensors) {
    const Sink sink = [&](std::span<const std::byte> bytes) {
      file.write(bytes);
      job_.advance(tensor.phase, int64_t(bytes.size()));
    };
    for (const weights::SourceTensor* part : tensor.parts) {
      if (loras_.changes(*part)) write_changed(*part, tensor, sink);
      else if (part->transposed == tensor.transposed) write_rows(*part, tensor, sink);
      else write_transposed(*part, tensor, sink);
    }
  }
  return file.finish();
}

std::string safetensors_header(const std::vector<FileTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  std::string text = "{\"__metadata__\":{";
  const char* before = "";
  for (const auto& [key, value] : metadata) text += before + json::quoted(key) + ":" + json::quoted(value), before = ",";
  text += "}";
  int64_t offset = 0;
  for (const FileTensor& tensor : tensors) {
    text += "," + json::quoted(tensor.name) + ":{\"dtype\":\"" + name_of(tensor.dtype) + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) text += (i ? "," : "") + std::to_string(tensor.shape[i]);
    text += "],\"data_offsets\":[" + std::to_string(offset);
    offset += tensor.bytes();
    text += "," + std::to_string(offset) + "]}";
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length;
  for (int i = 0; i < 8; ++i) length += char(uint64_t(text.size()) >> 8 * i & 255);
  return length + text;
}

WrittenFile write_text(const std::string& path, const std::string& text) {
  HashedFile file(path);
  file.write(text);
  return file.finish();
}

}  // namespace sdxl::convert
