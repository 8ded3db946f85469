// What the tests of the kernels share: 16-bit numbers, launches in the emulator, comparison with the reference.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "cpu/test_data.h"
#include "cuda/emulator/global_memory.h"
#include "cuda/emulator/registry.h"
#include "cuda/kernels/matrix_parameters.h"
#include "cuda/launch/launch.h"
#include "cuda/launch/tiles.h"
#include "ops/activation.h"
#include "test/check.h"

namespace sdxl::test {

using emulator::Buffer;

inline const std::vector<cuda::Element> kElements = {cuda::Element::bf16, cuda::Element::fp16};
inline constexpr cuda::Chip kA100{80, 108, 163 << 10}, kAda{89, 128, 99 << 10}, kHopper{90, 132, 227 << 10};

inline uint16_t bits_of(float value, cuda::Element element) { return element == cuda::Element::bf16 ? f32_to_bf16(value) : f32_to_f16(value); }
inline float value_of(uint16_t bits, cuda::Element element) { return element == cuda::Element::bf16 ? bf16_to_f32(bits) : f16_to_f32(bits); }

// Random numbers of −1 … 1 on the device, and as fp32 what the device sees.
struct Numbers {
  std::vector<float> values;
  Buffer<uint16_t> device;

  Numbers(int64_t count, uint64_t seed, cuda::Element element) : Numbers(numbers(count, seed), element) {}
  Numbers(const std::vector<float>& from, cuda::Element element, bool writable = false) : values(from), device(to_bits(from, element), writable) {
    for (float& v : values) v = value_of(bits_of(v, element), element);
  }
  const uint16_t* data() const { return device.data(); }
  static std::vector<uint16_t> to_bits(const std::vector<float>& from, cuda::Element element) {
    std::vector<uint16_t> bits;
    for (const float v : from) bits.push_back(bits_of(v, element));
    return bits;
  }
};

inline std::vector<float> values_of(const Buffer<uint16_t>& buffer, cuda::Element element) {
  std::vector<float> values;
  for (const uint16_t bits : buffer.values()) values.push_back(value_of(bits, element));
  return values;
}

// Not a number, so that what is not written shows.
inline Buffer<uint16_t> unwritten(int64_t count) { return Buffer<uint16_t>(size_t(count), uint16_t(0x7FFF)); }

inline emulator::Report emulate(const cuda::Launch& launch, unsigned seed = 1) {
  const emulator::Kernel* kernel = emulator::find_kernel(launch.kernel.c_str());
  check(kernel && kernel->threads == launch.threads, __FILE__, __LINE__, launch.kernel + " and its launch do not agree on the threads of a block");
  return emulator::launch(launch.kernel.c_str(), {launch.grid.x, launch.grid.y, launch.grid.z}, launch.shared_bytes, launch.parameters(),
                          launch.parameter_bytes(), seed);
}

// Half a unit in the last place of a number of the 16-bit format, relative to the number.
inline double rounding_of(cuda::Element element) { return element == cuda::Element::bf16 ? 0x1p-8 : 0x1p-11; }

// Of an activation behind a matrix product; GEGLU, which is one of pairs, has none.
inline ops::Activation meaning_of(cuda::MatrixActivation activation) {
  switch (activation) {
    case cuda::MatrixActivation::none: return ops::Activation::none;
    case cuda::MatrixActivation::silu: return ops::Activation::silu;
    case cuda::MatrixActivation::gelu: return ops::Activation::gelu;
    case cuda::MatrixActivation::quick_gelu: return ops::Activation::quick_gelu;
    case cuda::MatrixActivation::relu: return ops::Activation::relu;
    case cuda::MatrixActivation::geglu: break;
  }
  throw std::logic_error("GEGLU is no function of one number");
}

// |found − wanted| ≤ relative · |wanted| + absolute, everywhere.
inline void check_within(const std::vector<float>& found, const std::vector<float>& wanted, double relative, double absolute, const std::string& what) {
  for (size_t i = 0; i < wanted.size() && found.size() == wanted.size(); ++i) {
    const double error = std::abs(double(found[i]) - wanted[i]);
    if (error <= relative * std::abs(wanted[i]) + absolute) continue;
    return check(false, "cuda", 0, what + ": at " + std::to_string(i) + " found " + std::to_string(found[i]) + ", wanted " + std::to_string(wanted[i]));
  }
  check(found.size() == wanted.size(), "cuda", 0, what);
}

}  // namespace sdxl::test
