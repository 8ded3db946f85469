// Unit-normal noise from counters: Philox4x32-10 and Box-Muller, as core/random.cc has them.
#include "flat.h"
#include "latents_parameters.h"

namespace sdxl::cuda {

namespace {

__device__ __forceinline__ float philox_normal(uint64_t seed, uint64_t draw, uint64_t index) {
  uint32_t counter[4] = {uint32_t(draw), uint32_t(draw >> 32), uint32_t(index), uint32_t(index >> 32)};
  uint32_t key[2] = {uint32_t(seed), uint32_t(seed >> 32)};
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53) * counter[0], b = uint64_t(0xCD9E8D57) * counter[2];
    counter[0] = uint32_t(b >> 32) ^ counter[1] ^ key[0];
    counter[1] = uint32_t(b);
    counter[2] = uint32_t(a >> 32) ^ counter[3] ^ key[1];
    counter[3] = uint32_t(a);
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  // In double, as on the CPU, so that both give the same noise. Few values are wanted, and seldom.
  constexpr double kUnit = 1.0 / 4294967296.0, kAngle = kUnit * 2 * 3.141592653589793;
  const double u = counter[0] * kUnit + kUnit / 2, v = counter[1] * kAngle + kAngle / 2;
  return float(::sqrt(-2 * ::log(u)) * ::sin(v));
}

__device__ __forceinline__ void noise(const NoiseParameters& p) {
  device::for_each_of(p.images * p.pixels * p.channels, [&](int64_t i) {
    const int64_t channel = i % p.channels, pixel = i / p.channels % p.pixels, image = i / p.channels / p.pixels;
    device::store(p.y + i, philox_normal(p.seeds[image], p.draw, uint64_t(channel * p.pixels + pixel)));
  });
}

}  // namespace

SDXL_KERNEL(philox_noise, kFlatThreads, 4, NoiseParameters, noise)

}  // namespace sdxl::cuda
