// The one way the engine reports a failure. Thrown inside native code, turned into an SdxlError at the addon's boundary.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sdxl {

// Names as in the public API: ERR_INVALID_ARGUMENT and so on.
enum class Code {
  invalid_argument,
  model_not_found,
  model_format,
  model_unsupported,
  lora_format,
  lora_mismatch,
  device_unavailable,
  out_of_memory,
  closed,
  crashed,
  internal
};

constexpr const char* name_of(Code code) {
  switch (code) {
    case Code::invalid_argument: return "ERR_INVALID_ARGUMENT";
    case Code::model_not_found: return "ERR_MODEL_NOT_FOUND";
    case Code::model_format: return "ERR_MODEL_FORMAT";
    case Code::model_unsupported: return "ERR_MODEL_UNSUPPORTED";
    case Code::lora_format: return "ERR_LORA_FORMAT";
    case Code::lora_mismatch: return "ERR_LORA_MISMATCH";
    case Code::device_unavailable: return "ERR_DEVICE_UNAVAILABLE";
    case Code::out_of_memory: return "ERR_OUT_OF_MEMORY";
    case Code::closed: return "ERR_CLOSED";
    case Code::crashed: return "ERR_CRASHED";
    case Code::internal: break;
  }
  return "ERR_INTERNAL";
}

using Detail = std::variant<std::string, int64_t, std::vector<std::string>, std::vector<int64_t>>;

class Error : public std::exception {
 public:
  Error(Code code, std::string message, std::vector<std::pair<std::string, Detail>> details = {})
      : code(code), message(std::move(message)), details(std::move(details)) {}
  const char* what() const noexcept override { return message.c_str(); }

  Code code;
  std::string message;
  std::vector<std::pair<std::string, Detail>> details;
};

// Thrown where a job notices that it was cancelled. No Error: the caller's own reason is what the job rejects with.
struct Cancelled {};

}  // namespace sdxl
