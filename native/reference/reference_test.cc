// Anchors the reference to PyTorch 2.8 in float64 (functions of the same name in torch.nn.functional, get_timestep_embedding of Diffusers).
#include "reference/backend.h"

#include "test/check.h"

namespace sdxl {

namespace {

// Values that repeat with no even period, exact in fp16 as well.
std::vector<float> ramp(int64_t count, int mul = 7, int mod = 11, int off = 5) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[size_t(i)] = float(i * mul % mod - off) / 4;
  return values;
}

ops::WeightRows rows_of(const std::vector<float>& values, int64_t rows) {
  return {reinterpret_cast<const std::byte*>(values.data()), DType::f32, rows, int64_t(values.size()) / rows};
}

void check_values(const std::vector<float>& found, const std::vector<double>& wanted, const char* what) {
  CHECK(found.size() == wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i)  // the constants have 7 decimals, found is rounded to float
    test::check(std::abs(found[i] - wanted[i]) < 1e-6, __FILE__, __LINE__, std::string(what) + " at " + std::to_string(i) + ": " + std::to_string(found[i]));
}

const auto backend = make_reference_backend();

}  // namespace

TEST("reference: linear with gelu, geglu, transposed and split weights") {
  const auto x = ramp(10), w3 = ramp(15, 5, 13, 6), b3 = ramp(3, 3, 5, 2), w4 = ramp(20, 5, 13, 6), b4 = ramp(4, 3, 5, 2);
  const std::vector<double> wanted = {-0.1447575, -0.0002622, -0.0000266, 1.4701795, -0.0562827, -0.1662410};
  std::vector<float> transposed(15), y(6);
  for (size_t r = 0; r < 3; ++r)
    for (size_t c = 0; c < 5; ++c) transposed[c * 3 + r] = w3[r * 5 + c];

  const auto check_linear = [&](const ops::PackLinear& source, const char* what) {
    const auto weight = backend->pack(source);
    backend->run(ops::Linear{.x = {x.data(), {2, 5}},
                             .weight = weight.get(),
                             .bias = {b3.data(), {3}},
                             .residual = {},
                             .y = {y.data(), {2, 3}},
                             .activation = ops::Activation::gelu});
    check_values(y, wanted, what);
  };
  check_linear({.parts = {rows_of(w3, 3)}}, "linear");
  ops::WeightRows in_out{reinterpret_cast<const std::byte*>(transposed.data()), DType::f32, 3, 5, true};
  check_linear({.parts = {in_out}}, "linear, transposed");
  check_linear({.parts = {{rows_of(w3, 3).data, DType::f32, 1, 5}, {rows_of(w3, 3).data + 20, DType::f32, 2, 5}}}, "linear, two parts");

  const auto weight = backend->pack(ops::PackLinear{.parts = {rows_of(w4, 4)}, .geglu = true});
  y.assign(4, 0);
  backend->run(ops::Linear{.x = {x.data(), {2, 5}}, .weight = weight.get(), .bias = {b4.data(), {4}}, .residual = {}, .y = {y.data(), {2, 2}}});
  check_values(y, {0.0000116, -0.9238208, -0.2597515, 0.0003473}, "geglu");
}

