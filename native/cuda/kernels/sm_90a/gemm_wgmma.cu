// gemm.cu for sm_90a. Blocks stay and take tile after tile. One warp keeps the copy engine busy filling a ring of shared memory buffers,
// two warpgroups multiply straight from there, each 64 rows of the tile; while they write one tile, the next is already coming.
#include "../device_sm90.h"
#include "../matrix_product.h"
#include "../wgmma_parameters.h"

namespace sdxl::cuda {

namespace {

constexpr int kWgmmaThreads = 384;  // copying, multiplying, multiplying
constexpr int kWgmmaRows = 128, kGroupRows = 64;
constexpr int kMultiplyingWarps = 8;
constexpr int kStripColumns = 32, kStrip = kStripColumns + 8;  // of a warp's way out, in fp32; see matrix_product.h

struct Position {
  int row, column;
};
__device__ __forceinline__ Position position_of(const MatrixParameters& p, int tile, int columns) {
  const int per_panel = kPanel * p.column_tiles, first = tile / per_panel * kPanel;
  const int left = p.row_tiles - first, height = left < kPanel ? left : kPanel;
  return {(first + tile % per_panel % height) * kWgmmaRows, tile % per_panel / height * columns};
}

template <class T, int kColumns, int kStages>
__device__ __forceinline__ void gemm_wgmma(const WgmmaParameters& p) {
  constexpr int kStage = (kWgmmaRows + kColumns) * kDepth;
  T* ring = reinterpret_cast<T*>(device::shared_memory());
  float* strips = reinterpret_cast<float*>(ring + kStages * kStage);
  uint64_t* full = reinterpret_cast<uint64_t*>(strips + kMultiplyingWarps * 16 * kStrip);
  uint64_t* empty = full + kStages;
  const MatrixParameters& m = p.matrix;
  const int tiles = m.row_tiles * m.column_tiles, rounds = p.rounds[0] + p.rounds[1];
  const int warp = device::warp(), lane = device::lane();

  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      device::init_barrier(full + i, 1);
      device::init_barrier(empty + i, kMultiplyingWarps);
    }
    device::publish_barriers();
  }
  device::sync_block();

  int stage = 0, phase = 0;
  const auto advance = [&] {
    if (++stage == kStages) {
      stage = 0;
      phase ^= 1;
    }
  };
  if (warp < 4) {
    device::give_registers<40>();
    if (threadIdx.x == 0) {
      for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const Position at = position_of(m, tile, kColumns);
        for (int round = 0; round < rounds; ++round) {
          const int segment = round < p.rounds[0] ? 0 : 1, k = (round - (segment ? p.rounds[0] : 0)) * kDepth;
          device::wait_barrier(empty + stage, phase ^ 1);
          device::arrive_expecting(full + stage, kStage * int(sizeof(T)));
          device::copy_tile(ring + stage * kStage, &p.x[segment], full + stage, k, at.row);
          device::copy_tile(ring + stage * kStage + kWgmmaRows * kDepth, &p.w[segment], full + stage, k, at.column);
          advance();
        }
      }
    }
  } else {
    device::take_registers<232>();
    const int group = warp / 4 - 1;
    float* strip = strips + (warp - 4) * 16 * kStrip;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      const Position at = position_of(m, tile, kColumns);
      float sums[kColumns / 2];
      int last = 0;
      for (int round = 0; round < rounds; ++round) {
        device::wait_barrier(full + stage, phase);
        const uint64_t a = device::descriptor(ring + stage * kStage + group * kGroupRows * kDepth);
        const uint64_t b = device::descriptor(ring + stage * kStage + kWgmmaRows * kDepth);
        device::begin_wgmma();
#pragma unroll
        for (int step = 0; step < kDepth / 16; ++step) device::wgmma<T, kColumns>(sums, a + 2 * step, b + 2 * step, round + step > 0);
        device::commit_wgmma();
        device::wait_wgmma<1>();  // the round before has been read
        if (round > 0 && lane == 0) device::arrive(empty + last);
        last = stage;
        advance();
      }
      device::wait_wgmma<0>();
      if (lane == 0) device::arrive(empty + last);

      const int row0 = at.row + group * kGroupRows + warp % 4 * 16;
#pragma unroll
      for (int first = 0; first < kColumns; first += kStripColumns) {
#pragma unroll
        for (int n = 0; n < kStripColumns / 8; ++n)
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const int i = (first / 8 + n) * 4 + 2 * half;
            device::store(reinterpret_cast<float2*>(strip + (lane / 4 + 8 * half) * kStrip + 8 * n + 2 * (lane % 4)), float2{sums[i], sums[i + 1]});
          }
        device::sync_warp();
#pragma unroll 1
        for (int i = lane; i < 16 * kStripColumns / 8; i += 32) {
          const int line = i / (kStripColumns / 8), within = i % (kStripColumns / 8) * 8;
          const int row = row0 + line, column = at.column + first + within;
          if (row >= m.rows || column >= m.columns) continue;
          const float4 low = device::load(reinterpret_cast<const float4*>(strip + line * kStrip + within));
          const float4 high = device::load(reinterpret_cast<const float4*>(strip + line * kStrip + within + 4));
          float v[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
          write_vector<T>(m, v, row, column);
        }
        device::sync_warp();
      }
    }
  }
}

}  // namespace

#define SDXL_WGMMA_KERNELS(columns, stages)                                                                    \
  SDXL_KERNEL(gemm_wgmma_bf16_128x##columns, kWgmmaThreads, 1, WgmmaParameters, gemm_wgmma<bf16, columns, stages>) \
  SDXL_KERNEL(gemm_wgmma_fp16_128x##columns, kWgmmaThreads, 1, WgmmaParameters, gemm_wgmma<f16, columns, stages>)

SDXL_WGMMA_KERNELS(128, 6)
SDXL_WGMMA_KERNELS(160, 5)
SDXL_WGMMA_KERNELS(256, 4)

}  // namespace sdxl::cuda
