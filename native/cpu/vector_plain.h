// Four floats in the vector extension that GCC and Clang have on every machine. (A struct with a float[4] is five times slower: GCC 12
// at -O3 does not bring such arrays back into registers.) Other instruction sets give a type of the same shape.
#pragma once

#include <cstdint>
#include <cstring>

namespace sdxl::cpu {
namespace {  // whatever is instantiated for this type stays inside its translation unit

struct PlainVector {
  typedef float Raw __attribute__((vector_size(16)));
  typedef int32_t Bits __attribute__((vector_size(16)));
  using Number = float;      // what multiply_tile reads
  using Sums = PlainVector;  // and what it adds up
  static constexpr int kWidth = 4;
  static constexpr int kTileRows = 4;  // of a matrix product: 2 · kTileRows accumulators, 2 columns and 1 row value fill the registers

  Raw raw;

  static PlainVector all(float x) { return {Raw{x, x, x, x}}; }
  static PlainVector load(const float* from) {
    PlainVector v;
    std::memcpy(&v.raw, from, sizeof v.raw);
    return v;
  }
  void store(float* to) const { std::memcpy(to, &raw, sizeof raw); }

  // Finite values only. 2^112 puts the exponent right, for subnormals too.
  static PlainVector load_f16(const uint16_t* from) {
    const Bits half = {from[0], from[1], from[2], from[3]};
    const Raw magnitude = (Raw)((half & 0x7FFF) << 13) * 0x1p112f;
    return {(Raw)((Bits)magnitude | ((half & 0x8000) << 16))};
  }
  static PlainVector load_bf16(const uint16_t* from) {
    const Bits high = {from[0], from[1], from[2], from[3]};
    return {(Raw)(high << 16)};
  }

  friend PlainVector operator+(PlainVector a, PlainVector b) { return {a.raw + b.raw}; }
  friend PlainVector operator-(PlainVector a, PlainVector b) { return {a.raw - b.raw}; }
  friend PlainVector operator*(PlainVector a, PlainVector b) { return {a.raw * b.raw}; }
  friend PlainVector operator/(PlainVector a, PlainVector b) { return {a.raw / b.raw}; }
  // a · b + c; in one rounding where the instruction set has it
  friend PlainVector fma(PlainVector a, PlainVector b, PlainVector c) { return {a.raw * b.raw + c.raw}; }

  // a < b ? x : y in each lane; y where a or b is NaN
  friend PlainVector where_less(PlainVector a, PlainVector b, PlainVector x, PlainVector y) {
    const Bits less = a.raw < b.raw;
    return {(Raw)((less & (Bits)x.raw) | (~less & (Bits)y.raw))};
  }
  // The second where either is NaN.
  friend PlainVector max(PlainVector a, PlainVector b) { return where_less(b, a, a, b); }
  friend PlainVector min(PlainVector a, PlainVector b) { return where_less(a, b, a, b); }

  // The lowest mantissa bits moved to the place of the exponent.
  friend PlainVector bits_to_exponent(PlainVector a) { return {(Raw)((Bits)a.raw << 23)}; }

  friend float sum(PlainVector a) { return (a.raw[0] + a.raw[2]) + (a.raw[1] + a.raw[3]); }
  friend float largest(PlainVector a) {
    float top = a.raw[0];
    for (int i = 1; i < kWidth; ++i) top = a.raw[i] > top ? a.raw[i] : top;
    return top;
  }

  // Sums in double, one for each lane.
  struct Doubles {
    typedef double Raw __attribute__((vector_size(32)));
    Raw raw;
    static Doubles load(const double* from) {
      Doubles d;
      std::memcpy(&d.raw, from, sizeof d.raw);
      return d;
    }
    void store(double* to) const { std::memcpy(to, &raw, sizeof raw); }
    void add(PlainVector v) { raw += __builtin_convertvector(v.raw, Raw); }
    void add_square(PlainVector v) {
      const Raw wide = __builtin_convertvector(v.raw, Raw);
      raw += wide * wide;
    }
  };
};

}  // namespace
}  // namespace sdxl::cpu
