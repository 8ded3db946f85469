// y = group_norm(x), with SiLU behind it where wanted. Nothing is summed by atomics and no piece depends on the batch, so an image gives the
// same bits alone and among others.
#include "group_norm_parameters.h"
#include "vector.h"

namespace sdxl::cuda {

namespace {

using device::load;
using device::store;

// Threads of a block stand in rows of one thread for each vector of the slab; those that fill no row are idle.
template <int kVector>
struct Place {
  __device__ __forceinline__ explicit Place(const GroupNormParameters& p)
      : columns(p.slab / kVector), rows(kGroupNormThreads / columns), row(int(threadIdx.x) / columns), column(int(threadIdx.x) % columns * kVector) {}
  __device__ __forceinline__ bool idle() const { return row >= rows; }
  int columns, rows, row;
  int column;  // first channel within the slab
};

// Mean and squared distances of many parts, each of `count(i)` values. Two passes: a sum of squares would cancel where |mean| is large.
template <class Count, class Part>
__device__ __forceinline__ float2 merge(int parts, float total, const Count& count, const Part& part) {
  float mean = 0, square = 0;
  for (int i = device::lane(); i < parts; i += device::kWarp) mean += count(i) * part(i).x;
  mean = device::warp_sum(mean) / total;
  for (int i = device::lane(); i < parts; i += device::kWarp) {
    const float2 m = part(i);
    square += m.y + count(i) * (m.x - mean) * (m.x - mean);
  }
  return {mean, device::warp_sum(square)};
}

template <class T, int kVector>
__device__ __forceinline__ void group_moments(const GroupNormParameters& p) {
  float2* shared = reinterpret_cast<float2*>(device::shared_memory());  // [rows, slab]: moments of one channel in one row of threads
  const Place<kVector> at(p);
  const int64_t first = int64_t(blockIdx.x) * p.pixels_a_piece;
  const int pixels = int(p.pixels - first < p.pixels_a_piece ? p.pixels - first : p.pixels_a_piece);
  const int slab0 = int(blockIdx.y) * p.slab;

  if (!at.idle()) {
    const T* x = static_cast<const T*>(p.x) + (int64_t(blockIdx.z) * p.pixels + first) * p.channels + slab0 + at.column;
    // Around the first value, which is near enough to the mean for squares not to cancel.
    float pivot[kVector] = {}, sum[kVector] = {}, square[kVector] = {};
    int count = 0;
    for (int pixel = at.row; pixel < pixels; pixel += at.rows, ++count) {
      float v[kVector];
      device::Vector<T, kVector>::load_to(v, x + int64_t(pixel) * p.channels);
#pragma unroll
      for (int c = 0; c < kVector; ++c) {
        if (count == 0) pivot[c] = v[c];
        const float d = v[c] - pivot[c];
        sum[c] += d;
        square[c] += d * d;
      }
    }
    const float share = count ? 1 / float(count) : 0;
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      const float2 m = {pivot[c] + sum[c] * share, device::maximum(square[c] - sum[c] * sum[c] * share, 0)};
      store(shared + at.row * p.slab + at.column + c, m);
    }
  }
  device::sync_block();

  const int each = p.channels / p.groups, groups = p.slab / each;
  for (int g = device::warp(); g < groups; g += kGroupNormThreads / device::kWarp) {
    // Rows differ by at most one pixel.
    const auto count = [&](int i) { return float((pixels - i / each + at.rows - 1) / at.rows); };
    const auto part = [&](int i) { return load(shared + i / each * p.slab + g * each + i % each); };
    const float2 m = merge(at.rows * each, float(pixels) * float(each), count, part);
    if (device::lane() == 0) store(p.moments + (int64_t(blockIdx.z) * p.groups + slab0 / each + g) * p.pieces + blockIdx.x, m);
  }
}

template <class T, int kVector>
__device__ __forceinline__ void group_apply(const GroupNormParameters& p) {
  float2* shared = reinterpret_cast<float2*>(device::shared_memory());  // [groups of the slab]: mean, 1 / deviation
  const Place<kVector> at(p);
  const int slab0 = int(blockIdx.y) * p.slab;
  const int each = p.channels / p.groups, groups = p.slab / each;
  const float values = float(p.pixels) * float(each);
  for (int g = device::warp(); g < groups; g += kGroupNormThreads / device::kWarp) {
    const float2* moments = p.moments + (int64_t(blockIdx.z) * p.groups + slab0 / each + g) * p.pieces;
    const float last = float(p.pixels - int64_t(p.pieces - 1) * p.pixels_a_piece) * float(each), whole = float(p.pixels_a_piece) * float(each);
    const auto count = [&](int i) { return i == p.pieces - 1 ? last : whole; };
    const float2 m = merge(p.pieces, values, count, [&](int i) { return load(moments + i); });
    if (device::lane() == 0) store(shared + g, float2{m.x, 1 / device::sqrt(m.y / values + p.eps)});
  }
  device::sync_block();
  if (at.idle()) return;

  float mean[kVector], scale[kVector], bias[kVector];
#pragma unroll
  for (int c = 0; c < kVector; ++c) {
    const float2 m = load(shared + (at.column + c) / each);
    mean[c] = m.x;
    scale[c] = m.y * load(p.weight + slab0 + at.column + c);
    bias[c] = load(p.bias + slab0 + at.column + c);
  }
  const int64_t first = int64_t(blockIdx.x) * p.pixels_a_block;
  const int64_t end = first + p.pixels_a_block < p.pixels ? first + p.pixels_a_block : p.pixels;
  const int64_t offset = int64_t(blockIdx.z) * p.pixels * p.channels + slab0 + at.column;
  const T* x = static_cast<const T*>(p.x) + offset;
  T* y = static_cast<T*>(p.y) + offset;
  for (int64_t pixel = first + at.row; pixel < end; pixel += at.rows) {
    float v[kVector];
    device::Vector<T, kVector>::load_to(v, x + pixel * p.channels);
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      v[c] = (v[c] - mean[c]) * scale[c] + bias[c];
      if (p.silu) v[c] = device::silu(v[c]);
    }
    device::Vector<T, kVector>::store_from(y + pixel * p.channels, v);
  }
}

}  // namespace

SDXL_KERNEL(group_moments_8_bf16, kGroupNormThreads, 4, GroupNormParameters, group_moments<bf16, 8>)
SDXL_KERNEL(group_moments_8_fp16, kGroupNormThreads, 4, GroupNormParameters, group_moments<f16, 8>)
SDXL_KERNEL(group_moments_1_bf16, kGroupNormThreads, 4, GroupNormParameters, group_moments<bf16, 1>)
SDXL_KERNEL(group_moments_1_fp16, kGroupNormThreads, 4, GroupNormParameters, group_moments<f16, 1>)
SDXL_KERNEL(group_apply_8_bf16, kGroupNormThreads, 4, GroupNormParameters, group_apply<bf16, 8>)
SDXL_KERNEL(group_apply_8_fp16, kGroupNormThreads, 4, GroupNormParameters, group_apply<f16, 8>)
SDXL_KERNEL(group_apply_1_bf16, kGroupNormThreads, 4, GroupNormParameters, group_apply<bf16, 1>)
SDXL_KERNEL(group_apply_1_fp16, kGroupNormThreads, 4, GroupNormParameters, group_apply<f16, 1>)

}  // namespace sdxl::cuda
