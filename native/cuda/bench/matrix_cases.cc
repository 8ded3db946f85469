#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "cuda/bench/cases.h"
#include "cuda/launch/attention.h"
#include "cuda/launch/matrix.h"
#include "reference/ops.h"

namespace sdxl::cuda::bench {

namespace {

// Attention rounds its weights to bf16 too, and the mean of many values is small beside each of them.
constexpr double kAttention = 5e-3;
constexpr int64_t kSamples = 4000;  // results that are computed again in double: all would take minutes

std::vector<int64_t> samples_of(int64_t count) {
  std::vector<int64_t> at;
  const int64_t some = std::min(count, kSamples);
  for (int64_t i = 0; i < some; ++i) at.push_back((i * 1'000'003 + i / 7) % count);
  return at;
}

// What both families are asked to do.
template <class Op>
Launch launch(const Op& op, const Set& set, bool wgmma) {
  if (!wgmma) return launch_of(op, set.chip());
  return wgmma_launch_of(op, set.chip(), [&](const TensorBox& box) { return set.encode(box); });
}

json::Object shape_of(const char* op, std::initializer_list<std::pair<const char*, int64_t>> sizes) {
  json::Object shape = {{"op", string(op)}};
  for (const auto& [name, size] : sizes) shape.push_back({name, json::Value(json::Value::Variant(size))});
  return shape;
}

struct Gemm {
  int64_t rows, columns, inner;
  bool geglu = false;
};

Case gemm(const Gemm& g, bool wgmma) {
  const int64_t out = g.geglu ? g.columns / 2 : g.columns;
  return {.name = std::string(wgmma ? "gemm wgmma " : "gemm ") + std::to_string(g.rows) + "x" + std::to_string(g.columns) + "x" + std::to_string(g.inner) +
                  (g.geglu ? " geglu" : ""),
          .bytes = 2.0 * double(g.rows * g.inner + g.columns * g.inner + g.rows * out),
          .flops = 2.0 * double(g.rows) * double(g.columns) * double(g.inner),
          .shape = shape_of("gemm", {{"rows", g.rows}, {"columns", g.columns}, {"inner", g.inner}, {"geglu", g.geglu}}),
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(3);
            const void *x = set.input(g.rows * g.inner, kType, &(*v)[0]), *w = set.input(g.columns * g.inner, kType, &(*v)[1]);
            const void* bias = set.input(g.columns, DType::f32, &(*v)[2]);
            void* y = set.output(size_t(g.rows * out) * 2);
            if (check) {
              *check = {.result = y, .type = kType, .count = g.rows * out, .wanted = {}, .tolerance = kBf16, .at = samples_of(g.rows * out)};
              check->wanted = [=, at = check->at] {
                const auto sum = [&](int64_t row, int64_t column) {
                  double s = (*v)[2][size_t(!g.geglu ? column : column % 2 * out + column / 2)];
                  for (int64_t k = 0; k < g.inner; ++k) s += double((*v)[0][size_t(row * g.inner + k)]) * (*v)[1][size_t(column * g.inner + k)];
                  return s;
                };
                Values wanted;
                for (const int64_t i : at) {
                  const int64_t row = i / out, column = i % out;
                  double value = sum(row, g.geglu ? 2 * column : column);
                  if (g.geglu) value *= reference::activate(ops::Activation::gelu, sum(row, 2 * column + 1));
                  wanted.push_back(float(value));
                }
                return wanted;
              };
            }
            Linear op{.element = kElement, .rows = g.rows, .columns = g.columns, .products = {{.x = x, .w = w, .inner = g.inner}}, .epilogue = {.y = y}};
            op.epilogue.bias = floats(bias);
            if (g.geglu) op.epilogue.activation = MatrixActivation::geglu;
            return {launch(op, set, wgmma)};
          }};
}

struct Convolution {
  int64_t images, side, in, out;
  int stride = 1;
};

Case conv2d(const Convolution& c, bool wgmma) {
  const int64_t y_side = (c.side + c.stride - 1) / c.stride, pixels = c.images * y_side * y_side, inner = 9 * c.in;
  return {.name = std::string(wgmma ? "conv wgmma " : "conv ") + std::to_string(c.images) + "x" + std::to_string(c.side) + "x" + std::to_string(c.side) + "x" +
                  std::to_string(c.in) + " to " + std::to_string(c.out) + (c.stride > 1 ? " stride 2" : ""),
          .bytes = 2.0 * double(c.images * c.side * c.side * c.in + c.out * inner + pixels * c.out),
          .flops = 2.0 * double(pixels) * double(c.out) * double(inner),
          .shape = shape_of("conv", {{"images", c.images}, {"side", c.side}, {"in", c.in}, {"out", c.out}, {"stride", c.stride}}),
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(3);
            const void *x = set.input(c.images * c.side * c.side * c.in, kType, &(*v)[0]), *w = set.input(c.out * inner, kType, &(*v)[1]);
            const void* bias = set.input(c.out, DType::f32, &(*v)[2]);
            void* y = set.output(size_t(pixels * c.out) * 2);
            if (check) {
              *check = {.result = y, .type = kType, .count = pixels * c.out, .wanted = {}, .tolerance = kBf16, .at = samples_of(pixels * c.out)};
              check->wanted = [=, at = check->at] {
                Values wanted;
                for (const int64_t i : at) {
                  const int64_t o = i % c.out, column = i / c.out % y_side, row = i / c.out / y_side % y_side, image = i / c.out / y_side / y_side;
                  double s = (*v)[2][size_t(o)];
                  for (int64_t tap = 0; tap < 9; ++tap) {
                    const int64_t from_row = row * c.stride - 1 + tap / 3, from_column = column * c.stride - 1 + tap % 3;
                    if (from_row < 0 || from_column < 0 || from_row >= c.side || from_column >= c.side) continue;
                    const float* pixel = (*v)[0].data() + ((image * c.side + from_row) * c.side + from_column) * c.in;
                    const float* weight = (*v)[1].data() + (o * 9 + tap) * c.in;
                    for (int64_t k = 0; k < c.in; ++k) s += double(pixel[k]) * weight[k];
                  }
                  wanted.push_back(float(s));
                }
                return wanted;
              };
            }
            Conv2d op{.element = kElement,
                      .sources = {{x, c.in}},
                      .w = w,
                      .batch = c.images,
                      .x_height = c.side,
                      .x_width = c.side,
                      .y_height = y_side,
                      .y_width = y_side,
                      .columns = c.out,
                      .stride = c.stride,
                      .epilogue = {.y = y}};
            op.epilogue.bias = floats(bias);
            return {launch(op, set, wgmma)};
          }};
}

