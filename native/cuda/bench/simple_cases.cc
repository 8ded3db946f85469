#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "cuda/bench/cases.h"
#include "cuda/launch/elementwise.h"
#include "cuda/launch/latents.h"
#include "cuda/launch/norms.h"
#include "reference/backend.h"
#include "reference/ops.h"

namespace sdxl::cuda::bench {

namespace {

constexpr double kFloat = 1e-5;

Case group_norm(int64_t images, int64_t side, int64_t channels, float eps) {
  const int64_t pixels = side * side, count = images * pixels * channels;
  return {.name = "group norm + silu " + std::to_string(images) + "x" + std::to_string(side) + "x" + std::to_string(side) + "x" + std::to_string(channels),
          .bytes = double(count) * 2 * 2,  // a picture that fits the cache is read once from memory
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(3);
            const void* x = set.input(count, kType, &(*v)[0]);
            const void *weight = set.input(channels, DType::f32, &(*v)[1]), *bias = set.input(channels, DType::f32, &(*v)[2]);
            void* y = set.output(size_t(count) * 2);
            void* scratch = set.output(group_norm_scratch(images, pixels, 32));
            if (check)
              *check = {y, kType, count,
                        [=] {
                          Values wanted(static_cast<size_t>(count));
                          const Shape shape{images, side, side, channels};
                          make_reference_backend()->run(ops::GroupNorm{.x = {(*v)[0].data(), shape},
                                                                       .weight = {(*v)[1].data(), {channels}},
                                                                       .bias = {(*v)[2].data(), {channels}},
                                                                       .y = {wanted.data(), shape},
                                                                       .groups = 32,
                                                                       .eps = eps,
                                                                       .silu = true});
                          return wanted;
                        },
                        kBf16};
            const auto launches = launches_of(GroupNorm{.element = kElement,
                                                        .x = x,
                                                        .y = y,
                                                        .weight = floats(weight),
                                                        .bias = floats(bias),
                                                        .scratch = scratch,
                                                        .images = images,
                                                        .pixels = pixels,
                                                        .channels = channels,
                                                        .groups = 32,
                                                        .eps = eps,
                                                        .silu = true});
            return {launches.begin(), launches.end()};
          }};
}

Case layer_norm(int64_t rows, int64_t channels) {
  return {.name = "layer norm " + std::to_string(rows) + "x" + std::to_string(channels),
          .bytes = double(rows * channels) * 4,
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(3);
            const void* x = set.input(rows * channels, kType, &(*v)[0]);
            const void *weight = set.input(channels, DType::f32, &(*v)[1]), *bias = set.input(channels, DType::f32, &(*v)[2]);
            void* y = set.output(size_t(rows * channels) * 2);
            if (check)
              *check = {y, kType, rows * channels,
                        [=] {
                          Values wanted(size_t(rows * channels));
                          make_reference_backend()->run(ops::LayerNorm{.x = {(*v)[0].data(), {rows, channels}},
                                                                       .weight = {(*v)[1].data(), {channels}},
                                                                       .bias = {(*v)[2].data(), {channels}},
                                                                       .y = {wanted.data(), {rows, channels}},
                                                                       .eps = 1e-5f});
                          return wanted;
                        },
                        kBf16};
            return {launch_of(LayerNorm{kElement, x, y, floats(weight), floats(bias), rows, channels, 1e-5f})};
          }};
}

Case activation(const char* name, Function function, ops::Activation meaning, int64_t count) {
  return {.name = std::string(name) + " " + std::to_string(count), .bytes = double(count) * 4, .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(1);
            const void* x = set.input(count, kType, &(*v)[0]);
            void* y = set.output(size_t(count) * 2);
            if (check)
              *check = {y, kType, count,
                        [=] {
                          Values wanted(static_cast<size_t>(count));
                          make_reference_backend()->run(ops::Activate{.x = {(*v)[0].data(), {count}}, .y = {wanted.data(), {count}}, .activation = meaning});
                          return wanted;
                        },
                        kBf16};
            return {launch_of(Activate{kElement, x, y, count, function})};
          }};
}

