// The product of gemm_wgmma.cu and conv2d_wgmma.cu. Blocks stay and take tile after tile. One warp keeps the copy engine busy filling a
// ring of shared memory buffers, two warpgroups multiply straight from there; while they write one tile, the next is already coming.
// Either both make a tile together, 64 rows each, or they take turns: one multiplies while the other writes what it has, which costs
// nothing then but needs several tiles for each block.
#pragma once

#include "../device_sm90.h"
#include "../matrix_product.h"
#include "../wgmma_parameters.h"

namespace sdxl::cuda {

constexpr int kWgmmaThreads = 384;                  // copying, multiplying, multiplying
constexpr int kWgmmaRows = 128, kWgmmaHeight = 64;  // of a tile, of one wgmma
constexpr int kMultiplyingWarps = 8;
constexpr int kStripColumns = 32, kStrip = kStripColumns + 8;  // of a warp's way out, in fp32; see matrix_product.h

struct TilePlace {
  int row_tile, column;
  int x, y, image;       // of a box's first pixel
  int phase_x, phase_y;  // where upsampling: which of the 2×2 pixels that y has for each of the box
};
template <bool kPixels>
__device__ __forceinline__ TilePlace place_of(const WgmmaParameters& p, int tile, int columns) {
  const MatrixParameters& m = p.matrix;
  const int per_panel = kPanel * m.column_tiles, first = tile / per_panel * kPanel;
  const int left = m.row_tiles - first, height = left < kPanel ? left : kPanel;
  TilePlace at{first + tile % per_panel % height, tile % per_panel / height * columns, 0, 0, 0, 0, 0};
  if constexpr (kPixels) {
    int box = at.row_tile;
    if (m.picture.shift) {
      at.phase_x = box % 2;
      at.phase_y = box / 2 % 2;
      box /= 4;
    }
    at.x = box % p.boxes_x << p.box_shift;
    at.y = box / p.boxes_x % p.boxes_y * (kWgmmaRows >> p.box_shift);
    at.image = box / p.boxes_x / p.boxes_y;
  }
  return at;
}

// Row of y of a tile's line, or −1 beyond the edge.
template <bool kPixels>
__device__ __forceinline__ int row_of(const WgmmaParameters& p, const TilePlace& at, int line) {
  if constexpr (kPixels) {
    const Picture& g = p.matrix.picture;
    const int x = ((at.x + (line & ((1 << p.box_shift) - 1))) << g.shift) + at.phase_x, y = ((at.y + (line >> p.box_shift)) << g.shift) + at.phase_y;
    return x < g.y_width && y < g.y_height ? (at.image * g.y_height + y) * g.y_width + x : -1;
  } else {
    const int row = at.row_tile * kWgmmaRows + line;
    return row < p.matrix.rows ? row : -1;
  }
}

template <class T, int kColumns, int kStages, bool kPixels, bool kTurns>
__device__ __forceinline__ void wgmma_product(const WgmmaParameters& p) {
  constexpr int kStage = (kWgmmaRows + kColumns) * kDepth;
  constexpr int kHalves = kTurns ? 2 : 1;  // that a group makes of a tile
  T* ring = reinterpret_cast<T*>(device::shared_memory());
  float* strips = reinterpret_cast<float*>(ring + kStages * kStage);
  uint64_t* full = reinterpret_cast<uint64_t*>(strips + kMultiplyingWarps * 16 * kStrip);
  uint64_t* empty = full + kStages;
  uint64_t* turns = empty + kStages;  // of each group
  const MatrixParameters& m = p.matrix;
  const int tiles = m.row_tiles * m.column_tiles;
  const int rounds = p.segments[0].taps * p.segments[0].chunks + p.segments[1].taps * p.segments[1].chunks;
  const int warp = device::warp(), lane = device::lane();

  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      device::init_barrier(full + i, 1);
      device::init_barrier(empty + i, kTurns ? kMultiplyingWarps / 2 : kMultiplyingWarps);
    }
    for (int i = 0; i < 2; ++i) device::init_barrier(turns + i, kMultiplyingWarps / 2);
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
        const TilePlace at = place_of<kPixels>(p, tile, kColumns);
        for (int i = 0; i < WgmmaParameters::kSegments; ++i) {
          const WgmmaSegment& s = p.segments[i];
          for (int tap = 0; tap < s.taps; ++tap)
            for (int chunk = 0; chunk < s.chunks; ++chunk) {
              T* to = ring + stage * kStage;
              device::wait_barrier(empty + stage, phase ^ 1);
              device::arrive_expecting(full + stage, kStage * int(sizeof(T)));
              if constexpr (kPixels) {
                // A pixel of y sees 2×2 times the same pixel of x, from wherever among them it stands.
                const int x = at.x + ((at.phase_x + tap % m.picture.kernel_width - s.padding) >> m.picture.shift);
                const int y = at.y + ((at.phase_y + tap / m.picture.kernel_width - s.padding) >> m.picture.shift);
                device::copy_tile(to, &s.x, full + stage, chunk * kDepth, x, y, at.image);
              } else {
                device::copy_tile(to, &s.x, full + stage, chunk * kDepth, at.row_tile * kWgmmaRows);
              }
              device::copy_tile(to + kWgmmaRows * kDepth, &s.w, full + stage, chunk * kDepth, tap, at.column);
              advance();
            }
        }
      }
    }
  } else {
    device::take_registers<232>();
    const int group = warp / 4 - 1;
    float* strip = strips + (warp - 4) * 16 * kStrip;
    int turn = 0;  // counts the block's tiles
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      if constexpr (kTurns) {
        if (turn++ % 2 != group) {  // the other's
          const int after = stage + rounds;
          stage = after % kStages;
          phase ^= after / kStages & 1;
          continue;
        }
        // The other must be through with its part of the ring: a wait by parity sees no more than one phase ahead.
        device::wait_barrier(turns + group, ((turn - 1) / 2 + 1 - group) & 1);
      }
      const TilePlace at = place_of<kPixels>(p, tile, kColumns);
      float sums[kHalves][kColumns / 2];
      int last = 0;
      for (int round = 0; round < rounds; ++round) {
        device::wait_barrier(full + stage, phase);
        const uint64_t a = device::descriptor(ring + stage * kStage + (kTurns ? 0 : group * kWgmmaHeight * kDepth));
        const uint64_t b = device::descriptor(ring + stage * kStage + kWgmmaRows * kDepth);
        device::begin_wgmma();
#pragma unroll
        for (int step = 0; step < kDepth / 16; ++step)
#pragma unroll
          for (int half = 0; half < kHalves; ++half)
            device::wgmma<T, kColumns>(sums[half], a + half * (kWgmmaHeight * kDepth * 2 >> 4) + 2 * step, b + 2 * step, round + step > 0);
        device::commit_wgmma();
        device::wait_wgmma<1>();  // the round before has been read
        if (round > 0 && lane == 0) device::arrive(empty + last);
        last = stage;
        advance();
      }
      if (kTurns && lane == 0) device::arrive(turns + 1 - group);
      device::wait_wgmma<0>();
      if (lane == 0) device::arrive(empty + last);

#pragma unroll
      for (int strips_done = 0; strips_done < kHalves * kColumns / kStripColumns; ++strips_done) {
        const int half = strips_done / (kColumns / kStripColumns), first = strips_done % (kColumns / kStripColumns) * kStripColumns;
        const int line0 = (kTurns ? half : group) * kWgmmaHeight + warp % 4 * 16;
#pragma unroll
        for (int n = 0; n < kStripColumns / 8; ++n)
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            const int i = (first / 8 + n) * 4 + 2 * h;
            device::store(reinterpret_cast<float2*>(strip + (lane / 4 + 8 * h) * kStrip + 8 * n + 2 * (lane % 4)), float2{sums[half][i], sums[half][i + 1]});
          }
        device::sync_warp();
#pragma unroll 1
        for (int i = lane; i < 16 * kStripColumns / 8; i += 32) {
          const int line = i / (kStripColumns / 8), within = i % (kStripColumns / 8) * 8;
          const int row = row_of<kPixels>(p, at, line0 + line), column = at.column + first + within;
          if (row < 0 || column >= m.columns) continue;
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

}  // namespace sdxl::cuda

// One kernel for each element type.
#define SDXL_WGMMA_KERNELS(name, columns, stages, pixels)                                                                        \
  SDXL_KERNEL(name##_bf16_128x##columns, kWgmmaThreads, 1, WgmmaParameters, wgmma_product<bf16, columns, stages, pixels, false>) \
  SDXL_KERNEL(name##_fp16_128x##columns, kWgmmaThreads, 1, WgmmaParameters, wgmma_product<f16, columns, stages, pixels, false>)
#define SDXL_WGMMA_TURNS_KERNELS(name, columns, stages, pixels)                                                                       \
  SDXL_KERNEL(name##_turns_bf16_128x##columns, kWgmmaThreads, 1, WgmmaParameters, wgmma_product<bf16, columns, stages, pixels, true>) \
  SDXL_KERNEL(name##_turns_fp16_128x##columns, kWgmmaThreads, 1, WgmmaParameters, wgmma_product<f16, columns, stages, pixels, true>)
