#include "cuda/launch/latents.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "core/random.h"
#include "cuda/kernels/latents_parameters.h"
#include "cuda/test/emulated.h"
#include "reference/backend.h"

namespace sdxl::test {

namespace {

using namespace sdxl::cuda;  // NOLINT: launches as the engine writes them

double deviation(const float* x, int64_t count) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < count; ++i) mean += x[i];
  mean /= double(count);
  for (int64_t i = 0; i < count; ++i) square += (x[i] - mean) * (x[i] - mean);
  return std::sqrt(square / double(count));
}

}  // namespace

TEST("cuda combine: any number of terms, y among them") {
  const auto reference = make_reference_backend();
  for (const int64_t count : {1, 300, 5000})
    for (const size_t terms : {0, 1, 2, 5, 32, 33, 70})
      for (const bool in_place : {false, true}) {
        if (count == 5000 && terms > 5) continue;
        std::vector<std::vector<float>> x;
        for (size_t t = 0; t < terms; ++t) x.push_back(numbers(count, t + 1));
        ops::Combine meaning{.terms = {}, .y = {}};
        std::vector<float> wanted(static_cast<size_t>(count));
        meaning.y = {wanted.data(), {count}};
        std::vector<std::unique_ptr<Buffer<float>>> device;
        Buffer<float> y(in_place && terms > 0 ? x.back() : std::vector<float>(size_t(count), NAN));
        Combine op{.type = DType::f32, .terms = {}, .y = y.data(), .count = count, .outside = {}};
        for (size_t t = 0; t < terms; ++t) {
          const float coefficient = float(t) * 0.17f - 2.3f;
          meaning.terms.push_back({coefficient, {x[t].data(), {count}}});
          device.push_back(std::make_unique<Buffer<float>>(x[t], false));
          op.terms.push_back({coefficient, in_place && t + 1 == terms ? y.data() : device.back()->data()});
        }
        reference->run(meaning);
        const auto launches = launches_of(op);
        CHECK(launches.size() == std::max<size_t>(1, (terms + CombineParameters::kTerms - 1) / CombineParameters::kTerms));
        for (const Launch& launch : launches) emulate(launch);
        // Each step rounds half an ulp of a sum that stays below the sum of the coefficients, at most 9.6 each.
        check_within(y.values(), wanted, 0, double(terms * terms) * 10 * 0x1p-24, "combine of " + std::to_string(terms));
      }
}

TEST("cuda combine: the network's input in 16 bits") {
  for (const Element element : kElements) {
    const Buffer<float> a(numbers(100, 1), false), b(numbers(100, 2), false);
    Buffer<uint16_t> y = unwritten(100);
    const DType type = element == Element::bf16 ? DType::bf16 : DType::f16;
    for (const Launch& launch : launches_of(Combine{.type = type, .terms = {{0.5f, a.data()}, {2, b.data()}}, .y = y.data(), .count = 100, .outside = {}}))
      emulate(launch);
    std::vector<float> wanted;
    for (size_t i = 0; i < 100; ++i) wanted.push_back(value_of(bits_of(a.values()[i] * 0.5f + b.values()[i] * 2, element), element));
    CHECK(same_bits(values_of(y, element), wanted));
    CHECK(
        ERROR_OF(launches_of(Combine{.type = type, .terms = std::vector<Combine::Term>(33, {1, a.data()}), .y = y.data(), .count = 100, .outside = {}})).code ==
        Code::internal);
  }
}