TEST("reference: conv2d, plain, stride 2 padded behind, upsampled") {
  const auto x = ramp(24), w = ramp(36, 5, 13, 6), b = ramp(2, 3, 5, 2);
  const auto weight = backend->pack(ops::PackConv2d{.weight = rows_of(w, 2), .in = 2, .height = 3, .width = 3});
  std::vector<float> y(24);
  backend->run(ops::Conv2d{
      .x = {x.data(), {1, 3, 4, 2}}, .weight = weight.get(), .bias = {b.data(), {2}}, .per_image = {}, .residual = {}, .y = {y.data(), {1, 3, 4, 2}}});
  check_values(y, {-4.125, -1.3125, 1.125, 6.5,     1.5625,  -0.4375, -0.9375, -0.6875, -4.25, -0.4375, 9.3125,  2.5625,
                   4.0625, 1.5625,  -4,    -2.0625, -0.0625, 4.5625,  4.3125,  -0.9375, -1.75, -2.3125, -3.1875, 0.5},
               "conv2d");
  y.resize(4);
  backend->run(ops::Conv2d{.x = {x.data(), {1, 3, 4, 2}},
                           .weight = weight.get(),
                           .bias = {b.data(), {2}},
                           .per_image = {},
                           .residual = {},
                           .y = {y.data(), {1, 1, 2, 2}},
                           .stride = 2,
                           .padding = 0});
  check_values(y, {9.3125, 2.5625, -4, -2.0625}, "conv2d, stride 2");

  // The upper left 2×2 pixels, each of them twice as wide and high.
  std::vector<float> corner;
  for (const int pixel : {0, 1, 4, 5}) corner.insert(corner.end(), {x[size_t(pixel * 2)], x[size_t(pixel * 2 + 1)]});
  y.resize(32);
  backend->run(ops::Conv2d{.x = {corner.data(), {1, 2, 2, 2}},
                           .weight = weight.get(),
                           .bias = {b.data(), {2}},
                           .per_image = {},
                           .residual = {},
                           .y = {y.data(), {1, 4, 4, 2}},
                           .upsample = true});
  check_values(y, {-3.3125, -0.1875, -0.5,   2.25,  -1.625, 2.8125, -1.5,   2.5625, -4.3125, -1.0625, 0,      -0.8125, 2.375,  3.5625, 1,       4.1875,
                   -4.3125, -0.5,    0.5625, 0.875, 7.0625, 1.125,  3.3125, -0.5,   -3.9375, -0.5,    2.8125, 3.75,    3.3125, -1.625, -0.1875, -2.8125},
               "conv2d, upsample");

  // Upsampled to an odd height: the last row is left out before the padding begins.
  y.resize(24);
  backend->run(ops::Conv2d{.x = {corner.data(), {1, 2, 2, 2}},
                           .weight = weight.get(),
                           .bias = {b.data(), {2}},
                           .per_image = {},
                           .residual = {},
                           .y = {y.data(), {1, 3, 4, 2}},
                           .upsample = true});
  check_values(y, {-3.3125000, -0.1875000, -0.5, 2.25,   -1.625, 2.8125,     -1.5,   2.5625, -4.3125000, -1.0625000, 0,     -0.8125000,
                   2.375,      3.5625,     1,    4.1875, -4.25,  -0.5625000, 0.8125, 0.625,  4.75,       -2,         3.375, -1.1875000},
               "conv2d, upsample to an odd size");

  // One picture of one pixel: what per_image and residual add, by hand. The middle of the kernel is all that meets the pixel.
  const std::vector<float> pixel = {2, 3}, time = {10, 20}, before = {100, 200};
  y.resize(2);
  backend->run(ops::Conv2d{.x = {pixel.data(), {1, 1, 1, 2}},
                           .weight = weight.get(),
                           .bias = {b.data(), {2}},
                           .per_image = {time.data(), {1, 2}},
                           .residual = {before.data(), {1, 1, 1, 2}},
                           .y = {y.data(), {1, 1, 1, 2}}});
  check_values(y, {110 + b[0] + 2.0 * w[4] + 3.0 * w[13], 220 + b[1] + 2.0 * w[22] + 3.0 * w[31]}, "conv2d, one pixel");
}

