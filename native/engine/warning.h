// What a caller should know although the call succeeds.
#pragma once

#include <string>

namespace sdxl::engine {

struct Warning {
  std::string code, message;
  bool operator==(const Warning&) const = default;
};

}  // namespace sdxl::engine
