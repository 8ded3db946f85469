// Eight 16-bit elements at once, the most a thread moves in one access; or one, where channels do not come in eights.
#pragma once

#include "device.h"

namespace sdxl::cuda::device {

template <class T, int kCount>
struct Vector;

template <class T>
struct Vector<T, 8> {
  static __device__ __forceinline__ void load_to(float (&values)[8], const T* p) {
    const uint4 bits = load(reinterpret_cast<const uint4*>(p));
    const uint32_t pairs[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      values[2 * i] = low<T>(pairs[i]);
      values[2 * i + 1] = high<T>(pairs[i]);
    }
  }
  static __device__ __forceinline__ void store_from(T* p, const float (&values)[8]) {
    store(reinterpret_cast<uint4*>(p),
          uint4{pack<T>(values[0], values[1]), pack<T>(values[2], values[3]), pack<T>(values[4], values[5]), pack<T>(values[6], values[7])});
  }
};

template <class T>
struct Vector<T, 1> {
  static __device__ __forceinline__ void load_to(float (&values)[1], const T* p) { values[0] = to_float(load(p)); }
  static __device__ __forceinline__ void store_from(T* p, const float (&values)[1]) { store(p, from_float<T>(values[0])); }
};

}  // namespace sdxl::cuda::device