TEST("cuda combine: a mask tells inside from outside, however many terms there are") {
  const int64_t images = 2, pixels = 35, channels = 4, count = images * pixels * channels;
  auto soft = numbers(pixels, 9);
  for (float& m : soft) m = std::abs(m);
  soft[0] = 0;
  soft[1] = 1;
  const Buffer<float> mask(soft, false);
  for (const auto& [inside, outside] : {std::pair{1, 1}, {2, 0}, {0, 3}, {20, 30}})
    for (const bool in_place : {false, true}) {
      std::vector<std::unique_ptr<Buffer<float>>> x;
      for (int t = 0; t < inside + outside; ++t) x.push_back(std::make_unique<Buffer<float>>(numbers(count, uint64_t(t) + 1), false));
      Buffer<float> y(in_place ? x.back()->values() : std::vector<float>(size_t(count), NAN));
      Combine op{.type = DType::f32, .terms = {}, .y = y.data(), .count = count, .mask = mask.data(), .outside = {}, .pixels = pixels, .channels = channels};
      std::vector<double> wanted(static_cast<size_t>(count));
      for (int t = 0; t < inside + outside; ++t) {
        const float coefficient = float(t) * 0.3f - 1;
        const bool own = in_place && t + 1 == inside + outside;
        (t < inside ? op.terms : op.outside).push_back({coefficient, own ? y.data() : x[size_t(t)]->data()});
        for (int64_t i = 0; i < count; ++i) {
          const double m = soft[size_t(i / channels % pixels)];
          wanted[size_t(i)] += (t < inside ? m : 1 - m) * double(coefficient) * x[size_t(t)]->values()[size_t(i)];
        }
      }
      for (const Launch& launch : launches_of(op)) emulate(launch);
      // As above; coefficients of at most 14.
      const double terms = inside + outside;
      check_within(y.values(), {wanted.begin(), wanted.end()}, 0x1p-24, terms * terms * 14 * 0x1p-24, "masked combine of " + std::to_string(inside + outside));
    }
}

TEST("cuda rescale: every image gets the other's deviation, as far as wanted") {
  const int64_t images = 3, each = 4 * 9 * 11;
  auto start = numbers(images * each, 1), like = numbers(images * each, 2);
  for (size_t i = 0; i < start.size(); ++i) {
    start[i] = start[i] * float(i / size_t(each) + 1) + 3;
    like[i] = like[i] * 0.7f - 2;
  }
  std::fill(start.end() - each, start.end(), 1.25f);  // an image without any deviation stays
  for (const float share : {0.0f, 0.7f, 1.0f}) {
    Buffer<float> y(start);
    const Buffer<float> other(like, false);
    emulate(launch_of(Rescale{other.data(), y.data(), images, each, share}));
    std::vector<float> wanted;
    for (int64_t image = 0; image < images; ++image) {
      const double own = deviation(start.data() + image * each, each);
      const double factor = own > 0 ? 1 + share * (deviation(like.data() + image * each, each) / own - 1) : 1;
      for (int64_t i = 0; i < each; ++i) wanted.push_back(float(start[size_t(image * each + i)] * factor));
    }
    check_within(y.values(), wanted, 3e-6, 0, "rescale");  // deviations of 400 numbers, some roundings of 6e-8 each
  }
}

TEST("cuda project: the part along another image, and the length") {
  const int64_t images = 3, each = 4 * 7 * 5;
  const auto start = numbers(images * each, 1);
  auto along = numbers(images * each, 2);
  for (size_t i = 0; i < start.size(); ++i) along[i] = along[i] * 2 + start[i];
  std::fill(along.end() - each, along.end(), 0.0f);  // no direction: nothing lies along it
  for (const auto& [share, limit] : {std::pair{1.0f, 0.0f}, {0.0f, 0.0f}, {0.3f, 2.5f}, {0.3f, 1000.0f}}) {
    Buffer<float> y(start);
    const Buffer<float> other(along, false);
    emulate(launch_of(Project{other.data(), y.data(), images, each, share, limit}));
    std::vector<float> wanted;
    for (int64_t image = 0; image < images; ++image) {
      const float *a = start.data() + image * each, *b = along.data() + image * each;
      double length = 0, square = 0, dot = 0;
      for (int64_t i = 0; i < each; ++i) length += double(a[i]) * a[i], square += double(b[i]) * b[i], dot += double(a[i]) * b[i];
      length = std::sqrt(length);
      const double shorten = limit > 0 && length > limit ? limit / length : 1;
      for (int64_t i = 0; i < each; ++i) wanted.push_back(float(shorten * (a[i] - (square > 0 ? (1 - share) * dot / square : 0) * b[i])));
    }
    check_within(y.values(), wanted, 1e-6, 1e-6, "project");  // numbers of at most 3, sums of 140
  }
}

