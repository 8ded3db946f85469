// Attention for heads of up to 64 elements, in one pass over the keys with a running maximum (Dao 2023, FlashAttention-2). A warp owns
// whole rows: scores become probabilities in the registers that hold them and go on as the left side of the second product.
#include "attention_parameters.h"
#include "device.h"
#include "swizzle.h"

namespace sdxl::cuda {

namespace {

constexpr int kAttentionThreads = 128;
constexpr int kAttentionStages = 2;

// Keys that a row may see.
struct Visible {
  int count;  // keys 0 … count − 1, less by `causal` and `hidden`
  bool causal;
  const uint8_t* hidden;  // of this item, or null

  __device__ __forceinline__ bool operator()(int row, int key) const {
    return key < count && (!causal || key <= row) && !(hidden && key < count && device::load_constant(hidden + key));
  }
};

// A block makes 64 · kBlocks rows of one head, kKeys keys at a time.
template <class T, int kBlocks, int kKeys, bool kMasked>
__device__ __forceinline__ void attention(const AttentionParameters& p) {
  constexpr int kRows = 64 * kBlocks, kWarpRows = 16 * kBlocks, kN = kKeys / 8, kStep = kAttentionThreads / kChunks;
  constexpr float kNone = -1e30f;    // a maximum of nothing: infinity would make NaN of differences
  constexpr float kHidden = -3e38f;  // far enough below kNone that its exponential is 0
  const int thread = threadIdx.x, lane = device::lane(), warp_row = device::warp() * kWarpRows;
  const int row0 = blockIdx.x * kRows, head = blockIdx.y, item = blockIdx.z, kv_item = int(int64_t(item) * p.kv_batch / p.batch);

  T* q = reinterpret_cast<T*>(device::shared_memory());  // [kRows][64], later y
  T* ring = q + kRows * kDepth;                          // [stages][k, v][kKeys][64]
  const int chunk = thread % kChunks, line = thread / kChunks;
  const bool wide = 8 * chunk < p.width;
  const int64_t first = int64_t(head) * p.width + (wide ? 8 * chunk : 0);
  const T* from_q = static_cast<const T*>(p.q) + int64_t(item) * p.queries * p.q_stride + first;
  const T* from_k = static_cast<const T*>(p.k) + int64_t(kv_item) * p.keys * p.kv_stride + first;
  const T* from_v = static_cast<const T*>(p.v) + int64_t(kv_item) * p.keys * p.kv_stride + first;

  Visible visible{p.keys, false, nullptr};
  int end = p.keys;  // no row of this block sees a key from here on
  if constexpr (kMasked) {
    if (p.key_counts) visible.count = device::load_constant(p.key_counts + kv_item);
    if (visible.count > p.keys) visible.count = p.keys;
    visible.causal = p.causal;
    visible.hidden = p.hidden ? p.hidden + int64_t(kv_item) * p.keys : nullptr;
    end = visible.count;
    if (p.causal && end > row0 + kRows) end = row0 + kRows;
  }
  const int tiles = (end + kKeys - 1) / kKeys;

  const auto fetch = [&](int tile) {
    T* to = ring + tile % kAttentionStages * 2 * kKeys * kDepth + swizzled(line, chunk);
#pragma unroll
    for (int i = 0; i < kKeys / kStep; ++i) {
      const int key = tile * kKeys + line + i * kStep;
      const bool valid = wide && key < p.keys;
      const int64_t at = int64_t(valid ? key : 0) * p.kv_stride;
      device::copy16(to + i * kStep * kDepth, from_k + at, valid);
      device::copy16(to + (kKeys + i * kStep) * kDepth, from_v + at, valid);
    }
  };
#pragma unroll
  for (int i = 0; i < kRows / kStep; ++i) {
    const int row = row0 + line + i * kStep;
    const bool valid = wide && row < p.queries;
    device::copy16(q + swizzled(line, chunk) + i * kStep * kDepth, from_q + int64_t(valid ? row : 0) * p.q_stride, valid);
  }
  if (tiles > 0) fetch(0);
  device::commit_copies();
  device::wait_copies<0>();
  device::sync_block();

  const auto load_q = [&](uint32_t(&fragment)[4], int m, int i) {
    device::load_matrices(fragment, q + swizzled(warp_row + 16 * m + lane % 16, 2 * i + lane / 16));
  };
  // Few tiles do not repay the registers that q takes.
  constexpr bool kKeepQ = kKeys == 64;
  uint32_t kept[kKeepQ ? kBlocks : 1][kDepth / 16][4];
  if constexpr (kKeepQ) {
#pragma unroll
    for (int m = 0; m < kBlocks; ++m)
#pragma unroll
      for (int i = 0; i < kDepth / 16; ++i) load_q(kept[m][i], m, i);
  }

  float y[kBlocks][kDepth / 8][4] = {}, top[kBlocks][2], sum[kBlocks][2] = {};
#pragma unroll
  for (int m = 0; m < kBlocks; ++m) top[m][0] = top[m][1] = kNone;

  for (int tile = 0; tile < tiles; ++tile) {
    if (tile > 0) {
      device::wait_copies<0>();
      device::sync_block();  // the tile is there for all, and all have left the one before
    }
    if (tile + 1 < tiles) fetch(tile + 1);
    device::commit_copies();
    const T* k = ring + tile % kAttentionStages * 2 * kKeys * kDepth;
    const T* v = k + kKeys * kDepth;

    float s[kBlocks][kN][4] = {};
#pragma unroll
    for (int i = 0; i < kDepth / 16; ++i) {
      uint32_t loaded[kBlocks][4];
      if constexpr (!kKeepQ) {
#pragma unroll
        for (int m = 0; m < kBlocks; ++m) load_q(loaded[m], m, i);
      }
#pragma unroll
      for (int n = 0; n < kN; n += 2) {
        uint32_t b[4];
        device::load_matrices(b, k + swizzled(8 * n + lane % 8 + lane / 16 * 8, 2 * i + lane / 8 % 2));
#pragma unroll
        for (int m = 0; m < kBlocks; ++m) {
          const uint32_t(&a)[4] = kKeepQ ? kept[kKeepQ ? m : 0][i] : loaded[m];
          device::mma<T>(s[m][n], a, b[0], b[1]);
          device::mma<T>(s[m][n + 1], a, b[2], b[3]);
        }
      }
    }

    if (kMasked || (tile + 1) * kKeys > p.keys) {
#pragma unroll
      for (int m = 0; m < kBlocks; ++m)
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            const int row = row0 + warp_row + 16 * m + lane / 4 + e / 2 * 8, key = tile * kKeys + 8 * n + 2 * (lane % 4) + e % 2;
            if (!visible(row, key)) s[m][n][e] = kHidden;
          }
    }

#pragma unroll
    for (int m = 0; m < kBlocks; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float highest = top[m][half];
#pragma unroll
        for (int n = 0; n < kN; ++n) highest = device::maximum(highest, device::maximum(s[m][n][2 * half], s[m][n][2 * half + 1]));
        highest = device::maximum(highest, device::shuffle_xor(highest, 1));
        highest = device::maximum(highest, device::shuffle_xor(highest, 2));
        const float shrink = device::exp2((top[m][half] - highest) * p.scale), offset = highest * p.scale;
        top[m][half] = highest;
        sum[m][half] *= shrink;
#pragma unroll
        for (int n = 0; n < kN; ++n)
#pragma unroll
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            s[m][n][e] = device::exp2(s[m][n][e] * p.scale - offset);
            sum[m][half] += s[m][n][e];
          }
#pragma unroll
        for (int n = 0; n < kDepth / 8; ++n) {
          y[m][n][2 * half] *= shrink;
          y[m][n][2 * half + 1] *= shrink;
        }
      }

#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i) {
      uint32_t a[kBlocks][4];
#pragma unroll
      for (int m = 0; m < kBlocks; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e) a[m][e] = device::pack<T>(s[m][2 * i + e / 2][e % 2 * 2], s[m][2 * i + e / 2][e % 2 * 2 + 1]);
#pragma unroll
      for (int n = 0; n < kDepth / 8; n += 2) {
        uint32_t b[4];
        device::load_matrices_transposed(b, v + swizzled(16 * i + lane % 16, n + lane / 16));
#pragma unroll
        for (int m = 0; m < kBlocks; ++m) {
          device::mma<T>(y[m][n], a[m], b[0], b[1]);
          device::mma<T>(y[m][n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  // Out through the rows of q that this warp alone has read.
  device::sync_warp();
#pragma unroll
  for (int m = 0; m < kBlocks; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = sum[m][half];
      total += device::shuffle_xor(total, 1);
      total += device::shuffle_xor(total, 2);
      const float over = total > 0 ? device::reciprocal(total) : 0;  // no visible key: 0
      const int row = warp_row + 16 * m + lane / 4 + 8 * half;
#pragma unroll
      for (int n = 0; n < kDepth / 8; ++n)
        device::store(reinterpret_cast<uint32_t*>(q + swizzled(row, n)) + lane % 4, device::pack<T>(y[m][n][2 * half] * over, y[m][n][2 * half + 1] * over));
    }
  device::sync_warp();
  for (int i = lane; i < kWarpRows * kChunks; i += 32) {
    const int row = warp_row + i / kChunks, at = i % kChunks;
    if (row0 + row >= p.queries || 8 * at >= p.width) continue;
    T* to = static_cast<T*>(p.y) + (int64_t(item) * p.queries + row0 + row) * p.y_stride + int64_t(head) * p.width + 8 * at;
    device::store(reinterpret_cast<uint4*>(to), device::load(reinterpret_cast<const uint4*>(q + swizzled(row, at))));
  }
}

}  // namespace

// Rows of a block × keys of a tile. 80 fits prompts: 77 keys in one tile, 154 in two.
#define SDXL_ATTENTION_KERNELS(name, blocks, keys, masked)                                                             \
  SDXL_KERNEL(attention_bf16_##name, kAttentionThreads, 2, AttentionParameters, attention<bf16, blocks, keys, masked>) \
  SDXL_KERNEL(attention_fp16_##name, kAttentionThreads, 2, AttentionParameters, attention<f16, blocks, keys, masked>)

SDXL_ATTENTION_KERNELS(128x64, 2, 64, false)
SDXL_ATTENTION_KERNELS(64x64, 1, 64, false)
SDXL_ATTENTION_KERNELS(128x80, 2, 80, false)
SDXL_ATTENTION_KERNELS(64x80, 1, 80, false)
SDXL_ATTENTION_KERNELS(masked_64x80, 1, 80, true)

}  // namespace sdxl::cuda
