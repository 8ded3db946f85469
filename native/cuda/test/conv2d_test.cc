#include "cuda/emulator/engine.h"
#include "cuda/launch/matrix.h"
#include "cuda/test/emulated.h"
#include "reference/ops.h"

namespace sdxl::test {

namespace {

struct Layer {
  int64_t batch, height, width, in, out, kernel = 3;
  int stride = 1, padding = 1;
  int64_t behind = 1;  // padding at the right and lower edge
  bool upsample = false;
  int64_t smaller = 0;  // rows and columns that y has less than twice the picture
  bool wrap_x = false, wrap_y = false;
  int64_t second = 0;  // channels of a second picture
  int64_t rank = 0;    // of a low-rank addition
  bool bias = true, per_image = false, residual = false, y_float = false;
  cuda::MatrixActivation activation = cuda::MatrixActivation::none;

  int64_t seen(int64_t size) const { return upsample ? 2 * size - smaller : size; }
  int64_t out_of(int64_t size) const { return upsample ? seen(size) : (size + padding + behind - kernel) / stride + 1; }
};

std::string text(const Layer& c, cuda::Element element, const cuda::TileChoice& tile) {
  return std::string("conv2d ") + name_of(element) + " " + std::to_string(c.batch) + "×" + std::to_string(c.height) + "×" + std::to_string(c.width) + ", " +
         std::to_string(c.in) + "+" + std::to_string(c.second) + "→" + std::to_string(c.out) + " kernel " + std::to_string(c.kernel) + " stride " +
         std::to_string(c.stride) + " padding " + std::to_string(c.padding) + "/" + std::to_string(c.behind) + (c.upsample ? " upsample" : "") +
         (c.wrap_x ? " wrap x" : "") + (c.wrap_y ? " wrap y" : "") + " rank " + std::to_string(c.rank) + " tile " + std::to_string(tile.tile.rows) + "×" +
         std::to_string(tile.tile.columns);
}

int64_t round_up(int64_t channels) { return (channels + 7) / 8 * 8; }

// Channels `from` … of [count, of], with zeros behind up to `to` channels.
std::vector<float> channels_of(const std::vector<float>& x, int64_t of, int64_t from, int64_t channels, int64_t to) {
  std::vector<float> y;
  for (size_t first = 0; first < x.size(); first += size_t(of))
    for (int64_t c = 0; c < to; ++c) y.push_back(c < channels ? x[first + size_t(from + c)] : 0);
  return y;
}

// The picture as the kernel sees it, its margins written out: [batch, height, width, channels].
std::vector<float> with_margins(const Layer& c, const std::vector<float>& x, int64_t channels) {
  const int64_t height = c.seen(c.height), width = c.seen(c.width), margin = c.padding + std::max<int64_t>(c.behind, 1);
  std::vector<float> y;
  for (int64_t b = 0; b < c.batch; ++b)
    for (int64_t i = -c.padding; i < height + margin - c.padding; ++i)
      for (int64_t j = -c.padding; j < width + margin - c.padding; ++j)
        for (int64_t channel = 0; channel < channels; ++channel) {
          const int64_t row = c.wrap_y ? (i % height + height) % height : i, column = c.wrap_x ? (j % width + width) % width : j;
          const bool inside = row >= 0 && row < height && column >= 0 && column < width;
          const int64_t up = c.upsample ? 2 : 1;
          y.push_back(inside ? x[size_t(((b * c.height + row / up) * c.width + column / up) * channels + channel)] : 0);
        }
  return y;
}

void compare(const Layer& c, cuda::Element element, const cuda::TileChoice& tile, unsigned seed = 1, const cuda::Chip* wgmma = nullptr) {
  const int64_t in = c.in + c.second, taps = c.kernel * c.kernel, height = c.out_of(c.height), width = c.out_of(c.width);
  const int64_t pixels = c.batch * c.height * c.width, y_pixels = c.batch * height * width;
  const std::string what = text(c, element, tile);

  // Both pictures side by side for the reference; apart, with whole vectors of channels, on the device.
  const Numbers x(pixels * in, 1, element);
  const int64_t first_channels = round_up(c.in), second_channels = round_up(c.second);
  const Numbers first(channels_of(x.values, in, 0, c.in, first_channels), element), second(channels_of(x.values, in, c.in, c.second, second_channels), element);
  const Numbers w(c.out * taps * in, 2, element);  // [out][taps][in]
  std::vector<float> packed;
  const auto a = channels_of(w.values, in, 0, c.in, first_channels), b = channels_of(w.values, in, c.in, c.second, second_channels);
  for (int64_t i = 0; i < c.out * taps; ++i) {
    packed.insert(packed.end(), a.begin() + i * first_channels, a.begin() + (i + 1) * first_channels);
    packed.insert(packed.end(), b.begin() + i * second_channels, b.begin() + (i + 1) * second_channels);
  }
  const Numbers w_device(packed, element), t(y_pixels * c.rank, 3, element), up(c.out * c.rank, 4, element), residual(y_pixels * c.out, 5, element);
  Buffer<float> bias(numbers(c.out, 6), false), per_image(numbers(c.batch * c.out, 7), false);

  reference::Matrix matrix;
  matrix.rows = c.out;
  matrix.columns = taps * in;
  matrix.height = matrix.width = c.kernel;
  for (int64_t o = 0; o < c.out; ++o)
    for (int64_t channel = 0; channel < in; ++channel)
      for (int64_t tap = 0; tap < taps; ++tap) matrix.values.push_back(w.values[size_t((o * taps + tap) * in + channel)]);
  const auto seen = with_margins(c, x.values, in);
  const int64_t margin = c.padding + std::max<int64_t>(c.behind, 1);
  std::vector<float> wanted(size_t(y_pixels * c.out));
  reference::run(ops::Conv2d{.x = {seen.data(), {c.batch, c.seen(c.height) + margin, c.seen(c.width) + margin, in}},
                             .weight = &matrix,
                             .bias = c.bias ? ConstTensor{bias.data(), {c.out}} : ConstTensor{},
                             .per_image = c.per_image ? ConstTensor{per_image.data(), {c.batch, c.out}} : ConstTensor{},
                             .residual = {},
                             .y = {wanted.data(), {c.batch, height, width, c.out}},
                             .stride = c.stride,
                             .padding = 0});
  for (int64_t i = 0; i < y_pixels * c.out; ++i) {
    double v = wanted[size_t(i)];
    for (int64_t k = 0; k < c.rank; ++k) v += double(t.values[size_t(i / c.out * c.rank + k)]) * up.values[size_t(i % c.out * c.rank + k)];
    v = reference::activate(meaning_of(c.activation), v);
    wanted[size_t(i)] = float(v + (c.residual ? residual.values[size_t(i)] : 0));
  }

  auto y = unwritten(y_pixels * c.out);
  Buffer<float> y_float(c.y_float ? size_t(y_pixels * c.out) : 0, NAN);
  cuda::Conv2d op{.element = element,
                  .sources = {{first.data(), first_channels}},
                  .w = w_device.data(),
                  .batch = c.batch,
                  .x_height = c.height,
                  .x_width = c.width,
                  .y_height = height,
                  .y_width = width,
                  .columns = c.out,
                  .kernel_height = int(c.kernel),
                  .kernel_width = int(c.kernel),
                  .stride = c.stride,
                  .padding = c.padding,
                  .upsample = c.upsample,
                  .wrap_x = c.wrap_x,
                  .wrap_y = c.wrap_y,
                  .epilogue = {.y = c.y_float ? static_cast<void*>(y_float.data()) : y.data(),
                               .y_float = c.y_float,
                               .bias = c.bias ? bias.data() : nullptr,
                               .per_image = c.per_image ? per_image.data() : nullptr,
                               .residual = c.residual ? residual.data() : nullptr,
                               .activation = c.activation}};
  if (c.second) op.sources.push_back({second.data(), second_channels});
  if (c.rank) op.added = cuda::Linear::Product{t.data(), up.data(), c.rank};
  const auto report = emulate(wgmma ? wgmma_launch_of(op, *wgmma, emulator::encode, tile) : launch_of(op, kHopper, tile), seed);
  check(report.bank_conflicts == 0, __FILE__, __LINE__, what + " has bank conflicts");
  check_within(c.y_float ? y_float.values() : values_of(y, element), wanted, c.y_float ? 0 : rounding_of(element), 2 * sum_tolerance(in * taps + c.rank), what);
}

constexpr cuda::TileChoice kSmall{{64, 64}, 2};

// The kernels of both formats are one template, so the geometry takes turns.
void compare(const Layer& c) {
  static int turn = 0;
  compare(c, kElements[size_t(turn++ % 2)], kSmall);
}

}  // namespace

TEST("cuda conv2d: odd sizes in every tile and number of stages") {
  for (const cuda::Tile& tile : cuda::tiles_of(cuda::Product::conv2d))
    for (const cuda::Element element : kElements)
      for (const int stages : {2, 3, 4}) {
        if (cuda::shared_bytes_of(cuda::Product::conv2d, {tile, stages}) > kHopper.shared_bytes) continue;
        compare({2, 7, 11, 24, 72, 3, 1, 1, 1, false, 0, false, false, 0, 0, true, true, true}, element, {tile, stages}, unsigned(stages));
      }
}

TEST("cuda conv2d: few channels, in and out") {
  for (const int64_t in : {3, 4, 8, 9})
    for (const int64_t out : {1, 3, 4, 16}) compare({.batch = 2, .height = 5, .width = 7, .in = in, .out = out});
  compare({.batch = 1, .height = 9, .width = 6, .in = 64, .out = 3, .y_float = true});
  compare({.batch = 1, .height = 9, .width = 6, .in = 64, .out = 4, .y_float = true});
  compare(Layer{.batch = 1, .height = 9, .width = 20, .in = 128, .out = 3}, cuda::Element::bf16, {{128, 32}, 3});
}

TEST("cuda conv2d: tiny pictures") {
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 19}, {23, 1}, {2, 2}}) {
    compare({.batch = 3, .height = height, .width = width, .in = 16, .out = 24, .per_image = true});
    compare({.batch = 2, .height = height, .width = width, .in = 16, .out = 24, .wrap_x = true, .wrap_y = true});
  }
}

