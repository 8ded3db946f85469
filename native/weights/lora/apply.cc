#include "weights/lora/apply.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "weights/lora/factors.h"
#include "weights/lora/rotation.h"

namespace sdxl::lora {

namespace {

constexpr int64_t kStrip = 16;  // rows at a time where Δ has to be held apart

// Some rows of the parameter.
struct Rows {
  int64_t first, count;
  float factor;
  float* out;      // of row `first`
  int64_t stride;  // between rows of `out`
};
// out += factor · Δ, the delta's scale included.
using AddRows = std::function<void(const Rows&)>;

// What each family does, factors read once. `base` may be null where it is not used.
struct Ready {
  const LoraDelta& delta;
  const float* base;

  AddRows operator()(const Product& p) const {
    return [scale = float(delta.scale), product = ReadyProduct(delta, p, delta.first_row, delta.rows())](const Rows& r) {
      product.add(r.first, r.count, r.factor * scale, r.out, r.stride);
    };
  }

  AddRows operator()(const Hadamard& h) const {
    return [scale = float(delta.scale), columns = delta.columns, first = ReadyProduct(delta, h.first, delta.first_row, delta.rows()),
            second = ReadyProduct(delta, h.second, delta.first_row, delta.rows())](const Rows& r) {
      std::vector<float> a(size_t(kStrip * columns)), b(a.size());
      for (int64_t row = 0; row < r.count; row += kStrip) {
        const int64_t count = std::min(kStrip, r.count - row);
        std::fill(a.begin(), a.end(), 0.0f), std::fill(b.begin(), b.end(), 0.0f);
        first.add(r.first + row, count, r.factor * scale, a.data(), columns);
        second.add(r.first + row, count, 1, b.data(), columns);
        for (int64_t i = 0; i < count; ++i)
          for (int64_t c = 0; c < columns; ++c) r.out[(row + i) * r.stride + c] += a[size_t(i * columns + c)] * b[size_t(i * columns + c)];
      }
    };
  }

  std::vector<float> values(const Kronecker::Side& side) const {
    if (side.whole) return read(delta, side.whole);
    std::vector<float> matrix(size_t(side.rows * side.columns));
    ReadyProduct(delta, side.product, 0, side.rows).add(0, side.rows, 1, matrix.data(), side.columns);
    return matrix;
  }

  AddRows operator()(const Kronecker& k) const {
    return [scale = float(delta.scale), first_row = delta.first_row, w1 = values(k.w1), w2 = values(k.w2), blocks = k.w1.columns, rows = k.w2.rows,
            columns = k.w2.columns](const Rows& r) {
      for (int64_t row = 0; row < r.count; ++row) {
        const int64_t whole = first_row + r.first + row;
        const float *left = w1.data() + whole / rows * blocks, *right = w2.data() + whole % rows * columns;
        for (int64_t b = 0; b < blocks; ++b) {
          const float factor = r.factor * scale * left[b];
          float* out = r.out + row * r.stride + b * columns;
          for (int64_t c = 0; c < columns; ++c) out[c] += factor * right[c];
        }
      }
    };
  }

  AddRows operator()(const Difference& d) const {
    return [this_delta = &delta, d](const Rows& r) {
      const int64_t columns = this_delta->columns;
      const float factor = r.factor * float(this_delta->scale);
      std::vector<float> values(static_cast<size_t>(columns));
      for (int64_t row = 0; row < r.count; ++row) {
        read(*this_delta, d.values, (this_delta->first_row + r.first + row) * columns, columns, values.data());
        for (int64_t c = 0; c < columns; ++c) r.out[row * r.stride + c] += factor * values[size_t(c)];
      }
    };
  }

  AddRows operator()(const Scaling& s) const {
    return [scale = float(delta.scale), base = base, first_row = delta.first_row, columns = delta.columns, taps = delta.taps(), on_input = s.on_input,
            values = read(delta, s.values)](const Rows& r) {
      for (int64_t row = 0; row < r.count; ++row)
        for (int64_t c = 0; c < columns; ++c)
          r.out[row * r.stride + c] += r.factor * scale * base[(r.first + row) * columns + c] * values[size_t(on_input ? c / taps : first_row + r.first + row)];
    };
  }

  AddRows operator()(const Generalized& g) const {
    const std::vector<float> a1 = read(delta, g.a.up), a2 = read(delta, g.a.down);
    const int64_t in = g.a.up.rows, rank = g.a.rank();
    return [scale = float(delta.scale), base = base, in, rank, taps = delta.taps(), a1 = PackedMatrix(a1.data(), in, rank),
            a2 = PackedMatrix(a2.data(), rank, in), b = ReadyProduct(delta, g.b, delta.first_row, delta.rows())](const Rows& r) {
      b.add(r.first, r.count, r.factor * scale, r.out, r.stride);
      std::vector<float> w(size_t(taps * in)), inner(size_t(taps * rank)), outer(w.size());
      for (int64_t row = 0; row < r.count; ++row) {
        const float* from = base + (r.first + row) * in * taps;
        for (int64_t i = 0; i < in; ++i)
          for (int64_t t = 0; t < taps; ++t) w[size_t(t * in + i)] = from[i * taps + t];
        std::fill(inner.begin(), inner.end(), 0.0f), std::fill(outer.begin(), outer.end(), 0.0f);
        a1.add_product(taps, w.data(), in, inner.data(), rank);
        a2.add_product(taps, inner.data(), rank, outer.data(), in);
        for (int64_t i = 0; i < in; ++i)
          for (int64_t t = 0; t < taps; ++t) r.out[row * r.stride + i * taps + t] += r.factor * scale * outer[size_t(t * in + i)];
      }
    };
  }

