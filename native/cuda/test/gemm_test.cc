#include "cuda/emulator/engine.h"
#include "cuda/launch/matrix.h"
#include "cuda/test/emulated.h"
#include "reference/ops.h"

namespace sdxl::test {

namespace {

struct Layer {
  int64_t rows, columns, inner;
  bool bias = true, per_image = false, residual = false, y_float = false;
  cuda::MatrixActivation activation = cuda::MatrixActivation::none;
  float scale = 1;
  int64_t rank = 0;  // of a low-rank addition
};

std::string text(const Layer& c, cuda::Element element, const cuda::TileChoice& tile) {
  return std::string("gemm ") + name_of(element) + " " + std::to_string(c.rows) + "×" + std::to_string(c.columns) + "×" + std::to_string(c.inner) + " tile " +
         std::to_string(tile.tile.rows) + "×" + std::to_string(tile.tile.columns) + " stages " + std::to_string(tile.stages) + " activation " +
         std::to_string(int(c.activation)) + (c.bias ? " bias" : "") + (c.per_image ? " per image" : "") + (c.residual ? " residual" : "") +
         (c.rank ? " rank " + std::to_string(c.rank) : "");
}

// Columns of geglu are value, gate, value, gate, …
std::vector<float> wanted(const Layer& c, const Numbers& x, const Numbers& w, const Numbers& t, const Numbers& up, const std::vector<float>& bias,
                          const std::vector<float>& per_image, int64_t rows_per_image, const std::vector<float>& residual) {
  const bool geglu = c.activation == cuda::MatrixActivation::geglu;
  const int64_t out = geglu ? c.columns / 2 : c.columns;
  std::vector<float> y(size_t(c.rows * out));
  for (int64_t row = 0; row < c.rows; ++row) {
    const auto sum = [&](int64_t column) {
      double v = 0;
      for (int64_t k = 0; k < c.inner; ++k) v += double(x.values[size_t(row * c.inner + k)]) * w.values[size_t(column * c.inner + k)];
      for (int64_t k = 0; k < c.rank; ++k) v += double(t.values[size_t(row * c.rank + k)]) * up.values[size_t(column * c.rank + k)];
      v *= c.scale;
      if (c.bias) v += bias[size_t(!geglu ? column : column % 2 * out + column / 2)];
      if (c.per_image) v += per_image[size_t(row / rows_per_image * c.columns + column)];
      return v;
    };
    for (int64_t column = 0; column < out; ++column) {
      double v;
      if (geglu) v = sum(2 * column) * reference::activate(ops::Activation::gelu, sum(2 * column + 1));
      else v = reference::activate(meaning_of(c.activation), sum(column));
      if (c.residual) v += residual[size_t(row * out + column)];
      y[size_t(row * out + column)] = float(v);
    }
  }
  return y;
}

void compare(const Layer& c, cuda::Element element, const cuda::TileChoice& tile, unsigned seed = 1, const cuda::Chip* wgmma = nullptr) {
  const int64_t out = c.activation == cuda::MatrixActivation::geglu ? c.columns / 2 : c.columns, rows_per_image = 3;
  const Numbers x(c.rows * c.inner, 1, element), w(c.columns * c.inner, 2, element), t(c.rows * c.rank, 3, element), up(c.columns * c.rank, 4, element);
  const Numbers residual(c.rows * out, 5, element);
  Buffer<float> bias(numbers(c.columns, 6), false), per_image(numbers((c.rows + 2) / rows_per_image * c.columns, 7), false);
  auto y = unwritten(c.rows * out);
  Buffer<float> y_float(c.y_float ? size_t(c.rows * out) : 0, NAN);

  cuda::Linear op{.element = element,
                  .rows = c.rows,
                  .columns = c.columns,
                  .products = {{x.data(), w.data(), c.inner}},
                  .rows_per_image = rows_per_image,
                  .epilogue = {.y = c.y_float ? static_cast<void*>(y_float.data()) : y.data(),
                               .y_float = c.y_float,
                               .bias = c.bias ? bias.data() : nullptr,
                               .per_image = c.per_image ? per_image.data() : nullptr,
                               .residual = c.residual ? residual.data() : nullptr,
                               .activation = c.activation,
                               .scale = c.scale}};
  if (c.rank) op.products.push_back({t.data(), up.data(), c.rank});
  const auto report = emulate(wgmma ? wgmma_launch_of(op, *wgmma, emulator::encode, tile) : launch_of(op, kHopper, tile), seed);
  const std::string what = text(c, element, tile);
  check(report.bank_conflicts == 0, __FILE__, __LINE__, what + " has bank conflicts");
  // The sum is in fp32 (see sum_tolerance), value and gate are each below √inner or so, and the result is rounded once.
  const double sums = sum_tolerance(c.inner + c.rank) * (1 + std::sqrt(double(c.inner)));
  check_within(c.y_float ? y_float.values() : values_of(y, element), wanted(c, x, w, t, up, bias.values(), per_image.values(), rows_per_image, residual.values),
               c.y_float ? 0 : rounding_of(element), sums, what);
}

}  // namespace

TEST("cuda gemm: odd sizes in every tile and number of stages") {
  for (const cuda::Tile& tile : cuda::tiles_of(cuda::Product::gemm))
    for (const cuda::Element element : kElements)
      for (const int stages : {2, 3, 4}) {
        if (cuda::shared_bytes_of(cuda::Product::gemm, {tile, stages}) > kHopper.shared_bytes) continue;
        const unsigned seed = unsigned(stages);
        compare({1, 1, 8}, element, {tile, stages}, seed);
        compare({tile.rows + 5, tile.columns + 16, 200}, element, {tile, stages}, seed);
        compare({tile.rows - 3, tile.columns - 7, 64 * stages}, element, {tile, stages}, seed);
      }
}

TEST("cuda gemm: many tiles, more row tiles than a panel has") {
  compare({64 * 9 + 1, 64 * 3 - 8, 72}, cuda::Element::bf16, {{64, 64}, 3});
  compare({64 * 17, 64 * 2, 64}, cuda::Element::fp16, {{64, 64}, 2});
}

TEST("cuda gemm: epilogues") {
  for (const cuda::Element element : kElements)
    for (const auto activation : {cuda::MatrixActivation::none, cuda::MatrixActivation::silu, cuda::MatrixActivation::gelu, cuda::MatrixActivation::quick_gelu,
                                  cuda::MatrixActivation::relu, cuda::MatrixActivation::geglu})
      for (const bool residual : {false, true})
        for (const int64_t columns : {64, 72, 70, 6, 66}) {
          Layer c{.rows = 67, .columns = columns, .inner = 40, .residual = residual, .activation = activation};
          compare(c, element, {{64, 64}, 2});
          c.bias = false;
          c.per_image = true;
          c.scale = 0.37f;
          c.y_float = true;
          compare(c, element, {{64, 64}, 2});
        }
}

TEST("cuda gemm: low-rank additions") {
  for (const cuda::Element element : kElements)
    for (const int64_t rank : {8, 16, 72})
      for (const int64_t inner : {8, 64, 136}) compare({.rows = 70, .columns = 96, .inner = inner, .residual = true, .rank = rank}, element, {{64, 64}, 3});
}

TEST("cuda gemm: column ranges of wider rows, y in place of the residual") {
  const auto element = cuda::Element::bf16;
  const int64_t rows = 20, inner = 24, columns = 16, wide = 48;
  const Numbers x(rows * wide, 1, element), w(columns * inner, 2, element);
  Numbers y(numbers(rows * wide, 3), element, true);
  const auto before = y.values;
  const cuda::Linear op{.element = element,
                        .rows = rows,
                        .columns = columns,
                        .products = {{x.data() + 8, w.data(), inner, wide}},
                        .epilogue = {.y = y.device.data() + 16, .y_stride = wide, .residual = y.device.data() + 16, .residual_stride = wide}};
  emulate(launch_of(op, kAda));
  auto expected = before;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      double v = before[size_t(row * wide + 16 + column)];
      for (int64_t k = 0; k < inner; ++k) v += double(x.values[size_t(row * wide + 8 + k)]) * w.values[size_t(column * inner + k)];
      expected[size_t(row * wide + 16 + column)] = float(v);
    }
  check_within(values_of(y.device, element), expected, rounding_of(element), sum_tolerance(inner), "column ranges");
}

