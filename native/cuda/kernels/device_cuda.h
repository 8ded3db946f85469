// kernels/device.h for the hardware. PTX ISA 8.x; fragment layouts: "Matrix fragments for mma.m16n8k16".
#pragma once

#include "types.h"

#define SDXL_KERNEL(name, threads, blocks, Parameters, ...) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Parameters parameters) { __VA_ARGS__(parameters); }

namespace sdxl::cuda::device {

// Shared memory of the block, aligned to 1024 bytes.
__device__ __forceinline__ char* shared_memory() {
  extern __shared__ __align__(1024) char sdxl_shared_memory[];
  return sdxl_shared_memory;
}
__device__ __forceinline__ uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// One value of 1, 2, 4, 8 or 16 bytes, global or shared, aligned to its size.
template <class T>
__device__ __forceinline__ T load(const T* p) {
  return *p;
}
template <class T>
__device__ __forceinline__ void store(T* p, T value) {
  *p = value;
}
// The same from global memory that no thread writes during this kernel.
template <class T>
__device__ __forceinline__ T load_constant(const T* p) {
  return __ldg(p);
}
__device__ __forceinline__ float atomic_add(float* p, float value) { return atomicAdd(p, value); }
__device__ __forceinline__ uint32_t atomic_add(uint32_t* p, uint32_t value) { return atomicAdd(p, value); }
__device__ __forceinline__ uint32_t atomic_max(uint32_t* p, uint32_t value) { return atomicMax(p, value); }

__device__ __forceinline__ void sync_block() { __syncthreads(); }
__device__ __forceinline__ void sync_warp() { __syncwarp(); }
template <class T>
__device__ __forceinline__ T shuffle(T x, int lane) {
  return __shfl_sync(0xFFFFFFFF, x, lane);
}
template <class T>
__device__ __forceinline__ T shuffle_xor(T x, int mask) {
  return __shfl_xor_sync(0xFFFFFFFF, x, mask);
}
template <class T>
__device__ __forceinline__ T shuffle_down(T x, int distance) {
  return __shfl_down_sync(0xFFFFFFFF, x, distance);
}
__device__ __forceinline__ bool any(bool x) { return __any_sync(0xFFFFFFFF, x); }
__device__ __forceinline__ bool all(bool x) { return __all_sync(0xFFFFFFFF, x); }
__device__ __forceinline__ uint32_t ballot(bool x) { return __ballot_sync(0xFFFFFFFF, x); }

// 16 bytes from global to shared memory, zeros where !valid. They are there after wait_copies in the thread that copied and, for the
// others, a barrier behind it.
__device__ __forceinline__ void copy16(void* to, const void* from, bool valid = true) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;\n" ::"r"(shared_address(to)), "l"(from), "r"(valid ? 16 : 0) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
// Until at most kPending of the committed groups are under way.
template <int kPending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

// Four 8×8 matrices of 16-bit elements; lane 8·i + r gives the address of row r of matrix i. Lane l gets elements 2·(l % 4) and
// 2·(l % 4) + 1 of row l / 4 of each; transposed, of column l / 4.
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
// Two of them; lanes 0 … 15 give addresses.
__device__ __forceinline__ void load_matrices(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];\n" : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}

// c[16×8] += a[16×16] · b[16×8]. Lane l holds of c rows l / 4 and l / 4 + 8, columns 2·(l % 4) and the next.
template <class T>
__device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <>
__device__ __forceinline__ void mma<bf16>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ __forceinline__ void mma<f16>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two values in one register, the first in the lower half. Rounded to nearest even.
template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high);
template <>
__device__ __forceinline__ uint32_t pack<bf16>(float low, float high) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
template <>
__device__ __forceinline__ uint32_t pack<f16>(float low, float high) {
  uint32_t r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;\n" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
template <class T>
__device__ __forceinline__ T from_float(float x) {
  return {static_cast<uint16_t>(pack<T>(x, 0))};
}
template <>
__device__ __forceinline__ float from_float(float x) {
  return x;
}
__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }
__device__ __forceinline__ float to_float(f16 x) {
  float r;
  asm("cvt.f32.f16 %0, %1;\n" : "=f"(r) : "h"(x.bits));
  return r;
}
template <class T>
__device__ __forceinline__ float low(uint32_t pair) {
  return to_float(T{static_cast<uint16_t>(pair)});
}
template <class T>
__device__ __forceinline__ float high(uint32_t pair) {
  return to_float(T{static_cast<uint16_t>(pair >> 16)});
}

__device__ __forceinline__ float exp2(float x) {  // flushes subnormals
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(r) : "f"(x));
  return r;
}
__device__ __forceinline__ float exp(float x) { return exp2(x * 1.44269504f); }
__device__ __forceinline__ float erf(float x) { return erff(x); }
__device__ __forceinline__ float cos(float x) { return cosf(x); }
__device__ __forceinline__ float sin(float x) { return sinf(x); }
__device__ __forceinline__ float log(float x) { return logf(x); }
__device__ __forceinline__ float sqrt(float x) { return __fsqrt_rn(x); }
// 1 / x within two units in the last place; 0 for infinity.
__device__ __forceinline__ float reciprocal(float x) {
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;\n" : "=f"(r) : "f"(x));
  return r;
}
__device__ __forceinline__ float maximum(float a, float b) { return fmaxf(a, b); }
__device__ __forceinline__ float minimum(float a, float b) { return fminf(a, b); }

}  // namespace sdxl::cuda::device