Case geglu(int64_t rows, int64_t width) {
  return {.name = "geglu " + std::to_string(rows) + "x" + std::to_string(width),
          .bytes = double(rows * width) * 6,
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(1);
            const void* x = set.input(rows * 2 * width, kType, &(*v)[0]);
            void* y = set.output(size_t(rows * width) * 2);
            if (check)
              *check = {y, kType, rows * width,
                        [=] {
                          Values wanted;
                          for (int64_t row = 0; row < rows; ++row)
                            for (int64_t c = 0; c < width; ++c) {
                              const double value = (*v)[0][size_t(row * 2 * width + c)], gate = (*v)[0][size_t((row * 2 + 1) * width + c)];
                              wanted.push_back(float(value * reference::activate(ops::Activation::gelu, gate)));
                            }
                          return wanted;
                        },
                        kBf16};
            return {launch_of(Geglu{kElement, x, y, rows, width})};
          }};
}

Case convert(DType from, DType to, int64_t count) {
  return {.name = std::string("convert ") + sdxl::name_of(from) + " to " + sdxl::name_of(to) + " " + std::to_string(count),
          .bytes = double(count * (size_of(from) + size_of(to))),
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(1);
            const void* x = set.input(count, from, &(*v)[0]);
            void* y = set.output(size_t(count * size_of(to)));
            if (check) *check = {y, to, count, [=] { return (*v)[0]; }, kBf16};
            return {launch_of(Convert{from, to, x, y, count})};
          }};
}

Case narrow(DType from, int64_t rows, int64_t width, int64_t padded) {
  return {.name = std::string("narrow ") + sdxl::name_of(from) + " " + std::to_string(rows) + "x" + std::to_string(width) + " in " + std::to_string(padded),
          .bytes = double(rows * (width * size_of(from) + padded * 2)),
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(1);
            const void* x = set.input(rows * width, from, &(*v)[0]);
            void* y = set.output(size_t(rows * padded) * 2);
            if (check)
              *check = {y, kType, rows * padded,
                        [=] {
                          Values wanted(size_t(rows * padded));
                          for (int64_t row = 0; row < rows; ++row) std::copy_n((*v)[0].begin() + row * width, width, wanted.begin() + row * padded);
                          return wanted;
                        },
                        kBf16};
            return {launch_of(Narrow{from, kElement, x, y, rows, width, padded})};
          }};
}

Case concat(int64_t rows, int64_t a, int64_t b) {
  return {.name = "concat " + std::to_string(rows) + "x(" + std::to_string(a) + "+" + std::to_string(b) + ")",
          .bytes = double(rows * (a + b)) * 4,
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(2);
            const void *left = set.input(rows * a, kType, &(*v)[0]), *right = set.input(rows * b, kType, &(*v)[1]);
            void* y = set.output(size_t(rows * (a + b)) * 2);
            if (check)
              *check = {y, kType, rows * (a + b),
                        [=] {
                          Values wanted;
                          for (int64_t row = 0; row < rows; ++row) {
                            wanted.insert(wanted.end(), (*v)[0].begin() + row * a, (*v)[0].begin() + (row + 1) * a);
                            wanted.insert(wanted.end(), (*v)[1].begin() + row * b, (*v)[1].begin() + (row + 1) * b);
                          }
                          return wanted;
                        },
                        0};
            return {launch_of(Concat{left, right, y, rows, a, b})};
          }};
}