TEST("reference: conv2d that wraps around an axis or both, with an activation before the residual") {
  const auto x = ramp(24), w = ramp(36, 5, 13, 6), b = ramp(2, 3, 5, 2), before = ramp(24, 3, 7, 3);
  const auto weight = backend->pack(ops::PackConv2d{.weight = rows_of(w, 2), .in = 2, .height = 3, .width = 3});
  std::vector<float> y;
  const auto convolve = [&](const std::vector<float>& from, Shape from_shape, Shape shape, auto change) {
    y.resize(size_t(shape.elements()));
    ops::Conv2d op{.x = {from.data(), from_shape}, .weight = weight.get(), .bias = {b.data(), {2}}, .per_image = {}, .residual = {}, .y = {y.data(), shape}};
    change(op);
    backend->run(op);
  };
  const Shape same{1, 3, 4, 2};
  convolve(x, same, same, [](ops::Conv2d& op) { op.wrap_x = true; });
  check_values(y, {-5.5,   -3.3125, 1.125,  6.5, 1.5625,  -0.4375, -1.5,   -1,      -5.75, 0.875,   9.3125, 2.5625,
                   4.0625, 1.5625,  -6.125, -4,  -0.4375, 8.0625,  4.3125, -0.9375, -1.75, -2.3125, -6.125, -2.4375},
               "conv2d around x");
  convolve(x, same, same, [](ops::Conv2d& op) { op.wrap_y = true; });
  check_values(y, {-1.9375, 1.0625, 1.9375, 4.9375,  -0.5625, -2.25,  -1.125, 1.625,   -4.25,   -0.4375, 9.3125,  2.5625,
                   4.0625,  1.5625, -4,     -2.0625, -0.5625, 4.0625, 3.3125, -1.8125, -0.5625, -1.4375, -3.3125, 0.25},
               "conv2d around y");
  convolve(x, same, {1, 2, 2, 2}, [](ops::Conv2d& op) { op.stride = 2, op.wrap_x = op.wrap_y = true; });
  check_values(y, {-1.4375, -2.9375, -0.5625, -2.25, -1.4375, 6.8125, -0.5625, -1.4375}, "conv2d around both, stride 2");

  // What repeats is the doubled picture without its last row.
  std::vector<float> corner;
  for (const int pixel : {0, 1, 4, 5}) corner.insert(corner.end(), {x[size_t(pixel * 2)], x[size_t(pixel * 2 + 1)]});
  convolve(corner, {1, 2, 2, 2}, same, [](ops::Conv2d& op) { op.upsample = op.wrap_x = op.wrap_y = true; });
  check_values(y, {-0.6875, 1.75,   2.875,   2.875,  -0.9375, 1.0625, -4.5,   -0.0625, -3.5625, -1.9375, 0,     -0.8125,
                   2.375,   3.5625, -1.1875, 2.4375, -2.125,  0.3125, 1.4375, 1.4375,  5.1875,  -1.75,   1.625, -2.875},
               "conv2d around both, upsampled to an odd size");

  convolve(x, same, same, [&](ops::Conv2d& op) { op.residual = {before.data(), same}, op.activation = ops::Activation::relu; });
  check_values(y, {-0.75,  0,      1.875, 6.25, 2.0625, -0.5,   0.25,   -0.75, 0,    0.75,  9.0625, 3.0625,
                   3.5625, 1.8125, -0.75, 0,    0.75,   4.3125, 4.8125, -0.5,  0.25, -0.75, 0,      1.25},
               "conv2d with a ReLU");
}

TEST("reference: group norm with silu, layer norm") {
  const auto x = ramp(16), gamma = ramp(4, 3, 7, 2), beta = ramp(4, 2, 5, 1);
  std::vector<float> y(16);
  backend->run(ops::GroupNorm{.x = {x.data(), {1, 2, 2, 4}},
                              .weight = {gamma.data(), {4}},
                              .bias = {beta.data(), {4}},
                              .y = {y.data(), {1, 2, 2, 4}},
                              .groups = 2,
                              .eps = 1e-5f,
                              .silu = true});
  check_values(
      y, {0.2976575, 0.3014127, -0.0488576, 0, -0.2015180, 0.0289700, 1.4130887, 0, 0.1784597, 0.3662115, 0.1061916, 0, -0.2362881, 0.0762713, 1.7331353, 0},
      "group norm");
  const auto gamma5 = ramp(5, 3, 7, 2), beta5 = ramp(5, 2, 5, 1);
  y.resize(10);
  backend->run(ops::LayerNorm{.x = {x.data(), {2, 5}}, .weight = {gamma5.data(), {5}}, .bias = {beta5.data(), {5}}, .y = {y.data(), {2, 5}}, .eps = 1e-5f});
  check_values(y, {0.5081702, 0.3812218, 0.1084713, 0, 0.6749624, 0.2243379, 0.5662252, 0.75, 0, 1.2115068}, "layer norm");
}

