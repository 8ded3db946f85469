// gemm.cu for sm_90a.
#include "wgmma_product.h"

namespace sdxl::cuda {

SDXL_WGMMA_KERNELS(gemm_wgmma, 128, 6, false)
SDXL_WGMMA_KERNELS(gemm_wgmma, 160, 5, false)
SDXL_WGMMA_KERNELS(gemm_wgmma, 256, 4, false)
SDXL_WGMMA_TURNS_KERNELS(gemm_wgmma, 128, 6, false)
SDXL_WGMMA_TURNS_KERNELS(gemm_wgmma, 160, 5, false)

}  // namespace sdxl::cuda