Case embedding(int64_t batch, int64_t vocabulary, int64_t width) {
  constexpr int64_t kLength = 77;
  const int64_t rows = batch * kLength;
  return {.name = "embedding " + std::to_string(batch) + "x77x" + std::to_string(width),
          .bytes = double(rows * width) * 8,
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(2);
            const void *table = set.input(vocabulary * width, kType, &(*v)[0]), *positions = set.input(kLength * width, DType::f32, &(*v)[1]);
            std::vector<int32_t> ids;
            for (int64_t i = 0; i < rows; ++i) ids.push_back(int32_t(i * 7919 % vocabulary));
            const void* on_device = set.bytes_of(ids.data(), ids.size() * sizeof ids[0]);
            void* y = set.output(size_t(rows * width) * 2);
            if (check)
              *check = {y, kType, rows * width,
                        [=] {
                          Values wanted;
                          for (int64_t i = 0; i < rows; ++i)
                            for (int64_t c = 0; c < width; ++c)
                              wanted.push_back((*v)[0][size_t(ids[size_t(i)] * width + c)] + (*v)[1][size_t(i % kLength * width + c)]);
                          return wanted;
                        },
                        kBf16};
            return {launch_of(Embedding{kElement, kType, static_cast<const int32_t*>(on_device), table, floats(positions), y, batch, kLength, width})};
          }};
}

Case sinusoid(int64_t count, int64_t width) {
  return {.name = "sinusoid " + std::to_string(count) + "x" + std::to_string(width),
          .bytes = double(count * width) * 4,
          .prepare = [=](Set& set, Check* check) -> Launches {
            Values values;
            for (int64_t i = 0; i < count; ++i) values.push_back(999 - float(i) * 31.25f);
            void* y = set.output(size_t(count * width) * 4);
            if (check)
              *check = {y, DType::f32, count * width,
                        [=] {
                          Values wanted(size_t(count * width));
                          make_reference_backend()->run(ops::Sinusoid{.values = values, .y = {wanted.data(), {count, width}}});
                          return wanted;
                        },
                        kFloat};
            return launches_of(Sinusoid{DType::f32, values, y, width});
          }};
}

Case combine(int64_t images, int64_t side, int terms) {
  const int64_t count = images * side * side * 4;
  return {.name = "combine " + std::to_string(images) + "x" + std::to_string(side) + "x" + std::to_string(side) + "x4 of " + std::to_string(terms),
          .bytes = double(count * 4 * (terms + 1)),
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(size_t(terms));
            Combine op{.type = DType::f32, .terms = {}, .y = set.output(size_t(count) * 4), .count = count, .outside = {}};
            for (int t = 0; t < terms; ++t) op.terms.push_back({float(t) * 0.7f - 1.1f, floats(set.input(count, DType::f32, &(*v)[size_t(t)]))});
            if (check)
              *check = {op.y, DType::f32, count,
                        [=] {
                          Values wanted;
                          for (int64_t i = 0; i < count; ++i) {
                            double sum = 0;
                            for (int t = 0; t < terms; ++t) sum += double(float(t) * 0.7f - 1.1f) * (*v)[size_t(t)][size_t(i)];
                            wanted.push_back(float(sum));
                          }
                          return wanted;
                        },
                        kFloat};
            return launches_of(op);
          }};
}

// In place, so timed rounds go on from what the last left; the check comes before them.
Case rescale(int64_t images, int64_t side) {
  const int64_t each = side * side * 4;
  return {.name = "guidance rescale " + std::to_string(images) + "x" + std::to_string(side) + "x" + std::to_string(side) + "x4",
          .bytes = double(images * each) * 12,
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(2);
            const void *like = set.input(images * each, DType::f32, &(*v)[0]), *y = set.input(images * each, DType::f32, &(*v)[1]);
            if (check)
              *check = {y, DType::f32, images * each,
                        [=] {
                          const auto deviation = [&](const Values& values, int64_t image) {
                            double mean = 0, square = 0;
                            for (int64_t i = 0; i < each; ++i) mean += values[size_t(image * each + i)] / double(each);
                            for (int64_t i = 0; i < each; ++i) square += std::pow(values[size_t(image * each + i)] - mean, 2);
                            return std::sqrt(square / double(each));
                          };
                          Values wanted = (*v)[1];
                          for (int64_t image = 0; image < images; ++image) {
                            const double factor = 1 + 0.7 * (deviation((*v)[0], image) / deviation((*v)[1], image) - 1);
                            for (int64_t i = 0; i < each; ++i) wanted[size_t(image * each + i)] *= float(factor);
                          }
                          return wanted;
                        },
                        kFloat};
            return {launch_of(Rescale{floats(like), const_cast<float*>(floats(y)), images, each, 0.7f})};
          }};
}

