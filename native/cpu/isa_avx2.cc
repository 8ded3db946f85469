// Compile with -O3 -ffp-contract=off -mavx2 -mfma -mf16c; see isa_plain.cc.
#if defined(__x86_64__)
#include "cpu/kernels_of.h"
#include "cpu/vector_avx2.h"

namespace sdxl::cpu {

extern const Kernels kAvx2Kernels = kernels_of<Avx2Vector>("avx2");

}  // namespace sdxl::cpu
#endif
