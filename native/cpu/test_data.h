// What the tests of the CPU backend share: reproducible numbers, weights in every file format, the backends to compare.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "reference/backend.h"
#include "test/check.h"
#include "test/numbers.h"

namespace sdxl::test {

// `values` as a file of that format holds them, at an odd address.
class FileBytes {
 public:
  FileBytes(const std::vector<float>& values, DType dtype) : dtype_(dtype), bytes_(values.size() * size_t(size_of(dtype)) + 1) {
    std::byte* to = bytes_.data() + 1;
    for (const float v : values) {
      const auto put = [&](auto bits) {
        std::memcpy(to, &bits, sizeof bits);
        to += sizeof bits;
      };
      if (dtype == DType::f32) put(v);
      else if (dtype == DType::f16) put(f32_to_f16(v));
      else if (dtype == DType::bf16) put(f32_to_bf16(v));
      else if (dtype == DType::f8_e5m2) put(uint8_t(f32_to_f16(v) >> 8));
      else put(uint8_t((std::signbit(v) ? 0x80 : 0) | uint8_t(std::abs(v) * 0x38)));  // some e4m3 below 1
    }
  }
  ops::WeightRows rows(int64_t rows, int64_t columns, bool transposed = false) const { return {bytes_.data() + 1, dtype_, rows, columns, transposed}; }

 private:
  DType dtype_;
  std::vector<std::byte> bytes_;
};

inline const std::vector<DType> kFileTypes = {DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e5m2};
inline const std::vector<ops::Storage> kStorages = {ops::Storage::source, ops::Storage::f32, ops::Storage::f16, ops::Storage::bf16};

// Whether the backend multiplies such weights in bf16, to which it rounds x first. Its sums are those of fp32 from there on.
inline bool multiplies_bf16(const ops::Backend& backend, ops::Storage storage) {
  return storage == ops::Storage::bf16 && std::string(backend.name()) == "cpu-avx512bf16";
}
inline std::vector<float> rounded_to_bf16(std::vector<float> values) {
  for (float& v : values) v = bf16_to_f32(f32_to_bf16(v));
  return values;
}

// Calls body with a backend of every instruction set here, with one and with two threads.
inline void on_each_backend(const std::function<void(ops::Backend&, const std::string&)>& body) {
  for (const std::string& isa : available_isas())
    for (const int threads : {1, 2}) {
      const auto backend = make_cpu_backend(threads, 0, isa);
      body(*backend, isa + " on " + std::to_string(threads) + " threads, ");
      check(backend->arena().used() == 0, __FILE__, __LINE__, isa + ": scratch memory was not given back");
    }
}

// A vector with guards on both sides, which must come out as they were: no op writes beyond its tensor.
class Guarded {
 public:
  explicit Guarded(int64_t size, float value = NAN) : values_(size_t(size) + 2 * kGuard, kMark) {
    for (int64_t i = 0; i < size; ++i) values_[size_t(i) + kGuard] = value;
  }
  explicit Guarded(const std::vector<float>& from) : Guarded(int64_t(from.size())) { std::memcpy(data(), from.data(), from.size() * sizeof(float)); }
  float* data() { return values_.data() + kGuard; }
  std::vector<float> values() const { return {values_.begin() + kGuard, values_.end() - kGuard}; }
  bool intact() const {
    for (size_t i = 0; i < kGuard; ++i)
      if (values_[i] != kMark || values_[values_.size() - 1 - i] != kMark) return false;
    return true;
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr float kMark = -12345.5f;
  std::vector<float> values_;
};

// One check for a whole tensor; says where it is worst.
inline void check_close(const std::vector<float>& found, const std::vector<float>& wanted, double tolerance, const std::string& what) {
  double worst = -1;
  size_t at = 0;
  for (size_t i = 0; i < wanted.size() && found.size() == wanted.size(); ++i) {
    const double error = std::abs(double(found[i]) - wanted[i]);
    if (!(error <= worst)) {
      worst = error;
      at = i;
      if (std::isnan(error)) break;
    }
  }
  const bool ok = found.size() == wanted.size() && worst <= tolerance;
  check(ok, "cpu", 0,
        what + (ok ? ""
                   : ": at " + std::to_string(at) + " found " + std::to_string(found[at]) + ", wanted " + std::to_string(wanted[at]) + ", error " +
                         std::to_string(worst) + " above " + std::to_string(tolerance)));
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// For a sum of `terms` products of numbers of at most 1. Each addition rounds by at most half an ulp of the running sum, which for
// random signs seldom passes √terms, and the roundings have random signs themselves: terms / 2 ulps of 1 is what the worst of many sums
// stays below, and what a missing or misplaced term, about 0.3, exceeds by orders. Four more ulps for bias, residual and activation.
inline double sum_tolerance(int64_t terms) { return 0x1p-23 * (4 + double(terms) / 2); }

}  // namespace sdxl::test
