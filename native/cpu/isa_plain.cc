// Compile with -O3 -ffp-contract=off: a contraction that depends on the surroundings would break equality of bits between tile sizes.
#include "cpu/kernels_of.h"
#include "cpu/vector_plain.h"

namespace sdxl::cpu {

extern const Kernels kPlainKernels = kernels_of<PlainVector>("plain");

}  // namespace sdxl::cpu
