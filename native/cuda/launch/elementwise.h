// Launches of what treats every element on its own or puts it elsewhere.
#pragma once

#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "cuda/launch/launch.h"

namespace sdxl::cuda {

enum class Function { silu, gelu, quick_gelu, relu };

struct Activate {
  Element element;
  const void* x;
  void* y;  // may be x itself
  int64_t count;
  Function function;
};
Launch launch_of(const Activate& op);

// y = value · gelu(gate)
struct Geglu {
  Element element;
  const void* x;  // [rows, 2 · width]: values, then gates
  void* y;        // [rows, width]
  int64_t rows, width;
};
Launch launch_of(const Geglu& op);

// Throws Error(internal) for a pair of formats that is never wanted; see kernels/convert.cu.
struct Convert {
  DType from, to;
  const void* x;
  void* y;
  int64_t count;
};
Launch launch_of(const Convert& op);

// Rows of 16-bit elements, zeros behind the columns that x has: what matrix products read, whose channels come in eights.
// Throws Error(internal) for other formats than f32, f16 and bf16, and where padded < width.
struct Narrow {
  DType from;
  Element to;
  const void* x;  // [rows, width]
  void* y;        // [rows, padded]
  int64_t rows, width, padded;
};
Launch launch_of(const Narrow& op);

// fp32, between [images, channels, pixels] and [images, pixels, channels].
struct Transpose {
  bool channels_last;  // the order of y
  const float* x;
  float* y;
  int64_t images, pixels, channels;
};
Launch launch_of(const Transpose& op);

// 16-bit elements; see ops/concat.h.
struct Concat {
  const void* a;  // [rows, a_width]
  const void* b;  // [rows, b_width]
  void* y;        // [rows, a_width + b_width]
  int64_t rows, a_width, b_width;
};
Launch launch_of(const Concat& op);

// See ops/embedding.h.
struct Embedding {
  Element element;
  DType table_type;        // f32, f16 or bf16
  const int32_t* ids;      // [batch, length]
  const void* table;       // [vocabulary, width]
  const float* positions;  // [length, width]
  void* y;                 // [batch, length, width]
  int64_t batch, length, width;
};
Launch launch_of(const Embedding& op);

// See ops/sinusoid.h. The values travel with the launch.
struct Sinusoid {
  DType type;                 // of y: f32, f16 or bf16
  std::vector<float> values;  // [count]
  void* y;                    // [count, width], width even
  int64_t width;
};
std::vector<Launch> launches_of(const Sinusoid& op);

}  // namespace sdxl::cuda
