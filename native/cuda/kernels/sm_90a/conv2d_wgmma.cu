// conv2d.cu for sm_90a, of convolutions with a stride of 1 that neither upsample nor wrap: a tile is a box of pixels, which the copy
// engine brings for every tap, zeros from beyond the edges included.
#include "wgmma_product.h"

namespace sdxl::cuda {

SDXL_WGMMA_KERNELS(conv2d_wgmma, 128, 6, true)
SDXL_WGMMA_KERNELS(conv2d_wgmma, 160, 5, true)
SDXL_WGMMA_KERNELS(conv2d_wgmma, 256, 4, true)
SDXL_WGMMA_TURNS_KERNELS(conv2d_wgmma, 128, 6, true)
SDXL_WGMMA_TURNS_KERNELS(conv2d_wgmma, 160, 5, true)

}  // namespace sdxl::cuda
