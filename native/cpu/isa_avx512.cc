// Compile with -O3 -ffp-contract=off -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -mf16c -mprefer-vector-width=512; see isa_plain.cc.
#if defined(__x86_64__)
#include "cpu/kernels_of.h"
#include "cpu/vector_avx512.h"

namespace sdxl::cpu {

extern const Kernels kAvx512Kernels = kernels_of<Avx512Vector>("avx512");

}  // namespace sdxl::cpu
#endif
