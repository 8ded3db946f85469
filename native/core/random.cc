#include "core/random.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace sdxl {

namespace {

std::pair<uint32_t, uint32_t> multiply(uint32_t a, uint32_t b) {  // high and low half
  const uint64_t product = uint64_t(a) * b;
  return {uint32_t(product >> 32), uint32_t(product)};
}

// Sixteen uniform values in [0, 1) to sixteen normal ones: value j pairs with value j + 8.
void box_muller_16(float* x) {
  for (int j = 0; j < 8; ++j) {
    const float u = 1 - x[j];  // (0, 1]: its logarithm is finite
    const float radius = std::sqrt(-2 * std::log(u)), angle = 2 * std::numbers::pi_v<float> * x[j + 8];
    x[j] = radius * std::cos(angle);
    x[j + 8] = radius * std::sin(angle);
  }
}

}  // namespace

std::array<uint32_t, 4> Philox::block(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const auto [high0, low0] = multiply(0xD2511F53, counter[0]);
    const auto [high1, low1] = multiply(0xCD9E8D57, counter[2]);
    counter = {high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

void Philox::normal(uint64_t seed, uint64_t draw, std::span<float> out) {
  // Box-Muller with the constants of cuRAND's curand_normal, in double. cuRAND itself works in float, which differs in the last two or three bits.
  constexpr double kUnit = 0x1p-32, kAngle = kUnit * 2 * std::numbers::pi;
  const std::array<uint32_t, 2> key = {uint32_t(seed), uint32_t(seed >> 32)};
  for (size_t i = 0; i < out.size(); ++i) {
    const auto bits = block({uint32_t(draw), uint32_t(draw >> 32), uint32_t(i), uint32_t(uint64_t(i) >> 32)}, key);
    const double u = bits[0] * kUnit + kUnit / 2, v = bits[1] * kAngle + kAngle / 2;  // both above 0
    out[i] = float(std::sqrt(-2 * std::log(u)) * std::sin(v));
  }
}

TorchCpu::TorchCpu(uint64_t seed) : engine_(uint32_t(seed)) {}

void TorchCpu::normal(std::span<float> out) {
  if (out.size() < 16) {
    for (float& x : out) x = float(next_normal());
    return;
  }
  const auto uniform = [&] { return float(engine_() & 0xFFFFFF) * 0x1p-24f; };
  for (float& x : out) x = uniform();
  for (size_t i = 0; i + 16 <= out.size(); i += 16) box_muller_16(&out[i]);
  if (out.size() % 16 == 0) return;
  // The last sixteen are made anew, those of them that were finished already too.
  float* tail = out.data() + out.size() - 16;
  for (int j = 0; j < 16; ++j) tail[j] = uniform();
  box_muller_16(tail);
}

double TorchCpu::next_normal() {
  if (cached_) return *std::exchange(cached_, std::nullopt);
  const auto uniform = [&] {
    const uint64_t high = engine_(), low = engine_();
    return double((high << 32 | low) & ((uint64_t(1) << 53) - 1)) * 0x1p-53;
  };
  const double u1 = uniform(), u2 = uniform();
  const double radius = std::sqrt(-2 * std::log1p(-u2)), angle = 2 * std::numbers::pi * u1;
  cached_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

}  // namespace sdxl
