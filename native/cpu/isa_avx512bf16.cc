// Compile like isa_avx512.cc and with -mavx512bf16; see isa_plain.cc.
#if defined(__x86_64__)
#include "cpu/kernels_of.h"
#include "cpu/pair_kernel.h"
#include "cpu/vector_avx512bf16.h"

namespace sdxl::cpu {

namespace {
constexpr PairKernels kPairs = pair_kernels_of<Avx512Pairs>();
}

extern const Kernels kAvx512Bf16Kernels = kernels_of<Avx512Vector>("avx512bf16", &kPairs);

}  // namespace sdxl::cpu
#endif
