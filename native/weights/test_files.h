// Small model files for tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/mapped_file_test.h"

namespace sdxl::weights::test {

using sdxl::test::TempFolder;

struct TestTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::string bytes;
  std::string dtype = "F16";
};

inline std::string length_bytes(uint64_t length) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += char(length >> 8 * i & 255);
  return out;
}

// A file with this header, whatever is in it.
inline std::string with_header(const std::string& header, const std::string& data = "") { return length_bytes(header.size()) + header + data; }

inline std::string safetensors_bytes(const std::vector<TestTensor>& tensors, const std::map<std::string, std::string>& metadata = {}) {
  std::string header = "{", data;
  if (!metadata.empty()) {
    std::string members;
    for (const auto& [key, value] : metadata) members += (members.empty() ? "\"" : ",\"") + key + "\":\"" + value + "\"";
    header += "\"__metadata__\":{" + members + "}";
  }
  for (const TestTensor& t : tensors) {
    if (header.size() > 1) header += ",";
    header += "\"" + t.name + "\":{\"dtype\":\"" + t.dtype + "\",\"shape\":[";
    for (size_t i = 0; i < t.shape.size(); ++i) header += (i ? "," : "") + std::to_string(t.shape[i]);
    header += "],\"data_offsets\":[" + std::to_string(data.size()) + "," + std::to_string(data.size() + t.bytes.size()) + "]}";
    data += t.bytes;
  }
  return with_header(header + "}", data);
}

}  // namespace sdxl::weights::test
