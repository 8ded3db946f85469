// Attention for heads of up to 512 elements: the VAE's one head. 64 rows of one head per block; k and v stream through shared memory in
// pieces of 64 keys × 64 elements. Warps stand four by two: a row of two shares 16 rows and halves the keys of the scores, then the
// columns of y, so probabilities change hands through shared memory.
#include "attention_parameters.h"
#include "device.h"
#include "swizzle.h"

namespace sdxl::cuda {

namespace {

constexpr int kWideThreads = 256;
constexpr int kWideRows = 64, kWideKeys = 64;
constexpr int kPieces = 8;                  // most of a head
constexpr int kRing = 3;                    // pieces under way, the one in use included
constexpr int kPiece = kWideKeys * kDepth;  // elements
constexpr int kHalves = 2;

template <class T>
__device__ __forceinline__ void attention_wide(const AttentionParameters& p) {
  constexpr float kNone = -1e30f, kHidden = -3e38f;  // as in attention.cu
  constexpr int kStep = kWideThreads / kChunks;
  const int thread = threadIdx.x, lane = device::lane(), warp_row = device::warp() / kHalves * 16, half = device::warp() % kHalves;
  const int row0 = blockIdx.x * kWideRows, head = blockIdx.y, item = blockIdx.z, kv_item = int(int64_t(item) * p.kv_batch / p.batch);
  const int pieces = (p.width + kDepth - 1) / kDepth, tiles = (p.keys + kWideKeys - 1) / kWideKeys, steps = tiles * 2 * pieces;

  T* q = reinterpret_cast<T*>(device::shared_memory());                // [pieces][64][64]
  T* ring = q + pieces * kPiece;                                       // [kRing][64][64]
  T* probabilities = ring + kRing * kPiece;                            // [64 rows][64 keys]
  float* exchange = reinterpret_cast<float*>(probabilities + kPiece);  // [2][64 rows]

  const int chunk = thread % kChunks, line = thread / kChunks;
  const auto copy = [&](T* to, const void* from, int64_t batch_row, int64_t stride, int row, int rows, int piece) {
    const int column = piece * kDepth + 8 * chunk;
#pragma unroll
    for (int i = 0; i < kWideKeys / kStep; ++i) {
      const bool valid = row + line + i * kStep < rows && column < p.width;
      const int64_t at = valid ? (batch_row + row + line + i * kStep) * stride + int64_t(head) * p.width + column : 0;
      device::copy16(to + swizzled(line + i * kStep, chunk), static_cast<const T*>(from) + at, valid);
    }
  };
  // Of each tile come first the pieces of k, then those of v.
  const auto fetch = [&](int step) {
    const int tile = step / (2 * pieces), piece = step % (2 * pieces);
    const bool is_v = piece >= pieces;
    copy(ring + step % kRing * kPiece, is_v ? p.v : p.k, int64_t(kv_item) * p.keys, p.kv_stride, tile * kWideKeys, p.keys, is_v ? piece - pieces : piece);
  };
  // The piece of this step, when it is there for all; fetches a later one into the place that all have left.
  const auto next = [&](int step) {
    device::wait_copies<kRing - 2>();
    device::sync_block();
    if (step + kRing - 1 < steps) fetch(step + kRing - 1);
    device::commit_copies();
    return ring + step % kRing * kPiece;
  };

  for (int i = 0; i < pieces; ++i) copy(q + i * kPiece, p.q, int64_t(item) * p.queries, p.q_stride, row0, p.queries, i);
  for (int step = 0; step < kRing - 1; ++step) {
    if (step < steps) fetch(step);
    device::commit_copies();
  }

  float y[kPieces][4][4] = {}, top[2] = {kNone, kNone}, sum[2] = {};
  int step = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    float s[4][4] = {};  // 16 rows × 32 keys
#pragma unroll 1
    for (int piece = 0; piece < pieces; ++piece) {
      const T* k = next(step++);
#pragma unroll
      for (int i = 0; i < kDepth / 16; ++i) {
        uint32_t a[4];
        device::load_matrices(a, q + piece * kPiece + swizzled(warp_row + lane % 16, 2 * i + lane / 16));
#pragma unroll
        for (int n = 0; n < 4; n += 2) {
          uint32_t b[4];
          device::load_matrices(b, k + swizzled(32 * half + 8 * n + lane % 8 + lane / 16 * 8, 2 * i + lane / 8 % 2));
          device::mma<T>(s[n], a, b[0], b[1]);
          device::mma<T>(s[n + 1], a, b[2], b[3]);
        }
      }
    }
    if ((tile + 1) * kWideKeys > p.keys) {
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (tile * kWideKeys + 32 * half + 8 * n + 2 * (lane % 4) + e % 2 >= p.keys) s[n][e] = kHidden;
    }

    // The highest score of a row is that of both warps that share it.
    float highest[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      highest[h] = kHidden;
#pragma unroll
      for (int n = 0; n < 4; ++n) highest[h] = device::maximum(highest[h], device::maximum(s[n][2 * h], s[n][2 * h + 1]));
      highest[h] = device::maximum(highest[h], device::shuffle_xor(highest[h], 1));
      highest[h] = device::maximum(highest[h], device::shuffle_xor(highest[h], 2));
      if (lane % 4 == 0) device::store(exchange + half * kWideRows + warp_row + lane / 4 + 8 * h, highest[h]);
    }
    device::sync_block();
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = warp_row + lane / 4 + 8 * h;
      const float other = device::load(exchange + (1 - half) * kWideRows + row);
      const float now = device::maximum(top[h], device::maximum(highest[h], other));
      const float shrink = device::exp2((top[h] - now) * p.scale), offset = now * p.scale;
      top[h] = now;
      sum[h] *= shrink;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const float low = device::exp2(s[n][2 * h] * p.scale - offset), high = device::exp2(s[n][2 * h + 1] * p.scale - offset);
        sum[h] += low + high;
        device::store(reinterpret_cast<uint32_t*>(probabilities + swizzled(row, 4 * half + n)) + lane % 4, device::pack<T>(low, high));
      }
#pragma unroll
      for (int piece = 0; piece < kPieces; ++piece)
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          y[piece][n][2 * h] *= shrink;
          y[piece][n][2 * h + 1] *= shrink;
        }
    }
    device::sync_block();
    uint32_t a[kWideKeys / 16][4];
