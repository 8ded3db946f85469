// Exact: into wider formats. What narrows is in narrow.cu.
#include "convert_parameters.h"
#include "flat.h"

namespace sdxl::cuda {

namespace {

// See core/dtype.h for the two formats.
struct E4m3 {
  uint8_t bits;
};
struct E5m2 {
  uint8_t bits;
};

template <class T>
__device__ __forceinline__ float value_at(const T* p) {
  return device::to_float(device::load(p));
}
__device__ __forceinline__ float value_at(const E5m2* p) { return device::to_float(f16{static_cast<uint16_t>(device::load(&p->bits) << 8)}); }
// Its exponent and mantissa fit those of an f16 whose bias is 8 larger, subnormals too; only NaN needs care.
__device__ __forceinline__ float value_at(const E4m3* p) {
  const uint32_t bits = device::load(&p->bits);
  const uint32_t magnitude = bits & 0x7F;
  const uint32_t half = (bits & 0x80) << 8 | (magnitude == 0x7F ? 0x7E00 : magnitude << 7);
  return device::to_float(f16{static_cast<uint16_t>(half)}) * 256;
}

template <class From, class To>
__device__ __forceinline__ void convert(const ConvertParameters& p) {
  device::for_each_of(p.count,
                      [&](int64_t i) { device::store(static_cast<To*>(p.y) + i, device::from_float<To>(value_at(static_cast<const From*>(p.x) + i))); });
}

}  // namespace

SDXL_KERNEL(convert_bf16_f32, kFlatThreads, 4, ConvertParameters, convert<bf16, float>)
SDXL_KERNEL(convert_fp16_f32, kFlatThreads, 4, ConvertParameters, convert<f16, float>)
SDXL_KERNEL(convert_e4m3_f32, kFlatThreads, 4, ConvertParameters, convert<E4m3, float>)
SDXL_KERNEL(convert_e4m3_bf16, kFlatThreads, 4, ConvertParameters, convert<E4m3, bf16>)
SDXL_KERNEL(convert_e4m3_fp16, kFlatThreads, 4, ConvertParameters, convert<E4m3, f16>)
SDXL_KERNEL(convert_e5m2_f32, kFlatThreads, 4, ConvertParameters, convert<E5m2, float>)
SDXL_KERNEL(convert_e5m2_bf16, kFlatThreads, 4, ConvertParameters, convert<E5m2, bf16>)
SDXL_KERNEL(convert_e5m2_fp16, kFlatThreads, 4, ConvertParameters, convert<E5m2, f16>)

}  // namespace sdxl::cuda
