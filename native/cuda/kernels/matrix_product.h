// The tensor-core product of gemm.cu and conv2d.cu. A block of four warps makes one tile of y: tiles of x and w stream through a ring of
// shared memory buffers by asynchronous copies, ldmatrix takes fragments from there, the sums stay in registers, and leave through
// shared memory so that y and the residual are touched in whole 16-byte vectors.
#pragma once

#include "device.h"
#include "matrix_parameters.h"
#include "swizzle.h"

namespace sdxl::cuda {

constexpr int kMatrixThreads = 128;
constexpr int kPanel = 8;  // row tiles that share the columns' weights in the second-level cache

// Which 16 bytes of a segment one thread copies next. All rows of a stage have the same.
struct Cursor {
  int segment, left;  // rounds left in the segment, this one included
  int tap, chunk, ky, kx;

  __device__ __forceinline__ void enter(const MatrixParameters& p, int index, int first) {
    segment = index;
    left = p.segments[index].steps;
    chunk = first;
    tap = ky = kx = 0;
  }
  template <bool kPixels>
  __device__ __forceinline__ void normalise(const MatrixParameters& p) {
    if constexpr (kPixels)
      while (chunk >= p.segments[segment].chunks && tap < p.segments[segment].taps) {
        chunk -= p.segments[segment].chunks;
        ++tap;
        if (++kx == p.picture.kernel_width) {
          kx = 0;
          ++ky;
        }
      }
  }
  template <bool kPixels>
  __device__ __forceinline__ bool inside(const MatrixSegment& s) const {
    return kPixels ? tap < s.taps : chunk < s.chunks;
  }
  template <bool kPixels>
  __device__ __forceinline__ void advance(const MatrixParameters& p, int first) {
    if (--left == 0) {
      if (segment + 1 < p.segment_count) enter(p, segment + 1, first);
    } else {
      chunk += kChunks;
    }
    normalise<kPixels>(p);
  }
};

// Of a row of the tile: where the kernel's upper left corner lies.
struct Corner {
  int32_t image;  // index of the image's first pixel; negative: no such row
  int16_t y, x;
};

__device__ __forceinline__ int wrapped(int at, int size) {
  while (at < 0) at += size;
  while (at >= size) at -= size;
  return at;
}

template <class F>
__device__ __forceinline__ void each(float (&v)[8], F function) {
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = function(v[i]);
}

// One switch for eight values: the branch costs less than its code eight times.
__device__ __forceinline__ void activate(MatrixActivation activation, float (&v)[8]) {
  if (activation == MatrixActivation::silu) each(v, [](float x) { return device::silu(x); });
  else if (activation == MatrixActivation::gelu) each(v, [](float x) { return device::gelu(x); });
  else if (activation == MatrixActivation::quick_gelu) each(v, [](float x) { return device::quick_gelu(x); });
  else if (activation == MatrixActivation::relu) each(v, [](float x) { return device::relu(x); });
  else if (activation == MatrixActivation::geglu) {
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = v[2 * i] * device::gelu(v[2 * i + 1]);
  }
}

__device__ __forceinline__ void add8(float (&v)[8], const float* from) {
  const float4 a = device::load_constant(reinterpret_cast<const float4*>(from)), b = device::load_constant(reinterpret_cast<const float4*>(from) + 1);
  v[0] += a.x, v[1] += a.y, v[2] += a.z, v[3] += a.w, v[4] += b.x, v[5] += b.y, v[6] += b.z, v[7] += b.w;
}

// Eight sums of one row, from `column` on, through the epilogue to y.
template <class T>
__device__ __forceinline__ void write_vector(const MatrixParameters& p, float (&v)[8], int row, int column) {
  const bool geglu = p.activation == MatrixActivation::geglu;
  const float* image = p.per_image ? p.per_image + int64_t(row / p.rows_per_image) * p.columns + column : nullptr;
  const int left = p.columns - column, first = geglu ? column / 2 : column, count = geglu ? 4 : 8;
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] *= p.scale;
  T* y = static_cast<T*>(p.y) + row * p.y_stride + first;
  float* y_float = static_cast<float*>(p.y) + row * p.y_stride + first;
  const T* residual = p.residual ? static_cast<const T*>(p.residual) + row * p.residual_stride + first : nullptr;