#pragma unroll
    for (int i = 0; i < kWideKeys / 16; ++i) device::load_matrices(a[i], probabilities + swizzled(warp_row + lane % 16, 2 * i + lane / 16));

#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      if (piece >= pieces) break;
      const T* v = next(step++);
#pragma unroll
      for (int i = 0; i < kWideKeys / 16; ++i)
#pragma unroll
        for (int n = 0; n < 4; n += 2) {
          uint32_t b[4];
          device::load_matrices_transposed(b, v + swizzled(16 * i + lane % 16, 4 * half + n + lane / 16));
          device::mma<T>(y[piece][n], a[i], b[0], b[1]);
          device::mma<T>(y[piece][n + 1], a[i], b[2], b[3]);
        }
    }
  }

  device::wait_copies<0>();
  device::sync_block();
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    sum[h] += device::shuffle_xor(sum[h], 1);
    sum[h] += device::shuffle_xor(sum[h], 2);
    if (lane % 4 == 0) device::store(exchange + half * kWideRows + warp_row + lane / 4 + 8 * h, sum[h]);
  }
  device::sync_block();
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int row = warp_row + lane / 4 + 8 * h;
    const float total = device::load(exchange + row) + device::load(exchange + kWideRows + row), over = total > 0 ? device::reciprocal(total) : 0;
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      if (piece >= pieces) break;
#pragma unroll
      for (int n = 0; n < 4; ++n)
        device::store(reinterpret_cast<uint32_t*>(q + piece * kPiece + swizzled(row, 4 * half + n)) + lane % 4,
                      device::pack<T>(y[piece][n][2 * h] * over, y[piece][n][2 * h + 1] * over));
    }
  }
  device::sync_block();
  for (int i = thread; i < kWideRows * pieces * kChunks; i += kWideThreads) {
    const int row = i / (pieces * kChunks), column = i % (pieces * kChunks);
    if (row0 + row >= p.queries || 8 * column >= p.width) continue;
    T* to = static_cast<T*>(p.y) + (int64_t(item) * p.queries + row0 + row) * p.y_stride + int64_t(head) * p.width + 8 * column;
    device::store(reinterpret_cast<uint4*>(to), device::load(reinterpret_cast<const uint4*>(q + column / kChunks * kPiece + swizzled(row, column % kChunks))));
  }
}

}  // namespace

SDXL_KERNEL(attention_wide_bf16, kWideThreads, 1, AttentionParameters, attention_wide<bf16>)
SDXL_KERNEL(attention_wide_fp16, kWideThreads, 1, AttentionParameters, attention_wide<f16>)

}  // namespace sdxl::cuda