struct Heads {
  int64_t batch, heads, queries, keys, width = 64;
};

Case attention(const Heads& h, bool wgmma) {
  const int64_t row = h.heads * h.width, q_count = h.batch * h.queries * row, kv_count = h.batch * h.keys * row;
  return {.name = std::string(wgmma ? "attention wgmma " : "attention ") + std::to_string(h.batch) + "x" + std::to_string(h.heads) + "x" +
                  std::to_string(h.queries) + "x" + std::to_string(h.keys) + "x" + std::to_string(h.width),
          .bytes = 2.0 * double(2 * q_count + 2 * kv_count),
          .flops = 4.0 * double(q_count) * double(h.keys),
          .shape = shape_of("attention", {{"batch", h.batch}, {"heads", h.heads}, {"queries", h.queries}, {"keys", h.keys}, {"width", h.width}}),
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(3);
            const void *q = set.input(q_count, kType, &(*v)[0]), *k = set.input(kv_count, kType, &(*v)[1]), *values = set.input(kv_count, kType, &(*v)[2]);
            void* y = set.output(size_t(q_count) * 2);
            if (check) {
              // Each sample reads all keys, so there are fewer; of whole rows, which share their weights.
              *check = {.result = y, .type = kType, .count = q_count, .wanted = {}, .tolerance = kAttention, .at = {}};
              for (const int64_t i : samples_of(q_count / h.width))
                if (check->at.size() < size_t(32 * h.width))
                  for (int64_t d = 0; d < h.width; ++d) check->at.push_back(i * h.width + d);
              check->wanted = [=, at = check->at] {
                Values wanted;
                for (size_t i = 0; i < at.size(); i += size_t(h.width)) {
                  const int64_t head = at[i] / h.width % h.heads, batch = at[i] / row / h.queries;
                  std::vector<double> sums(static_cast<size_t>(h.width));
                  double total = 0;
                  for (int64_t key = 0; key < h.keys; ++key) {
                    const size_t from = size_t((batch * h.keys + key) * row + head * h.width);
                    double dot = 0;
                    for (int64_t d = 0; d < h.width; ++d) dot += double((*v)[0][size_t(at[i] + d)]) * (*v)[1][from + size_t(d)];
                    const double weight = std::exp(dot / std::sqrt(double(h.width)));
                    total += weight;
                    for (int64_t d = 0; d < h.width; ++d) sums[size_t(d)] += weight * (*v)[2][from + size_t(d)];
                  }
                  for (const double s : sums) wanted.push_back(float(s / total));
                }
                return wanted;
              };
            }
            const Attention op{.element = kElement,
                               .q = q,
                               .k = k,
                               .v = values,
                               .y = y,
                               .q_stride = row,
                               .kv_stride = row,
                               .batch = h.batch,
                               .queries = h.queries,
                               .heads = h.heads,
                               .width = h.width,
                               .kv_batch = h.batch,
                               .keys = h.keys};
            return {launch(op, set, wgmma)};
          }};
}

}  // namespace