  AddRows operator()(const Rotation& rotation) const {
    return [columns = delta.columns, change = rotated(delta, rotation, base)](const Rows& r) {
      for (int64_t row = 0; row < r.count; ++row)
        for (int64_t c = 0; c < columns; ++c) r.out[row * r.stride + c] += r.factor * change[size_t((r.first + row) * columns + c)];
    };
  }
};

// Calls visit(first, count, values) with W + Δ, some rows at a time.
template <class Visit>
void each_strip(const LoraDelta& delta, const float* base, const AddRows& add, const Visit& visit) {
  const int64_t columns = delta.columns;
  std::vector<float> strip(size_t(kStrip * columns));
  for (int64_t first = 0; first < delta.rows(); first += kStrip) {
    const int64_t count = std::min(kStrip, delta.rows() - first);
    std::copy_n(base + first * columns, count * columns, strip.data());
    add({first, count, 1, strip.data(), columns});
    visit(first, count, strip.data());
  }
}

// weight += strength · (W′ − W), where W′ is W + Δ with its rows or inputs brought to the lengths that the file says.
void add_decomposed(const LoraDelta& delta, float strength, const float* base, float* weight, const AddRows& add) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();  // LyCORIS adds it to lengths, for those that are 0
  const int64_t columns = delta.columns, taps = delta.taps();
  const std::vector<float> magnitude = read(delta, delta.magnitude);
  const auto add_strip = [&](int64_t first, int64_t count, const float* values, const auto& factor) {
    for (int64_t r = 0; r < count; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        const int64_t at = (first + r) * columns + c;
        weight[at] += strength * (factor(r, c) * values[r * columns + c] - base[at]);
      }
  };
  if (!delta.magnitude_per_input) {
    each_strip(delta, base, add, [&](int64_t first, int64_t count, const float* values) {
      float factors[kStrip];
      for (int64_t r = 0; r < count; ++r) {
        double square = 0;
        for (int64_t c = 0; c < columns; ++c) square += double(values[r * columns + c]) * values[r * columns + c];
        factors[r] = float(magnitude[size_t(delta.first_row + first + r)] / (std::sqrt(square) + kEps));
      }
      add_strip(first, count, values, [&](int64_t r, int64_t) { return factors[r]; });
    });
    return;
  }
  std::vector<double> squares(magnitude.size());
  each_strip(delta, base, add, [&](int64_t, int64_t count, const float* values) {
    for (int64_t r = 0; r < count; ++r)
      for (int64_t c = 0; c < columns; ++c) squares[size_t(c / taps)] += double(values[r * columns + c]) * values[r * columns + c];
  });
  std::vector<float> factors(size_t(columns), 0);
  for (int64_t c = 0; c < columns; ++c) factors[size_t(c)] = float(magnitude[size_t(c / taps)] / (std::sqrt(squares[size_t(c / taps)]) + kEps));
  each_strip(delta, base, add, [&](int64_t first, int64_t count, const float* values) {
    add_strip(first, count, values, [&](int64_t, int64_t c) { return factors[size_t(c)]; });
  });
}

}  // namespace

bool reads_base(const LoraDelta& delta) {
  return delta.magnitude || std::holds_alternative<Scaling>(delta.kind) || std::holds_alternative<Generalized>(delta.kind) ||
         std::holds_alternative<Rotation>(delta.kind);
}

void add_delta(const LoraDelta& delta, float strength, const float* base, float* weight) {
  const AddRows add = std::visit(Ready{delta, base}, delta.kind);
  if (delta.magnitude) return add_decomposed(delta, strength, base, weight, add);
  add({0, delta.rows(), strength, weight, delta.row_stride()});
}

std::optional<LowRank> low_rank(const LoraDelta& delta) {
  const Product* product = std::get_if<Product>(&delta.kind);
  if (!product || delta.magnitude) return {};
  LowRank factors{product->rank(), read_up(delta, *product, delta.first_row, delta.rows()), {}};
  for (float& value : factors.up) value *= float(delta.scale);
  const std::vector<float> down = read_down(delta, *product);
  factors.down.resize(size_t(factors.rank * delta.row_stride()));
  for (int64_t k = 0; k < factors.rank; ++k) std::copy_n(down.data() + k * delta.columns, delta.columns, factors.down.data() + k * delta.row_stride());
  return factors;
}

}  // namespace sdxl::lora