TEST("cuda conv2d: kernels, strides, both paddings, upsampling, wrapping") {
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{8, 8}, {7, 9}, {6, 5}})
    for (const auto& [wrap_x, wrap_y] : std::vector<std::pair<bool, bool>>{{false, false}, {true, false}, {false, true}, {true, true}}) {
      const Layer base{.batch = 2, .height = height, .width = width, .in = 24, .out = 40, .wrap_x = wrap_x, .wrap_y = wrap_y};
      const auto with = [&](auto change) {
        Layer c = base;
        change(c);
        compare(c);
      };
      with([](Layer&) {});
      with([](Layer& c) { c.stride = 2; });
      with([](Layer& c) { c.stride = 2, c.padding = 0; });
      with([](Layer& c) { c.upsample = true; });
      with([](Layer& c) { c.upsample = true, c.smaller = 1; });
      with([](Layer& c) { c.kernel = 5, c.padding = 2, c.behind = 2; });
    }
}

TEST("cuda conv2d: two pictures, low-rank additions, 1×1 kernels") {
  for (const int64_t second : {0, 4, 40, 72})
    for (const int64_t rank : {0, 8, 24}) {
      compare({.batch = 2, .height = 6, .width = 7, .in = 64, .out = 32, .second = second, .rank = rank, .residual = true});
      compare({.batch = 2, .height = 6, .width = 7, .in = 24, .out = 32, .kernel = 1, .padding = 0, .behind = 0, .second = second, .rank = rank});
    }
  compare({.batch = 2, .height = 6, .width = 7, .in = 24, .out = 32, .stride = 2, .second = 16, .rank = 8});
}

