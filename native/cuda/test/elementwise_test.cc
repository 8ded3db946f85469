#include "cuda/launch/elementwise.h"

#include <bit>

#include "cuda/test/emulated.h"
#include "reference/backend.h"

namespace sdxl::test {

namespace {

using namespace sdxl::cuda;  // NOLINT: launches as the engine writes them

ops::Activation meaning_of(Function function) {
  switch (function) {
    case Function::silu: return ops::Activation::silu;
    case Function::gelu: return ops::Activation::gelu;
    case Function::quick_gelu: return ops::Activation::quick_gelu;
    case Function::relu: break;
  }
  return ops::Activation::relu;
}

std::vector<float> activated(const std::vector<float>& x, ops::Activation activation) {
  std::vector<float> y(x.size());
  const Shape shape{int64_t(x.size())};
  make_reference_backend()->run(ops::Activate{.x = {x.data(), shape}, .y = {y.data(), shape}, .activation = activation});
  return y;
}

std::vector<float> spread(int64_t count, uint64_t seed, float scale) {
  auto values = numbers(count, seed);
  for (float& v : values) v *= scale;
  return values;
}

// fp32 roundings of numbers of at most 10.
constexpr double kFloatError = 1e-5;

}  // namespace

TEST("cuda activations: as the reference") {
  for (const int64_t count : {1, 7, 8, 800, 1001, 5000})
    for (const Element element : kElements)
      for (const Function function : {Function::silu, Function::gelu, Function::quick_gelu, Function::relu}) {
        Numbers x(spread(count, 1, 9), element, true);
        const auto wanted = activated(x.values, meaning_of(function));
        Buffer<uint16_t> y = unwritten(count);
        emulate(launch_of(Activate{element, x.data(), y.data(), count, function}));
        check_within(values_of(y, element), wanted, rounding_of(element), kFloatError, "activation of " + std::to_string(count));
        emulate(launch_of(Activate{element, x.data(), x.device.data(), count, function}));
        CHECK(same_bits(values_of(x.device, element), values_of(y, element)));
      }
}

TEST("cuda activations: relu leaves what is not a number as it is") {
  for (const int64_t count : {1, 8})
    for (const Element element : kElements) {
      const Numbers x(std::vector<float>(size_t(count), NAN), element);
      Buffer<uint16_t> y(size_t(count), 0);
      emulate(launch_of(Activate{element, x.data(), y.data(), count, Function::relu}));
      for (const float v : values_of(y, element)) CHECK(std::isnan(v));
    }
}

TEST("cuda geglu: as the reference") {
  for (const int64_t rows : {1, 5})
    for (const int64_t width : {3, 8, 80})
      for (const Element element : kElements) {
        const Numbers x(spread(rows * 2 * width, 1, 4), element);
        const auto gates = activated(x.values, ops::Activation::gelu);
        std::vector<float> wanted;
        for (int64_t row = 0; row < rows; ++row)
          for (int64_t c = 0; c < width; ++c) wanted.push_back(x.values[size_t(row * 2 * width + c)] * gates[size_t((row * 2 + 1) * width + c)]);
        Buffer<uint16_t> y = unwritten(rows * width);
        emulate(launch_of(Geglu{element, x.data(), y.data(), rows, width}));
        check_within(values_of(y, element), wanted, rounding_of(element), kFloatError, "geglu of " + std::to_string(width));
      }
}

TEST("cuda convert: every value of the small formats, exactly; others rounded to nearest even") {
  const auto convert = [](DType from, DType to, const std::vector<uint8_t>& bytes) {
    const int64_t count = int64_t(bytes.size()) / size_of(from);
    const Buffer<uint8_t> x(bytes, false);
    Buffer<uint8_t> y(size_t(count * size_of(to)), 0xA5);
    emulate(launch_of(Convert{from, to, x.data(), y.data(), count}));
    return y.values();
  };
  const auto bytes_of = [](const auto& values) {
    std::vector<uint8_t> bytes(values.size() * sizeof values[0]);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  };
  const auto check_same = [&](DType from, DType to, const std::vector<uint8_t>& x, const std::vector<uint8_t>& y) {
    const int64_t count = int64_t(x.size()) / size_of(from);
    bool same = int64_t(y.size()) == count * size_of(to);
    for (int64_t i = 0; i < count && same; ++i) {
      const float wanted = value_at(reinterpret_cast<const std::byte*>(x.data()), from, i);
      const float found = value_at(reinterpret_cast<const std::byte*>(y.data()), to, i);
      const float rounded = to == DType::f16 ? f16_to_f32(f32_to_f16(wanted)) : to == DType::bf16 ? bf16_to_f32(f32_to_bf16(wanted)) : wanted;
      same = std::isnan(wanted) ? std::isnan(found) : std::memcmp(&found, &rounded, sizeof found) == 0;
    }
    test::check(same, __FILE__, __LINE__, std::string("convert ") + sdxl::name_of(from) + " to " + sdxl::name_of(to));
  };
  std::vector<uint8_t> eight;
  std::vector<uint16_t> sixteen;
  for (int i = 0; i < 256; ++i) eight.push_back(uint8_t(i));
  for (int i = 0; i < 65536; i += 3) sixteen.push_back(uint16_t(i));
  std::vector<float> wide = spread(1000, 1, 1e-3f);
  for (const float v : {0.0f, -0.0f, 65504.0f, 65519.9f, 65520.0f, 6e-8f, 3e-8f, 1e-40f, 3.4e38f, INFINITY, -INFINITY, NAN}) wide.push_back(v);
  for (const auto& [from, x] : {std::pair{DType::f8_e4m3, eight},
                                {DType::f8_e5m2, eight},
                                {DType::f16, bytes_of(sixteen)},
                                {DType::bf16, bytes_of(sixteen)},
                                {DType::f32, bytes_of(wide)}})
    for (const DType to : {DType::f32, DType::f16, DType::bf16})
      if (from != to) check_same(from, to, x, convert(from, to, x));
  CHECK(ERROR_OF(launch_of(Convert{DType::f32, DType::f8_e4m3, nullptr, nullptr, 1})).code == Code::internal);
  CHECK(ERROR_OF(launch_of(Convert{DType::i64, DType::f32, nullptr, nullptr, 1})).code == Code::internal);
}

TEST("cuda narrow: exact, any widths, every pair of formats, zeros behind") {
  const auto value = [](const std::vector<uint8_t>& bytes, DType type, int64_t i) {
    return value_at(reinterpret_cast<const std::byte*>(bytes.data()), type, i);
  };
  struct Case {
    int64_t rows, width, padded;
    std::string way;  // elements read and written at once
  };
  const std::vector<Case> cases = {{1, 1, 1, "1_1"},   {5, 3, 8, "1_8"},       {5, 4, 8, "1_8"},        {5, 9, 16, "1_8"}, {300, 4, 8, "1_8"},
                                   {7, 13, 40, "1_8"}, {3, 8, 16, "8_8"},      {3, 16, 40, "8_8"},      {3, 8, 9, "1_1"},  {3, 3, 5, "1_1"},
                                   {8, 3, 3, "8_8"},   {5, 3, 3, "1_1"},       {2, 320, 320, "8_8"},    {0, 4, 8, "1_8"},  {40, 0, 8, "8_8"},
                                   {1, 7, 8, "1_8"},   {2, 2049, 2056, "1_8"}, {1, 40000, 40000, "8_8"}};
  for (const Case& c : cases)
    for (const DType from : {DType::f32, DType::f16, DType::bf16})
      for (const Element to : kElements)
        for (const bool aligned : {true, false}) {
          if (!aligned && c.rows * c.padded > 5000) continue;
          const int64_t before = aligned ? 0 : 1;  // elements before x and y, so that nothing comes in sixteen bytes
          const auto numbers = spread((before + c.rows * c.width), 1, 1e-3f);
          std::vector<uint8_t> bytes;
          for (const float v : numbers) {
            const uint32_t bits = from == DType::f32 ? std::bit_cast<uint32_t>(v) : from == DType::f16 ? f32_to_f16(v) : f32_to_bf16(v);
            for (int64_t i = 0; i < size_of(from); ++i) bytes.push_back(uint8_t(bits >> 8 * i));
          }
          const Buffer<uint8_t> x(bytes, false);
          Buffer<uint16_t> y = unwritten(before + c.rows * c.padded + 1);
          const Launch launch = launch_of(Narrow{from, to, x.data() + before * size_of(from), y.data() + before, c.rows, c.width, c.padded});
          emulate(launch);
          const std::string what = launch.kernel + " of " + std::to_string(c.rows) + " rows of " + std::to_string(c.width) + " in " + std::to_string(c.padded);
          test::check(launch.kernel.starts_with("narrow_" + (aligned ? c.way : "1_1")), __FILE__, __LINE__, what);
          bool right = y.values().back() == 0x7FFF && (aligned || y.values()[0] == 0x7FFF);
          for (int64_t row = 0; row < c.rows; ++row)
            for (int64_t column = 0; column < c.padded; ++column)
              right &= y.values()[size_t(before + row * c.padded + column)] ==
                       (column < c.width ? bits_of(value(bytes, from, before + row * c.width + column), to) : 0);
          test::check(right, __FILE__, __LINE__, what);
        }
  // Only one of the two aligned.
  const Buffer<float> x(std::vector<float>(17, 2.0f), false);
  Buffer<uint16_t> y = unwritten(17);
  CHECK(launch_of(Narrow{DType::f32, Element::fp16, x.data() + 1, y.data(), 1, 16, 16}).kernel == "narrow_1_8_f32_fp16");
  CHECK(launch_of(Narrow{DType::f32, Element::fp16, x.data(), y.data() + 1, 1, 16, 16}).kernel == "narrow_1_1_f32_fp16");
  emulate(launch_of(Narrow{DType::f32, Element::fp16, x.data() + 1, y.data(), 1, 16, 16}));
  for (int i = 0; i < 16; ++i) CHECK(y.values()[size_t(i)] == 0x4000);

  CHECK(ERROR_OF(launch_of(Narrow{DType::f32, Element::fp16, nullptr, nullptr, 2, 9, 8})).code == Code::internal);
  CHECK(ERROR_OF(launch_of(Narrow{DType::f8_e4m3, Element::fp16, nullptr, nullptr, 2, 8, 8})).code == Code::internal);
}

TEST("cuda transpose: there and back") {
  const int64_t images = 2, pixels = 35, channels = 3;
  const Buffer<float> x(numbers(images * pixels * channels, 1), false);
  Buffer<float> last(x.size(), NAN), back(x.size(), NAN);
  emulate(launch_of(Transpose{true, x.data(), last.data(), images, pixels, channels}));
  for (int64_t i = 0; i < images; ++i)
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c)
        CHECK(last.values()[size_t((i * pixels + p) * channels + c)] == x.values()[size_t((i * channels + c) * pixels + p)]);
  emulate(launch_of(Transpose{false, last.data(), back.data(), images, pixels, channels}));
  CHECK(same_bits(back.values(), x.values()));
}

