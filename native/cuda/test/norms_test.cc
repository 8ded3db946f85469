#include "cuda/launch/norms.h"

#include "cuda/kernels/group_norm_parameters.h"

#include "cuda/test/emulated.h"
#include "reference/backend.h"

namespace sdxl::test {

namespace {

using namespace sdxl::cuda;  // NOLINT: launches as the engine writes them

struct Group {
  int64_t images, height, width, channels;
  int groups;
  bool silu = false;
  float offset = 0;  // mean of x, whose deviation is 0.6
};

std::string text(const Group& c, Element element) {
  return std::string("group norm ") + name_of(element) + " " + std::to_string(c.images) + "×" + std::to_string(c.height) + "×" + std::to_string(c.width) + "×" +
         std::to_string(c.channels) + " in " + std::to_string(c.groups);
}

std::vector<float> input(const Group& c) {
  auto x = numbers(c.images * c.height * c.width * c.channels, 1);
  for (float& v : x) v += c.offset;
  return x;
}

// What the kernels make of images `first` … `first + count − 1`.
std::vector<float> normalized(const Group& c, Element element, bool in_place, int64_t first, int64_t count) {
  const int64_t each = c.height * c.width * c.channels;
  const auto all = input(c);
  Numbers x(std::vector<float>(all.begin() + first * each, all.begin() + (first + count) * each), element, in_place);
  Buffer<uint16_t> y = unwritten(in_place ? 0 : count * each);
  const Buffer<float> weight(numbers(c.channels, 2), false), bias(numbers(c.channels, 3), false);
  Buffer<float> scratch(group_norm_scratch(count, c.height * c.width, c.groups) / sizeof(float), NAN);
  for (const Launch& launch : launches_of(GroupNorm{.element = element,
                              .x = x.data(),
                              .y = in_place ? x.device.data() : y.data(),
                              .weight = weight.data(),
                              .bias = bias.data(),
                              .scratch = scratch.data(),
                              .images = count,
                              .pixels = c.height * c.width,
                              .channels = c.channels,
                              .groups = c.groups,
                              .eps = 1e-5f,
                              .silu = c.silu}))
    emulate(launch);
  return values_of(in_place ? x.device : y, element);
}

}  // namespace

TEST("cuda group norm: as the reference, in place or not") {
  const auto reference = make_reference_backend();
  const Group all[] = {
      {1, 1, 1, 4, 2},
      {2, 5, 7, 6, 3, true},
      {2, 3, 3, 32, 32, true},
      {1, 9, 11, 40, 4},
      {3, 1, 5, 33, 11, true},
      {2, 6, 6, 320, 32, true},
      {1, 17, 3, 128, 32, true},
      {1, 2, 3, 2560, 32, true},
      {1, 40, 50, 24, 3, true},  // many pieces
      {1, 12, 12, 64, 8, false, 300},
      {1, 5, 8, 2048, 1, false, 300},  // many pixels for each thread
  };
  for (const Group& c : all)
    for (const Element element : kElements) {
      const Numbers x(input(c), element);
      std::vector<float> wanted(x.values.size());
      const auto weight = numbers(c.channels, 2), bias = numbers(c.channels, 3);
      const Shape shape{c.images, c.height, c.width, c.channels};
      reference->run(ops::GroupNorm{.x = {x.values.data(), shape},
                                    .weight = {weight.data(), {c.channels}},
                                    .bias = {bias.data(), {c.channels}},
                                    .y = {wanted.data(), shape},
                                    .groups = c.groups,
                                    .eps = 1e-5f,
                                    .silu = c.silu});
      // The result is rounded once to 16 bits; before that fp32 is off by some 1e-6, with the mean far from 0 by its roundings over the deviation.
      const double absolute = 1e-5 + std::abs(c.offset) * 0x1p-23 * 3;
      for (const bool in_place : {false, true})
        check_within(normalized(c, element, in_place, 0, c.images), wanted, rounding_of(element), absolute, text(c, element));
    }
}

TEST("cuda group norm: an image alone gives the same bits as among others") {
  const Group c{3, 12, 13, 48, 6, true};
  const int64_t each = c.height * c.width * c.channels;
  const auto whole = normalized(c, Element::bf16, false, 0, 3);
  for (int64_t image = 0; image < 3; ++image)
    CHECK(same_bits(normalized(c, Element::bf16, false, image, 1), {whole.begin() + image * each, whole.begin() + (image + 1) * each}));
}

TEST("cuda group norm: launches at SDXL's sizes fit and cover every pixel once") {
  struct Size {
    int64_t side, channels;
  };
  for (const auto& [side, channels] : {Size{128, 320}, {128, 960}, {64, 1920}, {32, 2560}, {32, 1280}, {1024, 128}, {1024, 256}, {512, 512}, {128, 512}}) {
    const int64_t pixels = side * side;
    const auto [moments, apply] = launches_of(GroupNorm{.element = Element::bf16,
                                                        .x = nullptr,
                                                        .y = nullptr,
                                                        .weight = nullptr,
                                                        .bias = nullptr,
                                                        .scratch = nullptr,
                                                        .images = 2,
                                                        .pixels = pixels,
                                                        .channels = channels,
                                                        .groups = 32,
                                                        .eps = 1e-5f,
                                                        .silu = true});
    const auto p = moments.parameters_as<GroupNormParameters>();
    CHECK(moments.kernel == "group_moments_8_bf16" && apply.kernel == "group_apply_8_bf16");
    CHECK(moments.shared_bytes <= 48 << 10 && apply.shared_bytes <= 48 << 10);
    CHECK(p.slab * int(moments.grid.y) == channels && p.slab % (channels / 32) == 0 && p.slab % 8 == 0 && p.slab / 8 <= kGroupNormThreads);
    CHECK(int64_t(p.pieces - 1) * p.pixels_a_piece < pixels && int64_t(p.pieces) * p.pixels_a_piece >= pixels);
    CHECK(int64_t(apply.grid.x - 1) * p.pixels_a_block < pixels && int64_t(apply.grid.x) * p.pixels_a_block >= pixels);
    CHECK(group_norm_scratch(2, pixels, 32) == size_t(2 * 32 * p.pieces) * 8);
    CHECK(moments.grid.x * moments.grid.y * moments.grid.z >= 128);  // something for every multiprocessor of a large GPU
  }
  CHECK(ERROR_OF(launches_of(GroupNorm{.element = Element::bf16,
                                       .x = nullptr,
                                       .y = nullptr,
                                       .weight = nullptr,
                                       .bias = nullptr,
                                       .scratch = nullptr,
                                       .images = 1,
                                       .pixels = 1,
                                       .channels = 2 * 257,
                                       .groups = 2,
                                       .eps = 0,
                                       .silu = false}))
            .code == Code::internal);
}

TEST("cuda layer norm: as the reference, rows of any length, in place or not") {
  const auto reference = make_reference_backend();
  for (const int64_t channels : {3, 8, 77, 640, 768, 1280, 1288, 2049})
    for (const int64_t rows : {1, 6})
      for (const float offset : {0.0f, 20.0f})
        for (const Element element : kElements) {
          auto numbers_in = numbers(rows * channels, 1);
          for (float& v : numbers_in) v += offset;
          const auto weight = numbers(channels, 2), bias = numbers(channels, 3);
          const Numbers x(numbers_in, element);
          std::vector<float> wanted(x.values.size());
          reference->run(ops::LayerNorm{.x = {x.values.data(), {rows, channels}},
                                        .weight = {weight.data(), {channels}},
                                        .bias = {bias.data(), {channels}},
                                        .y = {wanted.data(), {rows, channels}},
                                        .eps = 1e-5f});
          for (const bool in_place : {false, true}) {
            Numbers input(numbers_in, element, in_place);
            Buffer<uint16_t> y = unwritten(in_place ? 0 : rows * channels);
            const Buffer<float> w(weight, false), b(bias, false);
            emulate(launch_of(LayerNorm{.element = element,
                                        .x = input.data(),
                                        .y = in_place ? input.device.data() : y.data(),
                                        .weight = w.data(),
                                        .bias = b.data(),
                                        .rows = rows,
                                        .channels = channels,
                                        .eps = 1e-5f}));
            // As for group norm. Three channels may lie close together, which makes the roundings of their mean large beside the deviation.
            const double absolute = (1e-5 + offset * 0x1p-23 * 3) * (channels == 3 ? 50 : 1);
            check_within(values_of(in_place ? input.device : y, element), wanted, rounding_of(element), absolute,
                         std::string("layer norm ") + name_of(element) + " of " + std::to_string(channels));
          }
        }
}

}  // namespace sdxl::test