TEST("cuda conv2d: bias, vector for each image, residual, activation") {
  for (const bool bias : {false, true})
    for (const bool per_image : {false, true})
      for (const bool residual : {false, true})
        for (const auto activation : {cuda::MatrixActivation::none, cuda::MatrixActivation::silu, cuda::MatrixActivation::relu})
          compare(
              {.batch = 3, .height = 5, .width = 9, .in = 24, .out = 48, .bias = bias, .per_image = per_image, .residual = residual, .activation = activation});
}

// A chip of few multiprocessors, so that blocks take several tiles; pictures that boxes of 128 pixels of every shape cover.
TEST("cuda conv2d by wgmma: odd pictures in every tile") {
  const cuda::Chip few{90, 2, 227 << 10};
  unsigned seed = 0;
  const auto with = [&](const Layer& c) {
    const auto& tiles = cuda::tiles_of(cuda::Product::conv2d_wgmma);
    const cuda::Tile tile = tiles[++seed % tiles.size()];
    compare(c, kElements[seed % 2], {tile, cuda::stages_for(cuda::Product::conv2d_wgmma, tile, few), seed % 4 > 1 && can_take_turns(tile)}, seed, &few);
  };
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 3}, {17, 9}, {2, 70}, {1, 130}, {140, 1}})
    for (const bool residual : {false, true})
      with({.batch = 2, .height = height, .width = width, .in = 24, .out = 72, .per_image = true, .residual = residual});
  with({.batch = 1, .height = 12, .width = 11, .in = 72, .out = 200});
  with({.batch = 1, .height = 12, .width = 11, .in = 4, .out = 3, .y_float = true});
  with({.batch = 1, .height = 6, .width = 7, .in = 64, .out = 64, .activation = cuda::MatrixActivation::relu});
  with({.batch = 2, .height = 6, .width = 7, .in = 64, .out = 32, .second = 40, .residual = true});
  with({.batch = 2, .height = 6, .width = 7, .in = 64, .out = 32, .rank = 72});
  with({.batch = 2, .height = 6, .width = 7, .in = 64, .out = 32, .kernel = 1, .padding = 0, .behind = 0, .second = 8});
  with({.batch = 1, .height = 6, .width = 7, .in = 16, .out = 32, .kernel = 5, .padding = 2, .behind = 1});
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 3}, {9, 17}})
    with({.batch = 2, .height = height, .width = width, .in = 24, .out = 72, .upsample = true, .second = 8, .per_image = true, .residual = true});
}

