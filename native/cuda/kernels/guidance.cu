// What guidance does with a whole image at once. Latents are small: one block for each image, and no second launch.
#include "device.h"
#include "latents_parameters.h"

namespace sdxl::cuda {

namespace {

constexpr int kWarps = kImageThreads / device::kWarp;

// Over the block; every thread gets the result, in the same order of additions.
__device__ __forceinline__ float block_sum(float x) {
  float* sums = reinterpret_cast<float*>(device::shared_memory());  // [warps]
  x = device::warp_sum(x);
  device::sync_block();  // the last sum has been read
  if (device::lane() == 0) device::store(sums + device::warp(), x);
  device::sync_block();
  return device::warp_sum(device::load(sums + device::lane()));
}
static_assert(kWarps == device::kWarp);

template <class Value>
__device__ __forceinline__ float image_sum(int64_t count, const Value& value) {
  float sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kImageThreads) sum += value(i);
  return block_sum(sum);
}

__device__ __forceinline__ float deviation(const float* x, int64_t count) {
  const float mean = image_sum(count, [&](int64_t i) { return device::load(x + i); }) / float(count);
  const float square = image_sum(count, [&](int64_t i) {
    const float d = device::load(x + i) - mean;
    return d * d;
  });
  return device::sqrt(square / float(count));
}

__device__ __forceinline__ void rescale(const GuidanceParameters& p) {
  const float* like = p.like + int64_t(blockIdx.x) * p.each;
  float* y = p.y + int64_t(blockIdx.x) * p.each;
  const float wanted = deviation(like, p.each), own = deviation(y, p.each);
  const float factor = own > 0 ? 1 + p.share * (wanted / own - 1) : 1;
  for (int64_t i = threadIdx.x; i < p.each; i += kImageThreads) device::store(y + i, device::load(y + i) * factor);
}

__device__ __forceinline__ void project(const GuidanceParameters& p) {
  const float* along = p.like + int64_t(blockIdx.x) * p.each;
  float* y = p.y + int64_t(blockIdx.x) * p.each;
  const auto product = [&](const float* a, const float* b) { return image_sum(p.each, [&](int64_t i) { return device::load(a + i) * device::load(b + i); }); };
  const float length = device::sqrt(product(y, y)), along_squared = product(along, along), dot = product(y, along);
  const float shorten = p.limit > 0 && length > p.limit ? p.limit / length : 1;
  const float parallel = along_squared > 0 ? (1 - p.share) * (dot / along_squared) : 0;
  for (int64_t i = threadIdx.x; i < p.each; i += kImageThreads) device::store(y + i, shorten * (device::load(y + i) - parallel * device::load(along + i)));
}

}  // namespace

SDXL_KERNEL(guidance_rescale, kImageThreads, 1, GuidanceParameters, rescale)
SDXL_KERNEL(guidance_project, kImageThreads, 1, GuidanceParameters, project)

}  // namespace sdxl::cuda
