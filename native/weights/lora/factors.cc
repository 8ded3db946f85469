#include "weights/lora/factors.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/json.h"
#include "core/number_format.h"
#include "cpu/isa.h"

namespace sdxl::lora {

namespace {

constexpr int64_t kStrip = 12;   // rows of a product at a time: no more streams of results than the CPU fetches ahead
constexpr int64_t kDepth = 256;  // steps of a product: so many columns of a panel are a third of that cache

const cpu::Kernels& kernels() {
  static const cpu::Kernels& best = cpu::kernels_named("");
  return best;
}

// The two formats that nearly all files have. The kernels read whole, aligned halves.
void widen(const Factor& factor, int64_t first, int64_t count, float* to) {
  uint16_t halves[4096];
  for (int64_t i = 0; i < count; i += std::ssize(halves)) {
    const int64_t n = std::min<int64_t>(std::ssize(halves), count - i);
    std::memcpy(halves, factor.data + (first + i) * 2, size_t(n) * 2);
    (factor.dtype == DType::f16 ? kernels().widen_f16 : kernels().widen_bf16)(halves, n, to + i);
  }
}

// The widening of F16 knows finite values only, so its infinities and NaNs are found before.
bool has_infinite_halves(const Factor& factor, int64_t first, int64_t count) {
  bool found = false;
  for (int64_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, factor.data + (first + i) * 2, 2);
    found |= !is_finite<DType::f16>(half);
  }
  return found;
}

}  // namespace

void read(const LoraDelta& delta, const Factor& factor, int64_t first, int64_t count, float* to) {
  bool bad = false;
  if (factor.dtype == DType::f16 || factor.dtype == DType::bf16) {
    bad = factor.dtype == DType::f16 && has_infinite_halves(factor, first, count);
    widen(factor, first, count, to);
  } else if (factor.dtype == DType::f32) {
    std::memcpy(to, factor.data + first * 4, size_t(count) * 4);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      double wide;
      if (factor.dtype == DType::f64) std::memcpy(&wide, factor.data + (first + i) * 8, 8);
      else wide = value_at(factor.data, factor.dtype, first + i);
      to[i] = float(wide);
    }
  }
  for (int64_t i = 0; i < count; ++i) bad |= !std::isfinite(to[i]);
  if (bad)
    throw Error(Code::lora_format, delta.file->path() + ": \"" + json::printable(delta.key) + "\" holds NaN or infinite values",
                {{"path", delta.file->path()}, {"key", delta.key}, {"wanted", "finite values"}, {"found", "NaN or infinite values"}});
}

std::vector<float> read(const LoraDelta& delta, const Factor& factor) {
  std::vector<float> values(size_t(factor.rows * factor.columns));
  read(delta, factor, 0, int64_t(values.size()), values.data());
  return values;
}

PackedMatrix::PackedMatrix(const float* values, int64_t depth, int64_t columns) : kernels_(kernels()), depth_(depth), columns_(columns) {
  const int64_t panel = kernels_.panel, panels = (columns + panel - 1) / panel;
  panels_.resize(size_t(panels * depth * panel));
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t count = std::min(panel, columns - p * panel);
    for (int64_t k = 0; k < depth; ++k) std::copy_n(values + k * columns + p * panel, count, panels_.data() + (p * depth + k) * panel);
  }
}

void PackedMatrix::add_product(int64_t rows, const float* a, int64_t a_stride, float* out, int64_t stride) const {
  const int64_t panel = kernels_.panel;
  float rest[kStrip * cpu::kPanelMax];
  for (int64_t row = 0; row < rows; row += kStrip) {
    const int64_t count = std::min(kStrip, rows - row);
    for (int64_t k = 0; k < depth_; k += kDepth) {
      const int64_t depth = std::min(kDepth, depth_ - k);
      const float* left = a + row * a_stride + k;
      for (int64_t first = 0; first < columns_; first += panel) {
        const float* right = panels_.data() + first * depth_ + k * panel;
        float* to = out + row * stride + first;
        if (first + panel <= columns_) {
          kernels_.multiply(count, depth, left, a_stride, right, to, stride, true);
          continue;
        }
        kernels_.multiply(count, depth, left, a_stride, right, rest, panel, false);
        for (int64_t r = 0; r < count; ++r)
          for (int64_t c = 0; c < columns_ - first; ++c) to[r * stride + c] += rest[r * panel + c];
      }
    }
  }
}

std::vector<float> read_up(const LoraDelta& delta, const Product& product, int64_t first_row, int64_t rows) {
  const int64_t rank = product.rank();
  std::vector<float> up(size_t(rows * rank));
  if (!product.up_is_transposed) {
    read(delta, product.up, first_row * rank, rows * rank, up.data());
    return up;
  }
  const std::vector<float> across = read(delta, product.up);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < rank; ++k) up[size_t(r * rank + k)] = across[size_t(k * product.up.columns + first_row + r)];
  return up;
}

std::vector<float> read_down(const LoraDelta& delta, const Product& product) {
  std::vector<float> down = read(delta, product.down);
  if (!product.core) return down;
  const int64_t rank = product.rank(), in = product.down.columns, taps = product.core.columns / rank;
  const std::vector<float> core = read(delta, product.core);
  std::vector<float> full(size_t(rank * in * taps));  // [m, i, t] = Σₙ core[m, n, t] · down[n, i]
  for (int64_t m = 0; m < rank; ++m)
    for (int64_t n = 0; n < rank; ++n)
      for (int64_t i = 0; i < in; ++i)
        for (int64_t t = 0; t < taps; ++t) full[size_t((m * in + i) * taps + t)] += core[size_t((m * rank + n) * taps + t)] * down[size_t(n * in + i)];
  return full;
}

ReadyProduct::ReadyProduct(const LoraDelta& delta, const Product& product, int64_t first_row, int64_t rows)
    : rank_(product.rank()),
      up_(read_up(delta, product, first_row, rows)),
      down_(read_down(delta, product).data(), rank_, product.core ? product.down.columns * (product.core.columns / rank_) : product.down.columns) {}

void ReadyProduct::add(int64_t first, int64_t count, float factor, float* out, int64_t stride) const {
  std::vector<float> up(size_t(std::min(count, kStrip) * rank_));
  for (int64_t row = 0; row < count; row += kStrip) {
    const int64_t n = std::min(kStrip, count - row);
    for (int64_t i = 0; i < n * rank_; ++i) up[size_t(i)] = factor * up_[size_t((first + row) * rank_ + i)];
    down_.add_product(n, up.data(), rank_, out + row * stride, stride);
  }
}

}  // namespace sdxl::lora
