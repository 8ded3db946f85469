// Names both compilers need: parameter structs are shared by a kernel and the host code that launches it.
#pragma once

#ifdef __CUDACC__
using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
using size_t = decltype(sizeof(0));
#else
#include <cstddef>
#include <cstdint>
// Vectors as the hardware moves them.
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
#endif

namespace sdxl::cuda {

// Elements of activations and weights: bits only, arithmetic happens in fp32.
struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};

}  // namespace sdxl::cuda
