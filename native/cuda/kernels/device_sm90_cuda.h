// kernels/device_sm90.h for the hardware. PTX ISA 8.0: "Asynchronous warpgroup level matrix instructions", "Tensor copies", "mbarrier".
#pragma once

#include "device_cuda.h"

namespace sdxl::cuda::device {

template <int kCount>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(kCount));
}

__device__ __forceinline__ void init_barrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }
__device__ __forceinline__ void arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(barrier)) : "memory");
}
__device__ __forceinline__ void arrive_expecting(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
__device__ __forceinline__ void wait_barrier(uint64_t* barrier, int phase) {
  uint32_t done;
  do {
    asm volatile("{\n.reg .pred done;\nmbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2;\nselp.u32 %0, 1, 0, done;\n}\n"
                 : "=r"(done)
                 : "r"(shared_address(barrier)), "r"(phase)
                 : "memory");
  } while (!done);
}

__device__ __forceinline__ void copy_tile(void* to, const TensorMap* map, uint64_t* barrier, int column, int row) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];\n" ::"r"(shared_address(to)),
               "l"(map), "r"(shared_address(barrier)), "r"(column), "r"(row)
               : "memory");
}
__device__ __forceinline__ void copy_tile(void* to, const TensorMap* map, uint64_t* barrier, int channel, int tap, int column) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];\n" ::"r"(shared_address(to)),
               "l"(map), "r"(shared_address(barrier)), "r"(channel), "r"(tap), "r"(column)
               : "memory");
}
__device__ __forceinline__ void copy_tile(void* to, const TensorMap* map, uint64_t* barrier, int channel, int x, int y, int image) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];\n" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(channel), "r"(x), "r"(y), "r"(image)
      : "memory");
}

// Rows of 128 bytes, swizzled over 128 bytes; eight rows every 1024 bytes.
__device__ __forceinline__ uint64_t descriptor(const void* tile) {
  constexpr uint64_t kSwizzle128 = uint64_t(1) << 62, kStride = uint64_t(1024 >> 4) << 32, kLeading = uint64_t(1) << 16;
  return kSwizzle128 | kStride | kLeading | (shared_address(tile) & 0x3FFFF) >> 4;
}

__device__ __forceinline__ void begin_wgmma() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ __forceinline__ void commit_wgmma() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wait_wgmma() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kPending) : "memory");
}

// The first sums as operands: their names, and what they are bound to.
#define SDXL_NAMES32                                      \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15" \
  ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define SDXL_NAMES64                                                 \
  SDXL_NAMES32                                                       \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47" \
  ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define SDXL_NAMES80 SDXL_NAMES64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define SDXL_NAMES128                                                            \
  SDXL_NAMES80                                                                   \
  ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"             \
  ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111" \
  ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define SDXL_SUMS8(c, i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define SDXL_SUMS32(c) SDXL_SUMS8(c, 0), SDXL_SUMS8(c, 8), SDXL_SUMS8(c, 16), SDXL_SUMS8(c, 24)
#define SDXL_SUMS64(c) SDXL_SUMS32(c), SDXL_SUMS8(c, 32), SDXL_SUMS8(c, 40), SDXL_SUMS8(c, 48), SDXL_SUMS8(c, 56)
#define SDXL_SUMS80(c) SDXL_SUMS64(c), SDXL_SUMS8(c, 64), SDXL_SUMS8(c, 72)
#define SDXL_SUMS128(c) SDXL_SUMS80(c), SDXL_SUMS8(c, 80), SDXL_SUMS8(c, 88), SDXL_SUMS8(c, 96), SDXL_SUMS8(c, 104), SDXL_SUMS8(c, 112), SDXL_SUMS8(c, 120)

template <class T, int kColumns>
__device__ __forceinline__ void wgmma(float (&c)[kColumns / 2], uint64_t a, uint64_t b, bool add);
// `type`: T in PTX. Behind `count` sums come the operands `tiles`, a and b, and `adding`.
#define SDXL_WGMMA(T, type, columns, count, tiles, adding)                                                                                          \
  template <>                                                                                                                                       \
  __device__ __forceinline__ void wgmma<T, columns>(float(&c)[count], uint64_t a, uint64_t b, bool add) {                                           \
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, " adding                                                                                     \
                 ", 0;\n"                                                                                                                           \
                 "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type " {" SDXL_NAMES##count "}, " tiles ", add, 1, 1, 0, 0;\n}\n" \
                 : SDXL_SUMS##count(c)                                                                                                              \
                 : "l"(a), "l"(b), "r"(int(add))                                                                                                    \
                 : "memory");                                                                                                                       \
  }
SDXL_WGMMA(bf16, "bf16", 128, 64, "%64, %65", "%66")
SDXL_WGMMA(f16, "f16", 128, 64, "%64, %65", "%66")
SDXL_WGMMA(bf16, "bf16", 160, 80, "%80, %81", "%82")
SDXL_WGMMA(f16, "f16", 160, 80, "%80, %81", "%82")
SDXL_WGMMA(bf16, "bf16", 256, 128, "%128, %129", "%130")
SDXL_WGMMA(f16, "f16", 256, 128, "%128, %129", "%130")
#undef SDXL_WGMMA

template <class T>
__device__ __forceinline__ void wgmma_registers(float (&c)[32], const uint32_t (&a)[4], uint64_t b);
#define SDXL_WGMMA_REGISTERS(T, type)                                                                                                     \
  template <>                                                                                                                             \
  __device__ __forceinline__ void wgmma_registers<T>(float(&c)[32], const uint32_t(&a)[4], uint64_t b) {                                  \
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {" SDXL_NAMES32 "}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;\n" \
                 : SDXL_SUMS32(c)                                                                                                         \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)                                                                     \
                 : "memory");                                                                                                             \
  }
SDXL_WGMMA_REGISTERS(bf16, "bf16")
SDXL_WGMMA_REGISTERS(f16, "f16")
#undef SDXL_WGMMA_REGISTERS

#undef SDXL_NAMES32
#undef SDXL_NAMES64
#undef SDXL_NAMES80
#undef SDXL_NAMES128
#undef SDXL_SUMS32
#undef SDXL_SUMS64
#undef SDXL_SUMS80
#undef SDXL_SUMS128
#undef SDXL_SUMS8

}  // namespace sdxl::cuda::device