Case noise(int64_t images, int64_t side) {
  const int64_t pixels = side * side, each = pixels * 4;
  return {.name = "noise " + std::to_string(images) + "x" + std::to_string(side) + "x" + std::to_string(side) + "x4",
          .bytes = double(images * each) * 4,
          .prepare = [=](Set& set, Check* check) -> Launches {
            std::vector<uint64_t> seeds;
            for (int64_t i = 0; i < images; ++i) seeds.push_back(uint64_t(i) * 0x123456789ABCDEF);
            auto* y = static_cast<float*>(set.output(size_t(images * each) * 4));
            if (check)
              *check = {y, DType::f32, images * each,
                        [=] {
                          Values wanted(size_t(images * each)), plane(static_cast<size_t>(each));
                          for (int64_t image = 0; image < images; ++image) {
                            Philox::normal(seeds[size_t(image)], 1, plane);
                            for (int64_t i = 0; i < each; ++i) wanted[size_t(image * each + i)] = plane[size_t(i % 4 * pixels + i / 4)];
                          }
                          return wanted;
                        },
                        1e-7};
            return launches_of(Noise{seeds, 1, y, pixels, 4});
          }};
}

Case rgb(int64_t side) {
  const int64_t pixels = side * side;
  return {.name = "rgb " + std::to_string(side) + "x" + std::to_string(side),
          .bytes = double(pixels) * (4 * 4 + 3),
          .prepare = [=](Set& set, Check* check) -> Launches {
            const auto v = kept(1);
            const void* x = set.input(pixels * 4, DType::f32, &(*v)[0]);
            auto* y = static_cast<uint8_t*>(set.output(size_t(pixels) * 3));
            auto* bad = static_cast<uint32_t*>(set.output(4));
            if (check)
              *check = {y, DType::u8, pixels * 3,
                        [=] {
                          Values wanted;
                          for (int64_t i = 0; i < pixels * 3; ++i)
                            wanted.push_back(float(std::nearbyint(std::clamp((*v)[0][size_t(i / 3 * 4 + i % 3)] / 2 + 0.5f, 0.f, 1.f) * 255)));
                          return wanted;
                        },
                        0};
            return {launch_of(Rgb{DType::f32, x, y, bad, pixels, 4})};
          }};
}

}  // namespace

std::vector<Case> simple_cases(bool small) {
  const auto side = [&](int64_t full) { return small ? std::max<int64_t>(full / 64, 2) : full; };
  const auto many = [&](int64_t full) { return small ? std::max<int64_t>(full / 4096, 3) : full; };
  return {
      group_norm(2, side(128), 320, 1e-5f),
      group_norm(2, side(64), 640, 1e-5f),
      group_norm(2, side(32), 1280, 1e-5f),
      group_norm(2, side(32), 2560, 1e-5f),
      group_norm(1, side(512), 256, 1e-6f),
      group_norm(1, side(1024), 128, 1e-6f),
      layer_norm(many(8192), 640),
      layer_norm(many(2048), 1280),
      layer_norm(many(154), 768),
      activation("silu", Function::silu, ops::Activation::silu, many(int64_t(1) << 24) * 8),
      activation("gelu", Function::gelu, ops::Activation::gelu, many(2 * 77 * 5120)),
      activation("relu", Function::relu, ops::Activation::relu, many(int64_t(1) << 24) * 8),
      geglu(many(2048), 5120),
      convert(DType::f32, DType::bf16, many(int64_t(1) << 25)),
      convert(DType::f16, DType::bf16, many(int64_t(1) << 26)),
      narrow(DType::f32, many(int64_t(1) << 20), 4, 8),
      concat(many(2048), 1280, 640),
      embedding(2, small ? 100 : 49408, 768),
      sinusoid(30, 320),
      combine(1, side(128), 3),
      combine(4, side(128), 6),
      rescale(4, side(128)),
      noise(4, side(128)),
      rgb(side(1024)),
  };
}

}  // namespace sdxl::cuda::bench
