// y = layer_norm(x) over rows. The whole row lies in the registers of a warp, so it is read once.
#include "layer_norm_parameters.h"
#include "vector.h"

namespace sdxl::cuda {

namespace {

// Each lane holds kHeld vectors: rows of up to 32 · kHeld · kVector channels.
template <class T, int kVector, int kHeld>
__device__ __forceinline__ void layer_norm(const LayerNormParameters& p) {
  const int64_t row = int64_t(blockIdx.x) * (kLayerNormThreads / device::kWarp) + device::warp();
  if (row >= p.rows) return;
  const T* x = static_cast<const T*>(p.x) + row * p.channels;
  T* y = static_cast<T*>(p.y) + row * p.channels;

  float v[kHeld][kVector];
  float mean = 0, square = 0;
#pragma unroll
  for (int h = 0; h < kHeld; ++h) {
    const int channel = (h * device::kWarp + device::lane()) * kVector;
    if (channel >= p.channels) continue;
    device::Vector<T, kVector>::load_to(v[h], x + channel);
#pragma unroll
    for (int c = 0; c < kVector; ++c) mean += v[h][c];
  }
  mean = device::warp_sum(mean) / float(p.channels);
#pragma unroll
  for (int h = 0; h < kHeld; ++h) {
    if ((h * device::kWarp + device::lane()) * kVector >= p.channels) continue;
#pragma unroll
    for (int c = 0; c < kVector; ++c) square += (v[h][c] - mean) * (v[h][c] - mean);
  }
  const float scale = 1 / device::sqrt(device::warp_sum(square) / float(p.channels) + p.eps);
#pragma unroll
  for (int h = 0; h < kHeld; ++h) {
    const int channel = (h * device::kWarp + device::lane()) * kVector;
    if (channel >= p.channels) continue;
#pragma unroll
    for (int c = 0; c < kVector; ++c)
      v[h][c] = (v[h][c] - mean) * scale * device::load_constant(p.weight + channel + c) + device::load_constant(p.bias + channel + c);
    device::Vector<T, kVector>::store_from(y + channel, v[h]);
  }
}

// Rows of any length, read three times.
template <class T>
__device__ __forceinline__ void layer_norm_any(const LayerNormParameters& p) {
  const int64_t row = int64_t(blockIdx.x) * (kLayerNormThreads / device::kWarp) + device::warp();
  if (row >= p.rows) return;
  const T* x = static_cast<const T*>(p.x) + row * p.channels;
  T* y = static_cast<T*>(p.y) + row * p.channels;
  const auto value = [&](int c) { return device::to_float(device::load(x + c)); };
  float mean = 0, square = 0;
  for (int c = device::lane(); c < p.channels; c += device::kWarp) mean += value(c);
  mean = device::warp_sum(mean) / float(p.channels);
  for (int c = device::lane(); c < p.channels; c += device::kWarp) square += (value(c) - mean) * (value(c) - mean);
  const float scale = 1 / device::sqrt(device::warp_sum(square) / float(p.channels) + p.eps);
  for (int c = device::lane(); c < p.channels; c += device::kWarp)
    device::store(y + c, device::from_float<T>((value(c) - mean) * scale * device::load(p.weight + c) + device::load(p.bias + c)));
}

}  // namespace

SDXL_KERNEL(layer_norm_3_bf16, kLayerNormThreads, 8, LayerNormParameters, layer_norm<bf16, 8, 3>)
SDXL_KERNEL(layer_norm_3_fp16, kLayerNormThreads, 8, LayerNormParameters, layer_norm<f16, 8, 3>)
SDXL_KERNEL(layer_norm_5_bf16, kLayerNormThreads, 6, LayerNormParameters, layer_norm<bf16, 8, 5>)
SDXL_KERNEL(layer_norm_5_fp16, kLayerNormThreads, 6, LayerNormParameters, layer_norm<f16, 8, 5>)
SDXL_KERNEL(layer_norm_any_bf16, kLayerNormThreads, 8, LayerNormParameters, layer_norm_any<bf16>)
SDXL_KERNEL(layer_norm_any_fp16, kLayerNormThreads, 8, LayerNormParameters, layer_norm_any<f16>)

}  // namespace sdxl::cuda