TEST("reference: attention of two heads, causal, with few keys, with none") {
  const auto q = ramp(12), k = ramp(18, 5, 13, 6), v = ramp(18, 3, 17, 8);
  std::vector<float> y(12);
  ops::Attention op{.q = q.data(),
                    .k = k.data(),
                    .v = v.data(),
                    .q_stride = 6,
                    .kv_stride = 6,
                    .batch = 1,
                    .queries = 2,
                    .heads = 2,
                    .width = 3,
                    .kv_batch = 1,
                    .keys = 3,
                    .key_counts = {},
                    .y = {y.data(), {1, 2, 6}}};
  backend->run(op);
  check_values(y, {-1.8270696, -1.0770696, -0.3270696, 0.5948734, 1.3448734, 0.1642366, -1.6516719, -0.9016719, -0.1516719, 0.6017448, 1.3517448, 0.0846956},
               "attention");
  op.causal = true;
  backend->run(op);
  check_values(y, {-2, -1.25, -0.5, 0.25, 1, 1.75, -1.7832011, -1.0332011, -0.2832011, 0.4678242, 1.2178242, 1.9678242}, "attention, causal");
  op.causal = false;
  op.key_counts = {1};
  backend->run(op);
  check_values(y, {-2, -1.25, -0.5, 0.25, 1, 1.75, -2, -1.25, -0.5, 0.25, 1, 1.75}, "attention, one key");
  op.key_counts = {0};
  backend->run(op);
  check_values(y, std::vector<double>(12, 0), "attention, no key");
  op.key_counts = {}, op.hidden = {0, 1, 1};
  backend->run(op);
  check_values(y, {-2, -1.25, -0.5, 0.25, 1, 1.75, -2, -1.25, -0.5, 0.25, 1, 1.75}, "attention, hidden keys");
}

TEST("reference: activations, sinusoid, embedding, combine, concat") {
  const std::vector<float> x = {-6, -2.5, -0.5, 0, 0.75, 3};
  std::vector<float> y(6);
  const auto activation = [&](ops::Activation kind, const std::vector<double>& wanted) {
    backend->run(ops::Activate{.x = {x.data(), {6}}, .y = {y.data(), {6}}, .activation = kind});
    check_values(y, wanted, "activation");
  };
  activation(ops::Activation::none, {-6, -2.5, -0.5, 0, 0.75, 3});
  activation(ops::Activation::silu, {-0.0148357, -0.1896455, -0.1887703, 0, 0.5093840, 2.8577224});
  activation(ops::Activation::gelu, {0, -0.0155242, -0.1542688, 0, 0.5800295, 2.9959503});
  activation(ops::Activation::relu, {0, 0, 0, 0, 0.75, 3});
  activation(ops::Activation::quick_gelu, {-0.0002204, -0.0349862, -0.1496116, 0, 0.5863901, 2.9819287});

  std::vector<float> waves(16);
  backend->run(ops::Sinusoid{.values = {999, 37.5f}, .y = {waves.data(), {2, 8}}});
  // Diffusers computes in float; its frequencies may differ in the last bit, which at 999 is 6e-5.
  const double wanted[16] = {0.9996498, 0.8074551,  -0.8444698, 0.5411435, -0.0264608, -0.5899291, -0.5356032, 0.8409302,
                             0.9802427, -0.8205595, 0.9305076,  0.9992970, -0.1977988, -0.5715611, 0.3662725,  0.0374912};
  for (size_t i = 0; i < 16; ++i) CHECK_NEAR(waves[i], wanted[i], 6e-5);

  const auto rows = ramp(6), positions = ramp(4, 3, 5, 2);
  const auto table = backend->pack_table(rows_of(rows, 3), ops::Storage::source);
  const int32_t ids[] = {2, 0};
  y.resize(4);
  backend->run(ops::Embedding{.ids = ids, .table = table.get(), .positions = {positions.data(), {2, 2}}, .y = {y.data(), {1, 2, 2}}});
  check_values(y, {rows[4] + positions[0], rows[5] + positions[1], rows[0] + positions[2], rows[1] + positions[3]}, "embedding");

  const std::vector<float> a = {1, 2}, b = {10, 20};
  y = {-1, -1};
  backend->run(ops::Combine{.terms = {{2, {a.data(), {2}}}, {-0.5f, {b.data(), {2}}}}, .y = {y.data(), {2}}});
  check_values(y, {-3, -6}, "combine");
  backend->run(ops::Combine{.terms = {}, .y = {y.data(), {2}}});
  check_values(y, {0, 0}, "combine of nothing");
  y.resize(6);
  const std::vector<float> wide = {3, 4, 5, 6};
  backend->run(ops::Concat{.a = {a.data(), {2, 1}}, .b = {wide.data(), {2, 2}}, .y = {y.data(), {2, 3}}});
  check_values(y, {1, 3, 4, 2, 5, 6}, "concat");
}

TEST("reference: weights that are not finite are refused") {
  const std::vector<float> w = {1, 2, NAN, 4};
  const Error error = ERROR_OF(backend->pack(ops::PackLinear{.parts = {rows_of(w, 2)}}));
  CHECK(error.code == Code::model_format);
}

}  // namespace sdxl
