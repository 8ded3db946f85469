// Tiles in shared memory: rows of 64 elements, 128 bytes.
#pragma once

#include "device.h"

namespace sdxl::cuda {

constexpr int kDepth = 64;           // elements of a row
constexpr int kChunks = kDepth / 8;  // of 16 bytes

// Element where chunk c of row r begins. It lies at c ^ (r % 8): the eight rows of one ldmatrix then touch every bank once.
__device__ __forceinline__ int swizzled(int row, int chunk) { return row * kDepth + 8 * (chunk ^ (row & 7)); }

}  // namespace sdxl::cuda
