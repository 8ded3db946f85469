#include "weights/lora/rotation.h"

#include <algorithm>
#include <cmath>

#include "weights/lora/factors.h"

namespace sdxl::lora {

namespace {

// R = (I + Q)(I − Q)⁻¹ of one block in place; b holds B and becomes R. The two factors commute, so R solves (I − Q) R = I + Q, by Gauss
// and Jordan's elimination. I − Q cannot be singular: Q's eigenvalues are imaginary.
void cayley(int64_t n, double shortening, std::vector<double>& b) {
  std::vector<double> left(size_t(n * n)), right(size_t(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const double q = shortening * (b[size_t(i * n + j)] - b[size_t(j * n + i)]), one = i == j;
      left[size_t(i * n + j)] = one - q, right[size_t(i * n + j)] = one + q;
    }
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::abs(left[size_t(i * n + k)]) > std::abs(left[size_t(pivot * n + k)])) pivot = i;
    for (std::vector<double>* m : {&left, &right})
      if (pivot != k) std::swap_ranges(m->begin() + k * n, m->begin() + (k + 1) * n, m->begin() + pivot * n);
    const double inverse = 1 / left[size_t(k * n + k)];
    for (std::vector<double>* m : {&left, &right})
      for (int64_t j = 0; j < n; ++j) (*m)[size_t(k * n + j)] *= inverse;
    for (int64_t i = 0; i < n; ++i) {
      const double factor = left[size_t(i * n + k)];
      if (i == k || factor == 0) continue;
      double *l = left.data() + i * n, *r = right.data() + i * n;
      for (int64_t j = k; j < n; ++j) l[j] -= factor * left[size_t(k * n + j)];
      for (int64_t j = 0; j < n; ++j) r[j] -= factor * right[size_t(k * n + j)];
    }
  }
  b = std::move(right);
}

// How much shorter Q has to be over all blocks.
double shortening_of(const Rotation& r, const std::vector<float>& blocks) {
  if (r.limit <= 0) return 1;
  double square = 0;
  const int64_t n = r.size;
  for (size_t block = 0; block < blocks.size(); block += size_t(n * n))
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const double q = double(blocks[block + size_t(i * n + j)]) - blocks[block + size_t(j * n + i)];
        square += q * q;
      }
  const double norm = std::sqrt(square);
  return norm > r.limit ? r.limit / norm : 1;
}

}  // namespace

std::vector<float> rotated(const LoraDelta& delta, const Rotation& r, const float* base) {
  const int64_t rows = delta.rows(), columns = delta.row_stride(), n = r.size;
  const std::vector<float> blocks = read(delta, r.blocks);
  const double shortening = shortening_of(r, blocks);

  std::vector<float> all(base, base + rows * columns), x(size_t(n * columns)), y(x.size()), factors(size_t(n * n));
  for (int64_t stage = 0; stage < std::max<int64_t>(r.stages, 1); ++stage) {
    // Row i of the blocks: in a butterfly, of each group of 2^stage · n rows the two halves are dealt out in turn.
    const int64_t half = r.stages ? (n / 2) << stage : 0;
    const auto row_of = [&](int64_t i) { return half ? i / (2 * half) * 2 * half + i % 2 * half + i % (2 * half) / 2 : i; };
    for (int64_t block = 0; block < r.count; ++block) {
      const float* b = blocks.data() + (stage * r.count + block) * n * n;
      std::vector<double> rotation(b, b + n * n);
      cayley(n, shortening, rotation);
      // OFT is defined on the layer's result as a row, BOFT on columns: one has Rᵀ where the other has R.
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) factors[size_t(i * n + j)] = float(rotation[size_t(r.stages ? i * n + j : j * n + i)]);
      for (int64_t i = 0; i < n; ++i) std::copy_n(all.data() + row_of(block * n + i) * columns, columns, x.data() + i * columns);
      std::fill(y.begin(), y.end(), 0.0f);
      PackedMatrix(x.data(), n, columns).add_product(n, factors.data(), n, y.data(), columns);
      for (int64_t i = 0; i < n; ++i) std::copy_n(y.data() + i * columns, columns, all.data() + row_of(block * n + i) * columns);
    }
  }
  if (r.rescale) {
    const std::vector<float> rescale = read(delta, r.rescale);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < columns; ++c) all[size_t(row * columns + c)] *= rescale[size_t(row)];
  }
  for (size_t i = 0; i < all.size(); ++i) all[i] -= base[i];
  return all;
}

}  // namespace sdxl::lora
