// Launches of attention, see ops/attention.h for what it computes.
#pragma once

#include <cstdint>

#include "cuda/kernels/attention_parameters.h"
#include "cuda/launch/encoder.h"
#include "cuda/launch/launch.h"
#include "cuda/launch/tiles.h"

namespace sdxl::cuda {

struct Attention {
  Element element;
  // Rows q_stride and kv_stride elements apart; all of them multiples of 8, addresses aligned to 16 bytes.
  const void* q;  // [batch, queries, heads · width]
  const void* k;  // [kv_batch, keys, heads · width]
  const void* v;  // like k
  void* y;        // [batch, queries, heads · width]
  int64_t q_stride, kv_stride;
  int64_t batch, queries, heads, width;  // width: a multiple of 8, up to 64 with a mask and up to 512 without
  int64_t kv_batch, keys;
  const int32_t* key_counts = nullptr;  // on the device: [kv_batch], or null
  const uint8_t* hidden = nullptr;      // on the device: [kv_batch, keys], or null
  bool causal = false;
};

// Throws Error(Code::internal) for what no kernel can do.
Launch launch_of(const Attention& op, const Chip& chip);
// The same by the kernels of sm_90a: heads of 64 elements, no mask. Their tiles of 128 keys suit self-attention, not prompts.
Launch wgmma_launch_of(const Attention& op, const Chip& chip, const TensorMapEncoder& encode);
bool wgmma_can(const Attention& op);
// By the family that is thought faster, until both are measured.
Launch fastest_launch_of(const Attention& op, const Chip& chip, const TensorMapEncoder& encode);

}  // namespace sdxl::cuda