TEST("cuda conv2d: what no kernel can do is an error") {
  Buffer<uint16_t> memory(4096);
  const cuda::Conv2d possible{.element = cuda::Element::bf16,
                              .sources = {{memory.data(), 8}},
                              .w = memory.data(),
                              .batch = 1,
                              .x_height = 4,
                              .x_width = 4,
                              .y_height = 4,
                              .y_width = 4,
                              .columns = 8,
                              .epilogue = {.y = memory.data()}};
  emulate(launch_of(possible, kAda));
  const auto code = [&](auto change) {
    cuda::Conv2d op = possible;
    change(op);
    return ERROR_OF(launch_of(op, kAda)).code;
  };
  CHECK(code([](cuda::Conv2d& op) { op.sources[0].channels = 4; }) == Code::internal);
  CHECK(code([](cuda::Conv2d& op) { op.upsample = true, op.y_height = 9; }) == Code::internal);
  CHECK(code([](cuda::Conv2d& op) { op.kernel_height = op.kernel_width = 1; }) == Code::internal);  // with padding
  CHECK(code([](cuda::Conv2d& op) { op.sources.clear(); }) == Code::internal);
  CHECK(code([](cuda::Conv2d& op) { op.x_width = op.y_width = 40000; }) == Code::internal);

  const auto by_wgmma = [&](auto change) {
    cuda::Conv2d op = possible;
    change(op);
    return wgmma_can(op);
  };
  CHECK(by_wgmma([](cuda::Conv2d&) {}));
  CHECK(by_wgmma([](cuda::Conv2d& op) { op.upsample = true, op.y_height = op.y_width = 8; }));
  CHECK(!by_wgmma([](cuda::Conv2d& op) { op.upsample = true, op.y_height = 7, op.y_width = 8; }));
  CHECK(!by_wgmma([](cuda::Conv2d& op) { op.stride = 2; }));
  CHECK(!by_wgmma([](cuda::Conv2d& op) { op.wrap_x = true; }));
}

}  // namespace sdxl::test
