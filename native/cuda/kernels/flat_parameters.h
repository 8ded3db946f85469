#pragma once

namespace sdxl::cuda {

constexpr int kFlatThreads = 256;

}  // namespace sdxl::cuda
