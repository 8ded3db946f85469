// Unit-normal noise that repeats other programs' pictures from the same seed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <span>

namespace sdxl {

// torch.randn on CUDA, and the "NV" source of A1111. The generator is counter-based: any value can be made on its own.
struct Philox {
  // Philox4x32-10. Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
  static std::array<uint32_t, 4> block(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

  // The `draw`-th randn (counted from 0) of a generator with this seed; how many values earlier draws took does not matter.
  // torch runs as many threads as the GPU has room for and then takes further values of a block, so beyond about 200 000 values
  // (the GPU decides) its numbers are others; here and in A1111 every element has its own block at any size.
  static void normal(uint64_t seed, uint64_t draw, std::span<float> out);
};

// torch.randn on the CPU. Stateful: calls continue one stream, and the size of each call matters as it does in torch.
class TorchCpu {
 public:
  explicit TorchCpu(uint64_t seed);  // torch uses the lower 32 bits only

  void normal(std::span<float> out);

 private:
  double next_normal();

  std::mt19937 engine_;
  std::optional<double> cached_;  // second value of the last pair made for a call of fewer than 16 values
};

}  // namespace sdxl
