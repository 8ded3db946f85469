// Convolution as a product over (tap, channel): rows are the pixels of y, no matrix of patches exists.
#include "matrix_product.h"

namespace sdxl::cuda {

SDXL_MATRIX_KERNELS(conv2d, 128, 160, 2, 1, true)
SDXL_MATRIX_KERNELS(conv2d, 128, 128, 2, 1, true)
SDXL_MATRIX_KERNELS(conv2d, 128, 80, 4, 2, true)
SDXL_MATRIX_KERNELS(conv2d, 128, 64, 2, 2, true)
SDXL_MATRIX_KERNELS(conv2d, 64, 160, 2, 2, true)
SDXL_MATRIX_KERNELS(conv2d, 64, 64, 2, 3, true)
SDXL_MATRIX_KERNELS(conv2d, 128, 32, 4, 3, true)

}  // namespace sdxl::cuda
