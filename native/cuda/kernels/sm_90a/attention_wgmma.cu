// attention.cu for sm_90a and heads of 64 elements. One warp has the copy engine bring q and then tile after tile of k and v; two
// warpgroups own 64 rows each. The scores of the next tile are multiplied first, so that their exponentials overlap with the product of
// this tile's probabilities and v (Shah et al. 2024, FlashAttention-3).
#include "../attention_wgmma_parameters.h"
#include "../device_sm90.h"
#include "../swizzle.h"

namespace sdxl::cuda {

namespace {

constexpr int kThreads = 384;  // copying, multiplying, multiplying
constexpr int kGroupRows = 64, kRows = 128, kKeys = 128, kStages = 2;
constexpr int kTileOfKeys = kKeys * kDepth;  // elements

template <class T>
__device__ __forceinline__ void attention_wgmma(const AttentionWgmmaParameters& parameters) {
  constexpr float kNone = -1e30f, kHidden = -3e38f;  // as in attention.cu
  const AttentionParameters& p = parameters.attention;
  T* q = reinterpret_cast<T*>(device::shared_memory());  // [128][64]
  T* keys = q + kRows * kDepth;                          // [stages][128][64]
  T* values = keys + kStages * kTileOfKeys;              // the same
  uint64_t* q_full = reinterpret_cast<uint64_t*>(values + kStages * kTileOfKeys);
  uint64_t *k_full = q_full + 1, *k_empty = k_full + kStages, *v_full = k_empty + kStages, *v_empty = v_full + kStages;
  const int warp = device::warp(), lane = device::lane();
  const int row0 = blockIdx.x * kRows, head = blockIdx.y, item = blockIdx.z, kv_item = int(int64_t(item) * p.kv_batch / p.batch);
  const int tiles = (p.keys + kKeys - 1) / kKeys;

  if (threadIdx.x == 0) {
    device::init_barrier(q_full, 1);
    for (int i = 0; i < kStages; ++i) {
      device::init_barrier(k_full + i, 1);
      device::init_barrier(k_empty + i, 8);
      device::init_barrier(v_full + i, 1);
      device::init_barrier(v_empty + i, 8);
    }
    device::publish_barriers();
  }
  device::sync_block();

  if (warp < 4) {
    device::give_registers<40>();
    if (threadIdx.x == 0) {
      device::arrive_expecting(q_full, kRows * kDepth * int(sizeof(T)));
      device::copy_tile(q, &parameters.q, q_full, 0, head, row0, item);
      for (int tile = 0; tile < tiles; ++tile) {
        const int stage = tile % kStages, phase = tile / kStages & 1;
        device::wait_barrier(k_empty + stage, phase ^ 1);
        device::arrive_expecting(k_full + stage, kTileOfKeys * int(sizeof(T)));
        device::copy_tile(keys + stage * kTileOfKeys, &parameters.k, k_full + stage, 0, head, tile * kKeys, kv_item);
        device::wait_barrier(v_empty + stage, phase ^ 1);
        device::arrive_expecting(v_full + stage, kTileOfKeys * int(sizeof(T)));
        device::copy_tile(values + stage * kTileOfKeys, &parameters.v, v_full + stage, 0, head, tile * kKeys, kv_item);
      }
    }
  } else {
    device::take_registers<232>();
    const int group = warp / 4 - 1;
    float s[kKeys / 2], y[kDepth / 2] = {}, top[2] = {kNone, kNone}, sum[2] = {}, shrink[2];
    uint32_t probabilities[kKeys / 16][4];

    const auto multiply_scores = [&](int tile) {
      const uint64_t a = device::descriptor(q + group * kGroupRows * kDepth), b = device::descriptor(keys + tile % kStages * kTileOfKeys);
      device::wait_barrier(k_full + tile % kStages, tile / kStages & 1);
      device::begin_wgmma();
#pragma unroll
      for (int step = 0; step < kDepth / 16; ++step) device::wgmma<T, kKeys>(s, a + 2 * step, b + 2 * step, step > 0);
      device::commit_wgmma();
    };
    // Scores to exponentials, less the row's maximum so far; by how much that shrinks what was before.
    const auto exponentiate = [&](int tile) {
      if ((tile + 1) * kKeys > p.keys) {
#pragma unroll
        for (int i = 0; i < kKeys / 2; ++i)
          if (tile * kKeys + i / 4 * 8 + 2 * (lane % 4) + i % 2 >= p.keys) s[i] = kHidden;
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float highest = top[h];
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n) highest = device::maximum(highest, device::maximum(s[4 * n + 2 * h], s[4 * n + 2 * h + 1]));
        highest = device::maximum(highest, device::shuffle_xor(highest, 1));
        highest = device::maximum(highest, device::shuffle_xor(highest, 2));
        shrink[h] = device::exp2((top[h] - highest) * p.scale);
        const float offset = highest * p.scale;
        top[h] = highest;
        sum[h] *= shrink[h];
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
          for (int i = 4 * n + 2 * h; i < 4 * n + 2 * h + 2; ++i) {
            s[i] = device::exp2(s[i] * p.scale - offset);
            sum[h] += s[i];
          }
      }
    };
    const auto pack_probabilities = [&] {
#pragma unroll
      for (int i = 0; i < kKeys / 16; ++i)
#pragma unroll
        for (int e = 0; e < 4; ++e) probabilities[i][e] = device::pack<T>(s[8 * i + 2 * e], s[8 * i + 2 * e + 1]);
    };

    const auto multiply_values = [&](int tile) {
      const uint64_t b = device::descriptor(values + tile % kStages * kTileOfKeys);
      device::wait_barrier(v_full + tile % kStages, tile / kStages & 1);
      device::begin_wgmma();
#pragma unroll
      for (int i = 0; i < kKeys / 16; ++i) device::wgmma_registers<T>(y, probabilities[i], b + 128 * i);
      device::commit_wgmma();
    };

    device::wait_barrier(q_full, 0);
    multiply_scores(0);
    device::wait_wgmma<0>();
    if (lane == 0) device::arrive(k_empty);
    exponentiate(0);
    pack_probabilities();
    for (int tile = 0; tile + 1 < tiles; ++tile) {
      multiply_scores(tile + 1);
      multiply_values(tile);
      device::wait_wgmma<1>();  // the scores
      if (lane == 0) device::arrive(k_empty + (tile + 1) % kStages);
      exponentiate(tile + 1);
      device::wait_wgmma<0>();
      if (lane == 0) device::arrive(v_empty + tile % kStages);
#pragma unroll
      for (int i = 0; i < kDepth / 2; ++i) y[i] *= shrink[i / 2 % 2];
      pack_probabilities();
    }
    multiply_values(tiles - 1);
    device::wait_wgmma<0>();

#pragma unroll
    for (int h = 0; h < 2; ++h) {
      sum[h] += device::shuffle_xor(sum[h], 1);
      sum[h] += device::shuffle_xor(sum[h], 2);
      const float over = device::reciprocal(sum[h]);
      const int row = row0 + group * kGroupRows + warp % 4 * 16 + lane / 4 + 8 * h;
      if (row >= p.queries) continue;
      T* to = static_cast<T*>(p.y) + (int64_t(item) * p.queries + row) * p.y_stride + head * kDepth + 2 * (lane % 4);
#pragma unroll
      for (int n = 0; n < kDepth / 8; ++n)
        device::store(reinterpret_cast<uint32_t*>(to + 8 * n), device::pack<T>(y[4 * n + 2 * h] * over, y[4 * n + 2 * h + 1] * over));
    }
  }
}

}  // namespace

SDXL_KERNEL(attention_wgmma_bf16, kThreads, 1, AttentionWgmmaParameters, attention_wgmma<bf16>)
SDXL_KERNEL(attention_wgmma_fp16, kThreads, 1, AttentionWgmmaParameters, attention_wgmma<f16>)

}  // namespace sdxl::cuda