TEST("cuda concat: exact, any widths") {
  for (const auto& [a, b] : {std::pair{1, 1}, {5, 8}, {8, 16}, {32, 8}})
    for (const int64_t rows : {1, 40}) {
      const Numbers left(rows * a, 1, Element::fp16), right(rows * b, 2, Element::fp16);
      Buffer<uint16_t> y = unwritten(rows * (a + b));
      emulate(launch_of(Concat{left.data(), right.data(), y.data(), rows, a, b}));
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t c = 0; c < a + b; ++c) CHECK(y.values()[size_t(row * (a + b) + c)] == (c < a ? left.data()[row * a + c] : right.data()[row * b + c - a]));
    }
}

TEST("cuda embedding: as the reference, tables of every format") {
  const auto reference = make_reference_backend();
  const int64_t vocabulary = 50, batch = 3, length = 7, width = 20;
  const std::vector<int32_t> ids = {0, 49, 1, 7, 7, 30, 2, 48, 0, 0, 11, 12, 13, 14, 20, 21, 22, 23, 24, 25, 49};
  const auto positions = numbers(length * width, 2);
  for (const DType type : {DType::f32, DType::f16, DType::bf16})
    for (const Element element : kElements) {
      std::vector<uint8_t> bytes;
      for (const float v : numbers(vocabulary * width, 1)) {
        const uint32_t bits = type == DType::f32 ? std::bit_cast<uint32_t>(v) : type == DType::f16 ? f32_to_f16(v) : f32_to_bf16(v);
        for (int64_t i = 0; i < size_of(type); ++i) bytes.push_back(uint8_t(bits >> 8 * i));
      }
      const auto packed = reference->pack_table({reinterpret_cast<const std::byte*>(bytes.data()), type, vocabulary, width}, ops::Storage::source);
      std::vector<float> wanted(size_t(batch * length * width));
      reference->run(ops::Embedding{
          .ids = ids.data(), .table = packed.get(), .positions = {positions.data(), {length, width}}, .y = {wanted.data(), {batch, length, width}}});
      const Buffer<int32_t> on_device(ids, false);
      const Buffer<uint8_t> table(bytes, false);
      const Buffer<float> places(positions, false);
      Buffer<uint16_t> y = unwritten(batch * length * width);
      emulate(launch_of(Embedding{element, type, on_device.data(), table.data(), places.data(), y.data(), batch, length, width}));
      for (float& v : wanted) v = value_of(bits_of(v, element), element);
      CHECK(same_bits(values_of(y, element), wanted));
    }
}

