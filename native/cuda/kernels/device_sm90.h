// What kernels may use of sm_90a beyond device.h: copies of whole tiles by the copy engine, barriers that count bytes, products that a
// warpgroup of four warps starts and waits for.
//
//   take_registers, give_registers   of the warpgroup, up or down to so many for each thread
//   init_barrier, publish_barriers   by one thread, before a block barrier
//   arrive, arrive_expecting         the latter also announces bytes that copies will bring
//   wait_barrier(barrier, phase)     until the phase of that parity has ended; phases count from 0
//   copy_tile                        a box of a tensor, zeros beyond its edges, rows of 128 bytes swizzled as in swizzle.h
//   descriptor(tile)                 of a tile of such rows, aligned to 1024 bytes; + 2 is 16 elements further along the rows
//   begin_wgmma, wgmma, commit_wgmma, wait_wgmma<pending groups>
//       c[64 × columns] (+)= a[64 × 16] · b[columns × 16]ᵀ; a warp has 16 rows of c, laid out as mma's for each 8 columns
//   wgmma_registers
//       c[64 × 64] += a[64 × 16] · b[16 × 64], a in the registers of its rows' warps, laid out as mma's; + 128 is 16 rows of b further
#pragma once

#include "device.h"
#include "tensor_map.h"

#ifdef __CUDACC__
#include "device_sm90_cuda.h"
#else
#include "cuda/emulator/device_sm90.h"
#endif
