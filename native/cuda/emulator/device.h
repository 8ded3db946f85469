// kernels/device.h for the emulator: the same functions with the same fragment layouts, every access checked.
#pragma once

#include <cmath>
#include <cstring>

#include "core/dtype.h"
#include "cuda/emulator/block.h"
#include "cuda/emulator/registry.h"
#include "cuda/kernels/types.h"

#define __device__
#define __forceinline__ inline
#define threadIdx (sdxl::emulator::Dim3{sdxl::emulator::block->current->index, 0, 0})
#define blockIdx (sdxl::emulator::block->block_index)
#define blockDim (sdxl::emulator::Dim3{sdxl::emulator::block->threads, 1, 1})
#define gridDim (sdxl::emulator::block->grid)

#define SDXL_KERNEL(name, threads, blocks, Parameters, ...)                       \
  extern "C" void name(const Parameters& parameters) { __VA_ARGS__(parameters); } \
  [[maybe_unused]] static const sdxl::emulator::Register register_##name(         \
      {#name, threads, sizeof(Parameters), [](const void* p) { name(*static_cast<const Parameters*>(p)); }});

namespace sdxl::cuda::device {

inline char* shared_memory() { return emulator::block->shared->data(); }

template <class T>
T load(const T* p) {
  emulator::check_read(p, sizeof(T));
  return *p;
}
template <class T>
void store(T* p, T value) {
  emulator::check_write(p, sizeof(T));
  *p = value;
}
template <class T>
T load_constant(const T* p) {
  return load(p);
}
template <class T>
T atomic_add(T* p, T value) {
  emulator::check_atomic(p, sizeof(T));
  const T before = *p;
  *p += value;
  return before;
}
inline uint32_t atomic_max(uint32_t* p, uint32_t value) {
  emulator::check_atomic(p, sizeof(uint32_t));
  const uint32_t before = *p;
  *p = std::max(before, value);
  return before;
}

inline void sync_block() { emulator::sync_block(); }
inline void sync_warp() {
  emulator::warp_operation("sync_warp", [](emulator::Warp& w) { ++w.era; });
}

// Every lane gives x and gets that of the lane that `source` names.
template <class T, class F>
T exchange(const char* name, T x, F source) {
  static_assert(sizeof(T) == 4);
  const int lane = emulator::block->lane(), lanes = emulator::block->lanes();
  std::memcpy(emulator::block->warp().in[lane], &x, sizeof x);
  emulator::warp_operation(name, [lanes](emulator::Warp& w) {
    for (int l = 0; l < lanes; ++l) w.out[l][0] = w.in[l][0];
  });
  const int from = source(lane);
  if (from >= 0 && from < lanes) std::memcpy(&x, emulator::block->warp().out[from], sizeof x);
  return x;
}
template <class T>
T shuffle(T x, int lane) {
  return exchange("shuffle", x, [lane](int) { return lane % emulator::kWarp; });
}
template <class T>
T shuffle_xor(T x, int mask) {
  return exchange("shuffle_xor", x, [mask](int lane) { return lane ^ mask; });
}
template <class T>
T shuffle_down(T x, int distance) {
  return exchange("shuffle_down", x, [distance](int lane) { return lane + distance; });
}
inline uint32_t ballot(bool x) {
  const int lane = emulator::block->lane(), lanes = emulator::block->lanes();
  emulator::block->warp().in[lane][0] = x;
  emulator::warp_operation("ballot", [lanes](emulator::Warp& w) {
    uint32_t votes = 0;
    for (int l = 0; l < lanes; ++l) votes |= w.in[l][0] << l;
    for (int l = 0; l < lanes; ++l) w.out[l][0] = votes;
  });
  return emulator::block->warp().out[lane][0];
}
inline bool any(bool x) { return ballot(x) != 0; }
inline bool all(bool x) { return ballot(!x) == 0; }

inline void copy16(void* to, const void* from, bool valid = true) { emulator::begin_copy(to, valid ? from : nullptr); }
inline void commit_copies() { emulator::block->current->copies.emplace_back(); }
template <int kPending>
void wait_copies() {
  emulator::wait_copies(kPending);
}

template <int kCount>
void load_matrices_as(const char* name, uint32_t (&r)[kCount], const void* row, bool transposed) {
  const int lane = emulator::block->lane();
  emulator::block->warp().address[lane] = static_cast<const char*>(row);
  emulator::warp_operation(name, [transposed](emulator::Warp& w) {
    for (int i = 0; i < kCount; ++i) {
      emulator::check_matrix(w.address, 8 * i);
      for (int l = 0; l < emulator::kWarp; ++l)
        if (transposed) {
          uint16_t pair[2];
          for (int e = 0; e < 2; ++e) std::memcpy(&pair[e], w.address[8 * i + 2 * (l % 4) + e] + 2 * (l / 4), 2);
          std::memcpy(&w.out[l][i], pair, 4);
        } else {
          std::memcpy(&w.out[l][i], w.address[8 * i + l / 4] + 4 * (l % 4), 4);
        }
    }
  });
  for (int i = 0; i < kCount; ++i) r[i] = emulator::block->warp().out[lane][i];
}
inline void load_matrices(uint32_t (&r)[4], const void* row) { load_matrices_as("load_matrices", r, row, false); }
inline void load_matrices(uint32_t (&r)[2], const void* row) { load_matrices_as("load two matrices", r, row, false); }
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) { load_matrices_as("load_matrices_transposed", r, row, true); }

inline float to_float(float x) { return x; }
inline float to_float(bf16 x) { return bf16_to_f32(x.bits); }
inline float to_float(f16 x) { return f16_to_f32(x.bits); }
template <class T>
T from_float(float x);
template <>
inline float from_float<float>(float x) {
  return x;
}
template <>
inline bf16 from_float<bf16>(float x) {
  return {f32_to_bf16(x)};
}
template <>
inline f16 from_float<f16>(float x) {
  return {f32_to_f16(x)};
}
template <class T>
uint32_t pack(float low, float high) {
  return from_float<T>(low).bits | uint32_t(from_float<T>(high).bits) << 16;
}
template <class T>
float low(uint32_t pair) {
  return to_float(T{uint16_t(pair)});
}
template <class T>
float high(uint32_t pair) {
  return to_float(T{uint16_t(pair >> 16)});
}

template <class T>
void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulator::Warp& own = emulator::block->warp();
  const int lane = emulator::block->lane();
  std::memcpy(own.in[lane], c, 16);
  std::memcpy(own.in[lane] + 4, a, 16);
  own.in[lane][8] = b0;
  own.in[lane][9] = b1;
  emulator::warp_operation("mma", [](emulator::Warp& w) {
    float left[16][16], right[16][8];  // [row][k], [k][column]
    for (int l = 0; l < emulator::kWarp; ++l) {
      const int row = l / 4, k = 2 * (l % 4);
      for (int i = 0; i < 4; ++i) {
        left[row + 8 * (i % 2)][k + 8 * (i / 2)] = low<T>(w.in[l][4 + i]);
        left[row + 8 * (i % 2)][k + 8 * (i / 2) + 1] = high<T>(w.in[l][4 + i]);
      }
      for (int i = 0; i < 2; ++i) {
        right[k + 8 * i][row] = low<T>(w.in[l][8 + i]);
        right[k + 8 * i + 1][row] = high<T>(w.in[l][8 + i]);
      }
    }
    for (int row = 0; row < 16; ++row) {
      float sums[8] = {};
      for (int k = 0; k < 16; ++k)
        for (int column = 0; column < 8; ++column) sums[column] += left[row][k] * right[k][column];
      for (int column = 0; column < 8; ++column) {
        const int l = row % 8 * 4 + column / 2, e = row / 8 * 2 + column % 2;
        float before;
        std::memcpy(&before, &w.in[l][e], 4);
        before += sums[column];
        std::memcpy(&w.out[l][e], &before, 4);
      }
    }
  });
  std::memcpy(c, own.out[lane], 16);
}

inline float exp2(float x) { return std::exp2(x); }
inline float exp(float x) { return std::exp(x); }
inline float erf(float x) { return std::erf(x); }
inline float cos(float x) { return std::cos(x); }
inline float sin(float x) { return std::sin(x); }
inline float log(float x) { return std::log(x); }
inline float sqrt(float x) { return std::sqrt(x); }
inline float reciprocal(float x) { return 1 / x; }
inline float maximum(float a, float b) { return std::fmax(a, b); }
inline float minimum(float a, float b) { return std::fmin(a, b); }

}  // namespace sdxl::cuda::device