  if (p.vectors) {
    if (p.bias && !geglu) add8(v, p.bias + column);
    if (p.bias && geglu) {
      const float4 values = device::load_constant(reinterpret_cast<const float4*>(p.bias + column / 2));
      const float4 gates = device::load_constant(reinterpret_cast<const float4*>(p.bias + (p.columns + column) / 2));
      v[0] += values.x, v[2] += values.y, v[4] += values.z, v[6] += values.w;
      v[1] += gates.x, v[3] += gates.y, v[5] += gates.z, v[7] += gates.w;
    }
    if (image) add8(v, image);
    activate(p.activation, v);
    if (residual) {
      const uint2 r = device::load(reinterpret_cast<const uint2*>(residual));
      v[0] += device::low<T>(r.x), v[1] += device::high<T>(r.x), v[2] += device::low<T>(r.y), v[3] += device::high<T>(r.y);
      if (!geglu) {
        const uint2 t = device::load(reinterpret_cast<const uint2*>(residual) + 1);
        v[4] += device::low<T>(t.x), v[5] += device::high<T>(t.x), v[6] += device::low<T>(t.y), v[7] += device::high<T>(t.y);
      }
    }
    if (p.y_float) {
      device::store(reinterpret_cast<float4*>(y_float), float4{v[0], v[1], v[2], v[3]});
      if (!geglu) device::store(reinterpret_cast<float4*>(y_float) + 1, float4{v[4], v[5], v[6], v[7]});
    } else if (geglu) {
      device::store(reinterpret_cast<uint2*>(y), uint2{device::pack<T>(v[0], v[1]), device::pack<T>(v[2], v[3])});
    } else {
      device::store(reinterpret_cast<uint4*>(y),
                    uint4{device::pack<T>(v[0], v[1]), device::pack<T>(v[2], v[3]), device::pack<T>(v[4], v[5]), device::pack<T>(v[6], v[7])});
    }
    return;
  }

#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (i < left) {
      if (p.bias) v[i] += device::load_constant(p.bias + (!geglu ? column + i : i % 2 ? (p.columns + column + i) / 2 : (column + i) / 2));
      if (image) v[i] += device::load_constant(image + i);
    }
  activate(p.activation, v);
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (i < count && i < (geglu ? left / 2 : left)) {
      if (residual) v[i] += device::to_float(device::load(residual + i));
      if (p.y_float) device::store(y_float + i, v[i]);
      else device::store(y + i, device::from_float<T>(v[i]));
    }
}