TEST("cuda sinusoid: as the reference, more values than one launch carries") {
  const auto reference = make_reference_backend();
  std::vector<float> values = {999, 0, 1, 1024, 512.5f, 37.25f};
  while (values.size() < 70) values.push_back(float(values.size()) * 13.7f);
  for (const int64_t width : {6, 32, 320}) {
    const int64_t count = int64_t(values.size());
    std::vector<float> wanted(size_t(count * width));
    reference->run(ops::Sinusoid{.values = values, .y = {wanted.data(), {count, width}}});
    Buffer<float> y(wanted.size(), NAN);
    for (const Launch& launch : launches_of(Sinusoid{DType::f32, values, y.data(), width})) emulate(launch);
    // The frequency is rounded once by both, though this exponential may differ in its last bit: at 1024 an ulp of the angle is 6e-5.
    check_within(y.values(), wanted, 0, 7e-5, "sinusoid");
    for (const Element element : kElements) {
      Buffer<uint16_t> small = unwritten(count * width);
      for (const Launch& launch : launches_of(Sinusoid{element == Element::bf16 ? DType::bf16 : DType::f16, values, small.data(), width})) emulate(launch);
      std::vector<float> rounded;
      for (const float v : y.values()) rounded.push_back(value_of(bits_of(v, element), element));
      CHECK(same_bits(values_of(small, element), rounded));
    }
  }
}

}  // namespace sdxl::test