// What makes pictures of a seed repeatable whatever a table says.
TEST("cuda gemm: the same bits in every tile, and for a row alone or among others") {
  const auto element = cuda::Element::fp16;
  const int64_t rows = 70, columns = 96, inner = 328;
  const Numbers x(rows * inner, 1, element), w(columns * inner, 2, element);
  const auto product = [&](const cuda::TileChoice& tile, int64_t first, int64_t count) {
    auto y = unwritten(count * columns);
    emulate(launch_of(
        cuda::Linear{
            .element = element, .rows = count, .columns = columns, .products = {{x.data() + first * inner, w.data(), inner}}, .epilogue = {.y = y.data()}},
        kHopper, tile));
    return y.values();
  };
  const auto whole = product({{64, 64}, 2}, 0, rows);
  for (const cuda::Tile& tile : cuda::tiles_of(cuda::Product::gemm)) CHECK(product({tile, 3}, 0, rows) == whole);
  const auto row = product({{128, 128}, 2}, 37, 1);
  CHECK(std::equal(row.begin(), row.end(), whole.begin() + 37 * columns));
}

TEST("cuda gemm: what no kernel can do is an error") {
  Buffer<uint16_t> memory(4096);
  const auto code = [&](int64_t inner, int offset, int64_t columns, cuda::MatrixActivation activation) {
    return ERROR_OF(launch_of(cuda::Linear{.element = cuda::Element::bf16,
                                           .rows = 4,
                                           .columns = columns,
                                           .products = {{memory.data() + offset, memory.data(), inner}},
                                           .epilogue = {.y = memory.data(), .activation = activation}},
                              kAda))
        .code;
  };
  CHECK(code(12, 0, 8, cuda::MatrixActivation::none) == Code::internal);
  CHECK(code(16, 1, 8, cuda::MatrixActivation::none) == Code::internal);
  CHECK(code(16, 0, 7, cuda::MatrixActivation::geglu) == Code::internal);
}