TEST("cuda noise: the numbers of the CPU's generator, in our order") {
  const int64_t pixels = 30, channels = 4, each = pixels * channels;
  std::vector<uint64_t> seeds = {0, 1234567890123456789, 42};
  while (seeds.size() < 40) seeds.push_back(seeds.size() * 977);  // more than one launch carries
  for (const uint64_t draw : {uint64_t(0), uint64_t(3), uint64_t(1) << 33}) {
    Buffer<float> y(seeds.size() * size_t(each), NAN);
    const auto launches = launches_of(Noise{seeds, draw, y.data(), pixels, channels});
    CHECK(launches.size() == 2);
    for (const Launch& launch : launches) emulate(launch);
    std::vector<float> wanted(y.size());
    for (size_t image = 0; image < seeds.size(); ++image) {
      std::vector<float> values(static_cast<size_t>(each));
      Philox::normal(seeds[image], draw, values);
      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t c = 0; c < channels; ++c) wanted[image * size_t(each) + size_t(p * channels + c)] = values[size_t(c * pixels + p)];
    }
    // The same formula in double; a compiler that contracts it, or another logarithm, moves the last bit of a double and seldom of the float.
    check_within(y.values(), wanted, 0x1p-23, 0, "noise");
  }
}

TEST("cuda rgb: rounded half to even, clamped, and no number noticed") {
  const int64_t pixels = 60, stride = 8;
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    auto values = numbers(pixels * stride, 1);
    for (float& v : values) v *= 1.3f;
    values[0] = INFINITY;
    values[1] = -INFINITY;
    values[2] = 0.5f / 255 * 2 - 1;  // half of the first step
    std::vector<uint8_t> bytes;
    for (float& v : values) {
      const uint32_t bits = type == DType::f32 ? std::bit_cast<uint32_t>(v) : type == DType::f16 ? f32_to_f16(v) : f32_to_bf16(v);
      for (int64_t i = 0; i < size_of(type); ++i) bytes.push_back(uint8_t(bits >> 8 * i));
      if (type != DType::f32) v = type == DType::f16 ? f16_to_f32(uint16_t(bits)) : bf16_to_f32(uint16_t(bits));
    }
    const auto run = [&](uint32_t& bad_found) {
      const Buffer<uint8_t> x(bytes, false);
      Buffer<uint8_t> y(size_t(pixels * 3), 7);
      Buffer<uint32_t> bad(1);
      emulate(launch_of(Rgb{type, x.data(), y.data(), bad.data(), pixels, stride}));
      bad_found = bad.values()[0];
      return y.values();
    };
    uint32_t bad = 9;
    const auto rgb = run(bad);
    CHECK(bad == 0);
    for (int64_t i = 0; i < pixels * 3; ++i) {
      const float unit = std::clamp(values[size_t(i / 3 * stride + i % 3)] / 2 + 0.5f, 0.f, 1.f);
      CHECK(rgb[size_t(i)] == uint8_t(std::nearbyint(unit * 255)));
    }
    for (size_t i = 0; i < size_t(size_of(type)); ++i) bytes[size_t(17 * stride + 2) * size_t(size_of(type)) + i] = 0x7F | uint8_t(i % 2 ? 0 : 0x80);
    if (type == DType::f32) std::fill_n(bytes.begin() + (17 * stride + 2) * 4, 4, uint8_t(0x7F)), bytes[size_t(17 * stride + 2) * 4 + 2] = 0xFF;
    run(bad);
    CHECK(bad == 1);
  }
}

}  // namespace sdxl::test
