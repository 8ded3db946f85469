#include "cpu/matrix_product.h"

namespace sdxl::cpu {

namespace {

constexpr int64_t kDepth = 256;    // with one panel 16 KB of weights: half of a first-level cache
constexpr int64_t kRows = 144;     // with kDepth 144 KB of x: a third of a second-level cache
constexpr int64_t kColumns = 256;  // with kRows 144 KB of sums: another third

struct Tiling {
  int64_t rows, panels;             // of a tile
  int64_t row_tiles, column_tiles;  // of the product
};

Tiling tiling_of(int64_t rows, int64_t panels, const Kernels& kernels, int threads) {
  // Equal tiles rather than full ones and a rest.
  const auto even = [](int64_t all, int64_t most) { return Context::blocks(all, Context::blocks(all, std::max<int64_t>(most, 1))); };
  Tiling t;
  t.rows = std::min(rows, Context::round_up(even(rows, kRows), kernels.tile_rows));
  t.row_tiles = Context::blocks(rows, t.rows);
  // Some tiles for each thread, or the last one keeps the others waiting.
  const int64_t wanted = threads == 1 ? 1 : Context::blocks(int64_t(threads) * 6, t.row_tiles);
  t.panels = even(panels, std::min(kColumns / kernels.panel, Context::blocks(panels, wanted)));
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

void multiply(const Context& context, const MatrixProduct& p) {
  const Kernels& kernels = context.kernels;
  const PackedWeight& weight = p.weight;
  if (p.rows == 0 || weight.out == 0) return;
  const Tiling t = tiling_of(p.rows, weight.panels(), kernels, context.pool.threads());

  const int64_t x_size = t.rows * kDepth, weight_size = kDepth * kernels.panel, panel_size = t.rows * kernels.panel;
  context.with_scratch(t.row_tiles * t.column_tiles, x_size + weight_size + t.panels * panel_size, [&](int64_t tile, float* scratch) {
    // Tiles of the same columns follow each other, so their weights are still in a cache.
    const int64_t row0 = tile % t.row_tiles * t.rows, rows = std::min(t.rows, p.rows - row0);
    const int64_t first = tile / t.row_tiles * t.panels, end = std::min(weight.panels(), first + t.panels);
    float *x = scratch, *weight_scratch = x + x_size, *sums = weight_scratch + weight_size;
    for (int64_t k = 0; k < weight.depth; k += kDepth) {
      const int64_t depth = std::min(kDepth, weight.depth - k);
      p.x.copy(row0, rows, k, depth, x, kDepth);
      for (int64_t panel = first; panel < end; ++panel) {
        const float* columns = widened(kernels, weight, (panel * weight.depth + k) * weight.panel, depth * weight.panel, weight_scratch);
        float* panel_sums = sums + (panel - first) * panel_size;
        kernels.multiply(rows, depth, x, kDepth, columns, panel_sums, kernels.panel, k > 0);
        if (k + depth == weight.depth) finish_panel(context, p, panel, row0, rows, panel_sums);
      }
    }
  });
}

}  // namespace sdxl::cpu
