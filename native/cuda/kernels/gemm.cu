// y[rows, columns] = epilogue(x[rows, inner] · w[columns, inner]ᵀ).
#include "matrix_product.h"

namespace sdxl::cuda {

SDXL_MATRIX_KERNELS(gemm, 128, 160, 2, 1, false)
SDXL_MATRIX_KERNELS(gemm, 128, 128, 2, 1, false)
SDXL_MATRIX_KERNELS(gemm, 128, 80, 4, 2, false)
SDXL_MATRIX_KERNELS(gemm, 128, 64, 2, 2, false)
SDXL_MATRIX_KERNELS(gemm, 64, 160, 2, 2, false)
SDXL_MATRIX_KERNELS(gemm, 64, 64, 2, 3, false)

}  // namespace sdxl::cuda
