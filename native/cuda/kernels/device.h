// What kernels may use of the hardware: as PTX here, as ordinary functions in the emulator. No other file knows PTX.
//
// Kernels keep to three rules, so that the emulator sees everything:
//  - global and shared memory are read and written through load, store, copy16, load_matrices and the atomics;
//  - shared memory is dynamic: shared_memory(), its size computed by the launch;
//  - every lane of a warp takes part in a warp's operation.
// SDXL_KERNEL(name, threads, blocks, Parameters, body) makes a kernel that calls body(parameters): blocks of so many threads, at least
// so many of them per multiprocessor. Its one parameter is a struct that host and device share.
#pragma once

#include "types.h"

#ifdef __CUDACC__
#include "device_cuda.h"
#else
#include "cuda/emulator/device.h"
#endif

namespace sdxl::cuda::device {

constexpr int kWarp = 32;

__device__ __forceinline__ int lane() { return int(threadIdx.x % kWarp); }
__device__ __forceinline__ int warp() { return int(threadIdx.x / kWarp); }

// Sums and maxima over a warp; every lane gets the result. The order is the same in every lane and on every chip.
__device__ __forceinline__ float warp_sum(float x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) x += shuffle_xor(x, distance);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) x = maximum(x, shuffle_xor(x, distance));
  return x;
}

__device__ __forceinline__ float sigmoid(float x) { return reciprocal(1 + exp(-x)); }
__device__ __forceinline__ float silu(float x) { return x * sigmoid(x); }
__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1 + erf(x * 0.70710678f)); }
__device__ __forceinline__ float quick_gelu(float x) { return x * sigmoid(1.702f * x); }
__device__ __forceinline__ float relu(float x) { return x < 0 ? 0 : x; }  // keeps NaN, which a maximum would hide

}  // namespace sdxl::cuda::device
