// The ops on NVIDIA GPUs.
#pragma once

#include <memory>
#include <string>

#include "cuda/driver/cubins.h"
#include "cuda/driver/library.h"
#include "ops/backend.h"

namespace sdxl::cuda {

struct BackendOptions {
  int device = 0;           // N of "cuda:N"
  int threads = 1;          // of the host, which read and lay out weights; the caller's included
  size_t memory_limit = 0;  // bytes for weights, and for activations, 0: no limit
  std::string library = Library::default_path(), cubins = Cubins::default_folder();
};

// Activations are tensors of f16 or bf16; latents, pixels, biases, vectors for each image and what norms scale by are f32. Linear layers and
// convolutions read f32 and any number of channels too. The thread that makes it is the one that uses it.
// Throws Error(device_unavailable).
std::unique_ptr<ops::Backend> make_backend(const BackendOptions& options);

}  // namespace sdxl::cuda