std::vector<Case> matrix_cases(bool small, const Device& device) {
  // Of one step with guidance at 1024 × 1024 (batch 2), then the VAE's.
  const std::vector<Gemm> layers = small ? std::vector<Gemm>{{70, 160, 128}, {33, 320, 64, true}}
                                         : std::vector<Gemm>{{2048, 10240, 1280, true}, {2048, 1280, 5120}, {2048, 3840, 1280}, {2048, 1280, 1280},
                                                             {8192, 5120, 640, true},   {8192, 640, 2560},  {8192, 1920, 640},  {8192, 640, 640},
                                                             {1024, 10240, 1280, true}, {1024, 1280, 1280}, {154, 2560, 2048},  {8192, 8192, 8192}};
  const std::vector<Convolution> convolutions =
      small ? std::vector<Convolution>{{1, 9, 64, 128}, {1, 8, 32, 64, 2}}
            : std::vector<Convolution>{{2, 128, 320, 320},  {2, 128, 640, 320},  {2, 64, 640, 640},     {2, 64, 1280, 640},
                                       {2, 32, 1280, 1280}, {2, 32, 2560, 1280}, {2, 128, 320, 320, 2}, {1, 128, 512, 512},
                                       {1, 256, 512, 512},  {1, 512, 256, 256},  {1, 1024, 128, 128}};
  const std::vector<Heads> heads =
      small ? std::vector<Heads>{{2, 2, 40, 77}, {1, 1, 16, 40, 512}}
            : std::vector<Heads>{{2, 10, 4096, 4096}, {2, 20, 1024, 1024}, {2, 10, 4096, 77}, {2, 20, 1024, 77}, {2, 20, 1024, 154}, {1, 1, 16384, 16384, 512}};
  const bool hopper = device.capability.major == 9 && device.capability.minor == 0;
  std::vector<Case> cases;
  for (const Gemm& g : layers) {
    cases.push_back(gemm(g, false));
    if (hopper) cases.push_back(gemm(g, true));
  }
  for (const Convolution& c : convolutions) {
    cases.push_back(conv2d(c, false));
    if (hopper && c.stride == 1) cases.push_back(conv2d(c, true));
  }
  for (const Heads& h : heads) {
    cases.push_back(attention(h, false));
    if (hopper && h.width == 64) cases.push_back(attention(h, true));
  }
  return cases;
}

}  // namespace sdxl::cuda::bench
