// conv2d.cu for sm_90a, of convolutions with a stride of 1 that do not wrap: a tile is a box of pixels, which the copy engine brings for
// every tap, zeros from beyond the edges included. Upsampling, the tile has one in 2×2 pixels of y, whose taps are boxes of x again.
#include "wgmma_product.h"

namespace sdxl::cuda {

SDXL_WGMMA_KERNELS(conv2d_wgmma, 128, 6, true)
SDXL_WGMMA_KERNELS(conv2d_wgmma, 160, 5, true)
SDXL_WGMMA_KERNELS(conv2d_wgmma, 256, 4, true)
SDXL_WGMMA_TURNS_KERNELS(conv2d_wgmma, 128, 6, true)
SDXL_WGMMA_TURNS_KERNELS(conv2d_wgmma, 160, 5, true)

}  // namespace sdxl::cuda