// A chip of few multiprocessors, so that blocks take several tiles.
TEST("cuda gemm by wgmma: odd sizes in every tile") {
  const cuda::Chip few{90, 2, 227 << 10};
  for (const cuda::Tile& tile : cuda::tiles_of(cuda::Product::gemm_wgmma))
    for (const bool turns : {false, true}) {
      if (turns && !can_take_turns(tile)) continue;
      const cuda::TileChoice choice{tile, cuda::stages_for(cuda::Product::gemm_wgmma, tile, few), turns};
      for (const cuda::Element element : kElements) {
        compare({1, 1, 8}, element, choice, 1, &few);
        compare({.rows = tile.rows + 5, .columns = tile.columns + 16, .inner = 72, .residual = true}, element, choice, 2, &few);
      }
      compare({tile.rows * 5 - 3, tile.columns - 7, 64 * 7}, cuda::Element::bf16, choice, 3, &few);  // three tiles for one block, two for the other
      compare({.rows = 200, .columns = 328, .inner = 136, .residual = true, .rank = 72}, cuda::Element::fp16, choice, 4, &few);
      compare({.rows = 70, .columns = 40, .inner = 72, .activation = cuda::MatrixActivation::relu}, cuda::Element::fp16, choice, 6, &kHopper);
      compare({.rows = 70, .columns = 64, .inner = 136, .activation = cuda::MatrixActivation::geglu, .rank = 8}, cuda::Element::bf16, choice, 5, &kHopper);
    }
}

}  // namespace sdxl::test
