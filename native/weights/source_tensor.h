// A weight as a file holds it, under the name the model knows it by.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace sdxl::weights {

struct SourceTensor {
  const std::byte* data;  // inside a mapped file; aligned to nothing
  DType dtype;
  std::vector<int64_t> shape;  // as the layer means it; [out, in, …] for weights
  bool transposed = false;     // a matrix the file holds as [in, out]
  std::string file;            // path, for messages
  std::string name;            // in that file, for messages

  int64_t elements() const {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    return n;
  }
  int64_t bytes() const { return elements() * size_of(dtype); }
};

}  // namespace sdxl::weights