template <class T, int kRows, int kColumns, int kRowWarps, bool kPixels>
__device__ __forceinline__ void matrix_product(const MatrixParameters& p) {
  constexpr int kColumnWarps = kMatrixThreads / 32 / kRowWarps;
  constexpr int kWarpRows = kRows / kRowWarps, kWarpColumns = kColumns / kColumnWarps;
  constexpr int kM = kWarpRows / 16, kN = kWarpColumns / 8;
  static_assert(kM * 16 * kRowWarps == kRows && kN * 8 * kColumnWarps == kColumns && kN % 2 == 0);
  constexpr int kStage = (kRows + kColumns) * kDepth;  // elements
  constexpr int kStride = kMatrixThreads / kChunks;    // rows that one round of copies covers
  T* stages = reinterpret_cast<T*>(device::shared_memory());
  const int thread = threadIdx.x, lane = device::lane();
  const int warp_row = device::warp() / kColumnWarps * kWarpRows, warp_column = device::warp() % kColumnWarps * kWarpColumns;

  const int per_panel = kPanel * p.column_tiles, tile = blockIdx.x;
  const int first_row_tile = tile / per_panel * kPanel, left = p.row_tiles - first_row_tile, height = left < kPanel ? left : kPanel;
  const int row0 = (first_row_tile + tile % per_panel % height) * kRows, column0 = tile % per_panel / height * kColumns;

  Corner* corners = reinterpret_cast<Corner*>(stages + p.stages * kStage);
  if (kPixels) {
    const Picture& g = p.picture;
    for (int r = thread; r < kRows; r += kMatrixThreads) {
      const int row = row0 + r, x = row % g.y_width, y = row / g.y_width % g.y_height, image = row / g.y_width / g.y_height;
      const Corner corner{row < p.rows ? image * g.x_height * g.x_width : -1, int16_t(y * g.stride - g.padding), int16_t(x * g.stride - g.padding)};
      device::store(corners + r, corner);
    }
    device::sync_block();
  }

  // This thread's part of every stage: chunk `q` of the rows `r`, r + kStride, …
  const int q = thread % kChunks, r = thread / kChunks;
  const int first_chunk = swizzled(r, q);
  Cursor cursor;
  cursor.enter(p, 0, q);
  cursor.normalise<kPixels>(p);

  const auto fetch = [&](int stage) {
    const MatrixSegment& s = p.segments[cursor.segment];
    const bool inside = cursor.inside<kPixels>(s);
    T* to = stages + stage * kStage + first_chunk;
    if (kPixels && s.taps > 1) {
      const Picture& g = p.picture;
#pragma unroll
      for (int i = 0; i < kRows / kStride; ++i) {
        const Corner corner = device::load(corners + r + i * kStride);
        int y = corner.y + cursor.ky, x = corner.x + cursor.kx;
        if (g.wrap_y) y = wrapped(y, g.seen_height);
        if (g.wrap_x) x = wrapped(x, g.seen_width);
        const bool valid = inside && corner.image >= 0 && unsigned(y) < unsigned(g.seen_height) && unsigned(x) < unsigned(g.seen_width);
        const int64_t pixel = valid ? corner.image + (y >> g.shift) * g.x_width + (x >> g.shift) : 0;
        device::copy16(to + i * kStride * kDepth, static_cast<const T*>(s.x) + pixel * s.x_stride + (valid ? 8 * cursor.chunk : 0), valid);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kRows / kStride; ++i) {
        const bool valid = inside && row0 + r + i * kStride < p.rows;
        const int64_t row = valid ? row0 + r + i * kStride : 0;
        device::copy16(to + i * kStride * kDepth, static_cast<const T*>(s.x) + row * s.x_stride + (valid ? 8 * cursor.chunk : 0), valid);
      }
    }
    to += kRows * kDepth;
    const T* w = static_cast<const T*>(s.w) + (inside ? cursor.tap * s.w_tap + 8 * cursor.chunk : 0);
#pragma unroll
    for (int i = 0; i < kColumns / kStride; ++i) {
      const bool valid = inside && column0 + r + i * kStride < p.columns;
      device::copy16(to + i * kStride * kDepth, w + int64_t(valid ? column0 + r + i * kStride : 0) * s.w_stride, valid);
    }
    cursor.advance<kPixels>(p, q);
  };

  int rounds = 0;
  for (int s = 0; s < p.segment_count; ++s) rounds += p.segments[s].steps;
  for (int stage = 0; stage + 1 < p.stages; ++stage) {
    if (stage < rounds) fetch(stage);
    device::commit_copies();
  }

  float sums[kM][kN][4] = {};
  int stage = 0, refill = p.stages - 1;
  for (int round = 0; round < rounds; ++round) {
    if (p.stages == 2) device::wait_copies<0>();
    else if (p.stages == 3) device::wait_copies<1>();
    else device::wait_copies<2>();
    device::sync_block();  // the stage is there for all, and all have left the one that is refilled now
    if (round + p.stages - 1 < rounds) fetch(refill);
    device::commit_copies();

    const T* xs = stages + stage * kStage + (warp_row + lane % 16) * kDepth;
    const T* ws = stages + stage * kStage + (kRows + warp_column + lane % 8 + lane / 16 * 8) * kDepth;
#pragma unroll
    for (int step = 0; step < kDepth / 16; ++step) {
      uint32_t a[kM][4];
#pragma unroll
      for (int m = 0; m < kM; ++m) device::load_matrices(a[m], xs + 16 * m * kDepth + 8 * ((2 * step + lane / 16) ^ (lane & 7)));
#pragma unroll
      for (int n = 0; n < kN; n += 2) {
        uint32_t b[4];
        device::load_matrices(b, ws + 8 * n * kDepth + 8 * ((2 * step + lane / 8 % 2) ^ (lane & 7)));
#pragma unroll
        for (int m = 0; m < kM; ++m) {
          device::mma<T>(sums[m][n], a[m], b[0], b[1]);
          device::mma<T>(sums[m][n + 1], a[m], b[2], b[3]);
        }
      }
    }
    stage = stage + 1 == p.stages ? 0 : stage + 1;
    refill = refill + 1 == p.stages ? 0 : refill + 1;
  }

  // Each warp sends its sums through a strip of 16 rows of its own.
  device::wait_copies<0>();
  device::sync_block();
  constexpr int kStrip = kWarpColumns + 8;  // the eight keep rows off each other's banks
  float* strip = reinterpret_cast<float*>(device::shared_memory()) + device::warp() * 16 * kStrip;
#pragma unroll
  for (int m = 0; m < kM; ++m) {
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        device::store(reinterpret_cast<float2*>(strip + (lane / 4 + 8 * half) * kStrip + 8 * n + 2 * (lane % 4)),
                      float2{sums[m][n][2 * half], sums[m][n][2 * half + 1]});
    device::sync_warp();
#pragma unroll 1
    for (int i = lane; i < 16 * kWarpColumns / 8; i += 32) {
      const int line = i / (kWarpColumns / 8), first = i % (kWarpColumns / 8) * 8;
      const int row = row0 + warp_row + 16 * m + line, column = column0 + warp_column + first;
      if (row >= p.rows || column >= p.columns) continue;
      const float4 low = device::load(reinterpret_cast<const float4*>(strip + line * kStrip + first));
      const float4 high = device::load(reinterpret_cast<const float4*>(strip + line * kStrip + first + 4));
      float v[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
      write_vector<T>(p, v, row, column);
    }
    device::sync_warp();
  }
}

}  // namespace sdxl::cuda

// One kernel for each element type. Tiles of rows × columns, warps stacked in so many rows.
#define SDXL_MATRIX_KERNELS(name, rows, columns, row_warps, blocks, pixels)                                                                     \
  SDXL_KERNEL(name##_bf16_##rows##x##columns, kMatrixThreads, blocks, MatrixParameters, matrix_product<bf16, rows, columns, row_warps, pixels>) \
  SDXL_KERNEL(name##_fp16_##rows##x##columns, kMatrixThreads, blocks, MatrixParameters, matrix_product<f16, rows, columns, row_warps, pixels>)
