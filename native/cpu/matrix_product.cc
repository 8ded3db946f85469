#include "cpu/matrix_product.h"

namespace sdxl::cpu {

namespace {

constexpr int64_t kDepth = 256;    // with one panel 16 KB of weights: half of a first-level cache
constexpr int64_t kRows = 144;     // with kDepth 144 KB of x: a third of a second-level cache
constexpr int64_t kColumns = 256;  // with kRows 144 KB of sums: another third. Twice as many for pairs, where copying x weighs more

struct Tiling {
  int64_t rows, panels;             // of a tile
  int64_t row_tiles, column_tiles;  // of the product
};

Tiling tiling_of(int64_t rows, const PackedWeight& weight, const Kernels& kernels, int threads) {
  const int64_t panels = weight.panels(), columns = weight.paired ? 2 * kColumns : kColumns;
  // Equal tiles rather than full ones and a rest.
  const auto even = [](int64_t all, int64_t most) { return Context::blocks(all, Context::blocks(all, std::max<int64_t>(most, 1))); };
  Tiling t;
  t.rows = std::min(rows, Context::round_up(even(rows, kRows), kernels.tile_rows));
  t.row_tiles = Context::blocks(rows, t.rows);
  // Some tiles for each thread, or the last one keeps the others waiting.
  const int64_t wanted = threads == 1 ? 1 : Context::blocks(int64_t(threads) * 6, t.row_tiles);
  t.panels = even(panels, std::min(columns / kernels.panel, Context::blocks(panels, wanted)));
  t.column_tiles = Context::blocks(panels, t.panels);
  return t;
}

// Bias and time embedding of one panel of one image, gates behind values, zeros where there is none.
void gather_bias(const MatrixProduct& p, int64_t panel, int64_t image, float* to) {
  const int64_t each = p.weight.outputs_each(), first = panel * each, count = std::min(each, p.weight.outputs() - first);
  std::fill_n(to, p.weight.panel, 0.0f);
  for (int half = 0; half < (p.weight.geglu ? 2 : 1); ++half)
    for (int64_t i = 0; i < count; ++i) {
      const int64_t column = half * p.weight.outputs() + first + i;
      if (p.bias) to[half * each + i] += p.bias[column];
      if (p.per_image) to[half * each + i] += p.per_image[image * p.weight.out + column];
    }
}

void finish_panel(const Context& context, const MatrixProduct& p, int64_t panel, int64_t row0, int64_t rows, const float* sums) {
  const int64_t each = p.weight.outputs_each(), outputs = p.weight.outputs();
  float bias[kPanelMax];
  for (int64_t row = row0; row < row0 + rows;) {
    const int64_t image = p.per_image ? row / p.rows_per_image : 0;
    const int64_t end = p.per_image ? std::min(row0 + rows, (image + 1) * p.rows_per_image) : row0 + rows;
    gather_bias(p, panel, image, bias);
    const int64_t at = row * outputs + panel * each;
    context.kernels.finish({.product = sums + (row - row0) * p.weight.panel,
                            .bias = bias,
                            .residual = p.residual ? p.residual + at : nullptr,
                            .y = p.y + at,
                            .rows = end - row,
                            .columns = std::min(each, outputs - panel * each),
                            .stride = outputs,
                            .activation = p.activation,
                            .geglu = p.weight.geglu});
    row = end;
  }
}

}  // namespace

Array rounded_to_pairs(const Context& context, const float* x, int64_t rows, int64_t columns) {
  const int64_t words = (columns + 1) / 2;
  Array pairs = context.arena.take({rows, words});
  context.in_pieces(rows, Context::blocks(1 << 16, std::max<int64_t>(columns, 1)), [&](int64_t begin, int64_t end) {
    context.kernels.pairs->round(x + begin * columns, end - begin, columns, columns, reinterpret_cast<uint32_t*>(pairs.data()) + begin * words, words);
  });
  return pairs;
}

void multiply(const Context& context, const MatrixProduct& p) {
  const Kernels& kernels = context.kernels;
  const PackedWeight& weight = p.weight;
  if (p.rows == 0 || weight.out == 0) return;
  const Tiling t = tiling_of(p.rows, weight, kernels, context.pool.threads());

  const int64_t x_size = t.rows * kDepth, weight_size = kDepth * kernels.panel, panel_size = t.rows * kernels.panel;
  context.with_scratch(t.row_tiles * t.column_tiles, x_size + weight_size + t.panels * panel_size, [&](int64_t tile, float* scratch) {
    // Tiles of the same columns follow each other, so their weights are still in a cache.
    const int64_t row0 = tile % t.row_tiles * t.rows, rows = std::min(t.rows, p.rows - row0);
    const int64_t first = tile / t.row_tiles * t.panels, end = std::min(weight.panels(), first + t.panels);
    float *x = scratch, *weight_scratch = x + x_size, *sums = weight_scratch + weight_size;
    const auto add = [&](const RowSource& source, const PackedWeight& factor, bool begins, bool ends) {
      for (int64_t k = 0; k < factor.steps(); k += kDepth) {
        const int64_t depth = std::min(kDepth, factor.steps() - k);
        source.copy(row0, rows, k, depth, x, kDepth);
        for (int64_t panel = first; panel < end; ++panel) {
          float* panel_sums = sums + (panel - first) * panel_size;
          const bool more = k > 0 || !begins;
          if (factor.paired) {
            const auto *a = reinterpret_cast<const uint32_t*>(x), *b = static_cast<const uint32_t*>(factor.at(factor.element(panel, 2 * k)));
            kernels.pairs->multiply(rows, depth, a, kDepth, b, panel_sums, kernels.panel, more);
          } else {
            const float* columns = widened(kernels, factor, factor.element(panel, k), depth * factor.panel, weight_scratch);
            kernels.multiply(rows, depth, x, kDepth, columns, panel_sums, kernels.panel, more);
          }
          if (ends && k + depth == factor.steps()) finish_panel(context, p, panel, row0, rows, panel_sums);
        }
      }
    };
    add(p.x, weight, true, !p.weight2);
    if (p.weight2) add(*p.x2, *p.weight2, false, true);
  });
}

void multiply(const Context& context, MatrixProduct product, const ops::LowRank& added, const RowSource& x_down) {
  if (!added.down) return multiply(context, product);
  const auto& down = static_cast<const PackedWeight&>(*added.down);
  const auto& up = static_cast<const PackedWeight&>(*added.up);
  require(down.depth == product.weight.depth && up.depth == down.out, "a low-rank addition whose factors do not fit");
  require(up.out == product.weight.out && up.geglu == product.weight.geglu, "a low-rank addition of another shape than its weight");
  const Array inner = context.arena.take({product.rows, down.out});
  multiply(context, {.x = x_down, .weight = down, .rows = product.rows, .y = inner.data()});
  const DenseRows x2(inner.data(), down.out);
  product.x2 = &x2, product.weight2 = &up;
  multiply(context, product);
}

}  // namespace sdxl::cpu
