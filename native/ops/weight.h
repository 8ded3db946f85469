// Weights on their way from a file into a backend's own layout.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/tensor.h"

namespace sdxl::ops {

// Rows of a weight matrix as a file holds them.
struct WeightRows {
  const std::byte* data;  // aligned to nothing
  DType dtype;
  int64_t rows, columns;    // as the layer means them: [out, in]
  bool transposed = false;  // the file holds [in, out]
};

// Storage in memory. `source` keeps f16 and bf16 as they are (fp8 becomes f16, exactly) and widens to fp32 in the kernels. A device that multiplies
// in bf16 does so with what is asked for in bf16.
enum class Storage { source, f32, f16, bf16 };

struct PackLinear {
  std::vector<WeightRows> parts = {};  // one below the other, columns alike: q, k and v become one matrix
  bool geglu = false;                  // the rows are values, then gates; see ops::Linear
  Storage storage = Storage::source;
};

struct PackConv2d {
  WeightRows weight;  // [out, in · height · width], the file's order
  int64_t in, height, width;
  Storage storage = Storage::source;
};

// What a backend made of it. The backend that packed it is the only one that can read it.
class Packed {
 public:
  virtual ~Packed() = default;
  virtual int64_t bytes() const = 0;  // of memory, the device's or the host's
};
using PackedPtr = std::unique_ptr<Packed>;

// A low-rank addition to a weight, as LoRA learns it (Hu et al. 2021): the layer works with W + up · down. Both are null, or neither.
struct LowRank {
  const Packed* down = nullptr;  // [rank, in]; beside a convolution [rank, in, kernel height, kernel width]
  const Packed* up = nullptr;    // [out, rank], packed with geglu where W is
};

}  // namespace sdxl::ops
