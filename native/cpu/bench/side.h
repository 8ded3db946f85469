// What is measured beside something else: one op of one shape at a time, in a process of its own that bench/cpu drives over pipes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sdxl::bench {

// Inputs that are the same numbers for every side and type: multiples of 1/128 from −1 to 127/128, exact in fp16 and bf16. bench/cpu/values.mjs and
// torch_peer.py have the same formula.
inline float value(uint32_t index, uint32_t seed) {
  uint32_t bits = index + seed * 0x9e3779b9u;
  bits = (bits ^ (bits >> 16)) * 0x7feb352du;
  bits = (bits ^ (bits >> 15)) * 0x846ca68bu;
  bits ^= bits >> 16;
  return (float(bits >> 24) - 128) * 0x1p-7f;
}
constexpr uint32_t kFirst = 1, kSecond = 2, kThird = 3;  // seeds of: x, weight, bias; or q, k, v

struct Case {
  std::string kind;
  std::vector<int64_t> sizes;  // linear, geglu, pack: rows, in, out; conv: size, channels; attention: heads, queries, keys, width; group_norm: size, channels;
                               // layer_norm: rows, channels
  float scale;                 // a power of two: of the weights, or of q
};

class Side {
 public:
  virtual ~Side() = default;
  virtual std::string name() = 0;
  virtual std::string open(const Case&) = 0;                  // how it will be computed, or nothing to say; throws std::runtime_error where it cannot be
  virtual void run() = 0;                                     // once, of the open case
  virtual std::vector<float> result() = 0;                    // [rows, out] or [height, width, channels] of the last run; empty: nothing to compare
  virtual double peak(double /*milliseconds*/) { return 0; }  // GFLOP/s that the multiply-add units reach without memory in that time; 0: not known
};

// In fp32 with fp16 weights that are widened, or with weights in bf16 and products in it. `isa`: "" for the best.
std::unique_ptr<Side> make_own_side(bool bf16, const std::string& isa);

// oneDNN 3, of a shared library, by its C API.
std::unique_ptr<Side> make_onednn_side(bool bf16, const std::string& library);

}  // namespace sdxl::bench
