// Every op through the CUDA backend, as the model calls it, against the reference: packing, padding, conversions and scratch memory; the kernels
// themselves are tested in the files beside this one.
#include <functional>

#include "cuda/test/cuda_backend.h"
#include "cuda/test/emulated.h"
#include "reference/backend.h"

namespace sdxl::test {

namespace {

// One of the two, and how it is given numbers: both get them as the GPU sees them.
struct Side {
  ops::Backend& backend;
  DType type;       // of activations here: f32 on the reference
  DType rounds_to;  // what they are on the GPU
  ops::Storage storage;

  static float rounded(float v, DType type) { return type == DType::f16 ? f16_to_f32(f32_to_f16(v)) : type == DType::bf16 ? bf16_to_f32(f32_to_bf16(v)) : v; }
  std::vector<float> drawn(int64_t count, uint64_t seed) const {
    std::vector<float> values = numbers(count, seed);
    for (float& v : values) v = rounded(v, rounds_to);
    return values;
  }
  Array wide(Shape shape, uint64_t seed) const {
    Array host = backend.host().take(shape);
    const auto values = numbers(shape.elements(), seed);
    std::copy(values.begin(), values.end(), host.data());
    return backend.to_device(std::move(host), DType::f32);
  }
  Array input(Shape shape, uint64_t seed) const {
    Array host = backend.host().take(shape);
    const auto values = drawn(shape.elements(), seed);
    std::copy(values.begin(), values.end(), host.data());
    return backend.to_device(std::move(host), type);
  }
  Array output(Shape shape) const { return backend.arena().take(shape, type); }
  std::vector<float> values(const Array& array) const {
    const ops::HostView view = backend.view(array);
    return {view.values.data(), view.values.data() + array.elements()};
  }
  ops::PackedPtr linear(const std::vector<int64_t>& rows, int64_t columns, uint64_t seed, bool geglu = false) const {
    std::vector<FileBytes> files;
    std::vector<ops::WeightRows> parts;
    for (const int64_t count : rows) files.emplace_back(drawn(count * columns, seed++), DType::f32);
    for (size_t i = 0; i < rows.size(); ++i) parts.push_back(files[i].rows(rows[i], columns));
    return backend.pack(ops::PackLinear{.parts = parts, .geglu = geglu, .storage = storage});
  }
  ops::PackedPtr conv(int64_t out, int64_t in, int64_t kernel, uint64_t seed) const {
    const FileBytes file(drawn(out * in * kernel * kernel, seed), DType::f32);
    return backend.pack(ops::PackConv2d{.weight = file.rows(out, in * kernel * kernel), .in = in, .height = kernel, .width = kernel, .storage = storage});
  }
};

using Work = std::function<std::vector<float>(const Side&)>;

// `terms`: of the longest sum of products of numbers of about 1. `roundings`: of the result and what was rounded on its way, to 16 bits.
void compare(const std::string& what, int64_t terms, const Work& work, double roundings = 1) {
  const auto reference = make_reference_backend();
  for (const cuda::FakeGpu& gpu : {kAmpereGpu, kHopperGpu}) {
    FakeBackend fake(gpu);
    for (const DType type : {DType::f16, DType::bf16}) {
      const ops::Storage storage = type == DType::f16 ? ops::Storage::f16 : ops::Storage::bf16;
      const auto wanted = work({*reference, DType::f32, type, ops::Storage::f32}), found = work({*fake.backend, type, type, storage});
      const double rounding = type == DType::f16 ? 0x1p-11 : 0x1p-8, size = 1 + std::sqrt(double(terms));
      check_within(found, wanted, roundings * rounding, sum_tolerance(terms) * size + (roundings - 1) * rounding * size,
                   what + (gpu.major == 9 ? " on 9.0 " : " on 8.6 ") + name_of(type));
      check(fake.fake.last_fault.empty(), __FILE__, __LINE__, what + ": " + fake.fake.last_fault);
      check(fake.backend->arena().used() == 0, __FILE__, __LINE__, what + ": memory was not given back");
    }
  }
}

}  // namespace

TEST("cuda backend: linear layers of any width, stacked, with bias, residual and activation, into 16 and 32 bits") {
  for (const int64_t in : {8, 20, 64})
    for (const bool wide : {false, true})
      compare(
          "linear " + std::to_string(in) + (wide ? " of fp32" : ""), in,
          [&](const Side& s) {
            const auto weight = s.linear({24, 13, 11}, in, 1);
            const Array x = wide ? s.wide({37, in}, 5) : s.input({37, in}, 5);
            const Array bias = s.wide({48}, 6), residual = s.input({37, 48}, 7), y = s.output({37, 48});
            s.backend.run(ops::Linear{.x = x, .weight = weight.get(), .bias = bias, .residual = residual, .y = y, .activation = ops::Activation::silu});
            return s.values(y);
          },
          wide ? 2 : 1);
  compare("linear into fp32", 24, [](const Side& s) {
    const auto weight = s.linear({10}, 24, 1);
    const Array x = s.input({3, 24}, 5), y = s.backend.arena().take({3, 10});
    s.backend.run(ops::Linear{.x = x, .weight = weight.get(), .y = y, .activation = ops::Activation::relu});
    return s.values(y);
  });
  compare("geglu", 24, [](const Side& s) {
    const auto weight = s.linear({40}, 24, 1, true);
    const Array x = s.input({9, 24}, 5), bias = s.wide({40}, 6), y = s.output({9, 20});
    s.backend.run(ops::Linear{.x = x, .weight = weight.get(), .bias = bias, .y = y});
    return s.values(y);
  });
}

TEST("cuda backend: low-rank additions to linear layers, GEGLUs and convolutions") {
  for (const int64_t rank : {3, 8, 20})
    for (const bool geglu : {false, true})
      compare(
          "low rank " + std::to_string(rank), 24 + rank,
          [&](const Side& s) {
            const auto weight = s.linear({40}, 24, 1, geglu), down = s.linear({rank}, 24, 2), up = s.linear({40}, rank, 3, geglu);
            const Array x = s.input({9, 24}, 5), y = s.output({9, geglu ? 20 : 40});
            s.backend.run(ops::Linear{.x = x, .weight = weight.get(), .y = y, .added = {down.get(), up.get()}});
            return s.values(y);
          },
          4);
  compare(
      "low rank beside a convolution", 9 * 20,
      [](const Side& s) {
        const auto weight = s.conv(24, 20, 3, 1), down = s.conv(5, 20, 3, 2), up = s.linear({24}, 5, 3);
        const Array x = s.input({2, 6, 5, 20}, 5), y = s.output({2, 3, 3, 24});
        s.backend.run(ops::Conv2d{.x = x, .weight = weight.get(), .y = y, .stride = 2, .added = {down.get(), up.get()}});
        return s.values(y);
      },
      4);
}

TEST("cuda backend: convolutions of any number of channels, strides, upsampling, wrapping") {
  struct Picture {
    int64_t in, out, kernel;
    ops::Conv2d op;  // its settings
    int64_t y_height, y_width;
    bool wide_x = false, wide_y = false, more = false;
  };
  const auto settings = [](int stride, int padding, bool upsample = false, bool wrap = false) {
    return ops::Conv2d{.x = {}, .weight = {}, .y = {}, .stride = stride, .padding = padding, .upsample = upsample, .wrap_x = wrap, .wrap_y = wrap};
  };
  const std::vector<Picture> pictures = {
      {4, 32, 3, settings(1, 1), 7, 6, true},
      {9, 16, 3, settings(1, 1), 7, 6, true},
      {32, 4, 3, settings(1, 1), 7, 6, false, true},
      {24, 3, 3, settings(1, 1), 7, 6, false, true},
      {4, 4, 1, settings(1, 0), 7, 6, true, true},
      {12, 20, 3, settings(1, 1), 7, 6, false, false, true},
      {16, 16, 3, settings(2, 1), 4, 3},
      {16, 16, 3, settings(2, 0), 3, 2},
      {16, 16, 3, settings(1, 1, true), 14, 12},
      {16, 16, 3, settings(1, 1, true), 13, 11},
      {16, 24, 3, settings(1, 1, false, true), 7, 6},
      {64, 72, 1, settings(1, 0), 7, 6, false, false, true},
      {72, 128, 3, settings(1, 1), 7, 6, false, false, true},
  };
  for (const Picture& p : pictures)
    compare(
        "convolution " + std::to_string(p.in) + " to " + std::to_string(p.out), p.in * p.kernel * p.kernel,
        [&](const Side& s) {
          const auto weight = s.conv(p.out, p.in, p.kernel, 1);
          const Shape shape{2, p.y_height, p.y_width, p.out};
          const Array x = p.wide_x ? s.wide({2, 7, 6, p.in}, 5) : s.input({2, 7, 6, p.in}, 5);
          const Array bias = s.wide({p.out}, 6), per_image = s.wide({2, p.out}, 7), y = p.wide_y ? s.backend.arena().take(shape) : s.output(shape);
          const Array residual = p.more ? s.input(shape, 8) : Array();
          ops::Conv2d op = p.op;
          op.x = x, op.weight = weight.get(), op.bias = bias, op.y = y;
          if (p.more) op.per_image = per_image, op.residual = residual, op.activation = ops::Activation::relu;
          s.backend.run(op);
          return s.values(y);
        },
        p.wide_x ? 2 : 1);
}

TEST("cuda backend: a changed weight is the old one with other values, in every layout") {
  const auto change = [](float* values) { values[0] += 1, values[7] -= 2; };
  compare(
      "changed linear", 20,
      [&](const Side& s) {
        const auto weight = s.linear({6, 4}, 20, 1), other = s.backend.changed(*weight, change);
        const Array x = s.input({5, 20}, 5), y = s.output({5, 10});
        s.backend.run(ops::Linear{.x = x, .weight = other.get(), .y = y});
        return s.values(y);
      },
      2);
  compare(
      "changed geglu", 20,
      [&](const Side& s) {
        const auto weight = s.linear({12}, 20, 1, true), other = s.backend.changed(*weight, change);
        const Array x = s.input({5, 20}, 5), y = s.output({5, 6});
        s.backend.run(ops::Linear{.x = x, .weight = other.get(), .y = y});
        return s.values(y);
      },
      6);
  compare(
      "changed convolution", 9 * 12,
      [&](const Side& s) {
        const auto weight = s.conv(20, 12, 3, 1), other = s.backend.changed(*weight, change);
        const Array x = s.input({1, 5, 4, 12}, 5), y = s.output({1, 5, 4, 20});
        s.backend.run(ops::Conv2d{.x = x, .weight = other.get(), .y = y});
        return s.values(y);
      },
      2);
}

TEST("cuda backend: norms, activations and attention") {
  compare(
      "group norm", 1,
      [](const Side& s) {
        const Array x = s.input({2, 5, 3, 64}, 1), weight = s.wide({64}, 2), bias = s.wide({64}, 3), y = s.output({2, 5, 3, 64});
        s.backend.run(ops::GroupNorm{x, weight, bias, y, 32, 1e-5f, true});
        return s.values(y);
      },
      2);
  compare(
      "layer norm", 1,
      [](const Side& s) {
        const Array x = s.input({7, 96}, 1), weight = s.wide({96}, 2), bias = s.wide({96}, 3);
        s.backend.run(ops::LayerNorm{x, weight, bias, x, 1e-5f});
        return s.values(x);
      },
      2);
  for (const auto function : {ops::Activation::silu, ops::Activation::gelu, ops::Activation::quick_gelu, ops::Activation::relu})
    compare(
        "activation", 1,
        [&](const Side& s) {
          const Array x = s.input({3, 5, 7}, 1), y = s.output({3, 5, 7});
          s.backend.run(ops::Activate{x, y, function});
          return s.values(y);
        },
        2);
  for (const int mask : {0, 1, 2, 3})
    compare(
        "attention with mask " + std::to_string(mask), 64,
        [&](const Side& s) {
          const int64_t heads = 2, width = 64, channels = heads * width, keys = mask == 3 ? 9 : 77, queries = mask == 3 ? 9 : 20;
          const Array q = s.input({4, queries, channels}, 1), kv = s.input({2, keys, 2 * channels}, 2), y = s.output({4, queries, channels});
          ops::Attention op{.q = q.at(0),
                            .k = kv.at(0),
                            .v = kv.at(channels),
                            .q_stride = channels,
                            .kv_stride = 2 * channels,
                            .batch = 4,
                            .queries = queries,
                            .heads = heads,
                            .width = width,
                            .kv_batch = 2,
                            .keys = keys,
                            .y = y};
          if (mask == 1) op.key_counts = {77, 30};
          if (mask == 2)
            for (int64_t i = 0; i < 2 * keys; ++i) op.hidden.push_back(i % keys % 3 == 1);
          op.causal = mask == 3;
          s.backend.run(op);
          return s.values(y);
        },
        3);
  compare(
      "wide attention", 96,
      [](const Side& s) {
        const Array qkv = s.input({1, 30, 3 * 96}, 1), y = s.output({1, 30, 96});
        s.backend.run(ops::Attention{.q = qkv.at(0),
                                     .k = qkv.at(96),
                                     .v = qkv.at(2 * 96),
                                     .q_stride = 3 * 96,
                                     .kv_stride = 3 * 96,
                                     .batch = 1,
                                     .queries = 30,
                                     .heads = 1,
                                     .width = 96,
                                     .kv_batch = 1,
                                     .keys = 30,
                                     .y = y});
        return s.values(y);
      },
      3);
}

TEST("cuda backend: embeddings, sinusoids, tensors side by side") {
  compare("embedding", 1, [](const Side& s) {
    const FileBytes rows(s.drawn(50 * 24, 1), DType::f32);
    const auto table = s.backend.pack_table(rows.rows(50, 24), s.storage);
    const Array positions = s.wide({7, 24}, 2), y = s.output({2, 7, 24});
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 14; ++i) ids.push_back(i * 17 % 50);
    s.backend.run(ops::Embedding{ids.data(), table.get(), positions, y});
    return s.values(y);
  });
  compare(
      "sinusoid", 1,
      [](const Side& s) {
        const Array y = s.output({3, 32});
        s.backend.run(ops::Sinusoid{{0, 1.5f, 981}, y});
        return s.values(y);
      },
      2);
  for (const bool wide : {false, true})
    compare("concat", 1, [&](const Side& s) {
      const DType type = wide ? DType::f32 : s.type;
      const Array a = wide ? s.wide({5, 4}, 1) : s.input({5, 4}, 1), b = wide ? s.wide({5, 5}, 2) : s.input({5, 5}, 2),
                  y = s.backend.arena().take({5, 9}, type);
      s.backend.run(ops::Concat{a, b, y});
      return s.values(y);
    });
}

TEST("cuda backend: the arithmetic on latents, noise and bytes") {
  const Shape shape{2, 4, 3, 4};
  for (const bool narrow : {false, true})
    compare("combine", 4, [&](const Side& s) {
      const Array a = s.wide(shape, 1), b = s.wide(shape, 2), y = narrow ? s.output(shape) : s.backend.arena().take(shape);
      s.backend.run(ops::Combine{{{0.5f, a}, {-2, b}, {3, a}}, y});
      return s.values(y);
    });
  compare("copy", 1, [&](const Side& s) {
    const Array a = s.input(shape, 1), y = s.output(shape);
    s.backend.run(ops::Combine{{{1, a}}, y});
    return s.values(y);
  });
  compare("zero", 1, [&](const Side& s) {
    const Array y = s.backend.arena().take(shape);
    s.backend.run(ops::Combine{{}, y});
    return s.values(y);
  });
  compare("blend", 4, [&](const Side& s) {
    const Array a = s.wide(shape, 1), b = s.wide(shape, 2), mask = s.wide({4, 3}, 3);
    s.backend.run(ops::Blend{mask, a, b, a});
    return s.values(a);
  });
  compare("rescale", 48, [&](const Side& s) {
    const Array like = s.wide(shape, 1), y = s.wide(shape, 2);
    s.backend.run(ops::Rescale{like, 0.7f, y});
    return s.values(y);
  });
  compare("project", 48, [&](const Side& s) {
    const Array along = s.wide(shape, 1), y = s.wide(shape, 2);
    s.backend.run(ops::Project{along, 0.3f, 2, y});
    return s.values(y);
  });
  compare("noise", 1, [&](const Side& s) {
    const Array y = s.backend.arena().take(shape);
    s.backend.run(ops::Noise{{7, uint64_t(1) << 40}, 3, y});
    return s.values(y);
  });
  compare("rgb", 1, [&](const Side& s) {
    const Array x = s.wide({1, 5, 3, 3}, 1);
    std::vector<uint8_t> bytes(45);
    s.backend.run(ops::Rgb{x, bytes.data()});
    return std::vector<float>(bytes.begin(), bytes.end());
  });
  FakeBackend fake(kAmpereGpu);
  Array host = fake.backend->host().take({1, 1, 1, 3});
  host.data()[0] = host.data()[1] = 0, host.data()[2] = NAN;
  const Array pixels = fake.backend->to_device(std::move(host), DType::f32);
  uint8_t bytes[3];
  CHECK(ERROR_OF(fake.backend->run(ops::Rgb{pixels, bytes})).code == Code::internal);
}

TEST("cuda backend: weights of every file format are what the file says; those that are not finite are refused") {
  FakeBackend fake(kAmpereGpu);
  const auto reference = make_reference_backend();
  for (const DType file : kFileTypes)
    for (const bool transposed : {false, true}) {
      const FileBytes bytes(numbers(5 * 16, 1), file);
      const auto product = [&](ops::Backend& backend, ops::Storage storage, DType type) {
        const Side s{backend, type, DType::bf16, storage};
        const auto weight = backend.pack(ops::PackLinear{.parts = {bytes.rows(5, 16, transposed)}, .storage = storage});
        const Array x = s.input({3, 16}, 2), y = backend.arena().take({3, 5});
        backend.run(ops::Linear{.x = x, .weight = weight.get(), .y = y});
        return s.values(y);
      };
      check_within(product(*fake.backend, ops::Storage::bf16, DType::bf16), product(*reference, ops::Storage::bf16, DType::f32), 0, sum_tolerance(16) * 4,
                   std::string("weights of ") + name_of(file));
    }
  for (const DType file : {DType::f32, DType::f16, DType::bf16})
    for (const ops::Storage storage : {ops::Storage::f16, ops::Storage::bf16})
      for (const size_t at : {0, 17, 79}) {
        std::vector<float> values = numbers(80, 1);
        values[at] = NAN;
        const FileBytes bytes(values, file);
        const Error error = ERROR_OF(fake.backend->pack(ops::PackLinear{.parts = {bytes.rows(5, 16)}, .storage = storage}));
        CHECK(error.code == Code::model_format && error.message == "holds NaN or infinite values");
      }
  std::vector<float> values = numbers(80, 1);
  values[3] = 70000;
  const FileBytes bytes(values, DType::f32);
  CHECK(ERROR_OF(fake.backend->pack(ops::PackLinear{.parts = {bytes.rows(5, 16)}, .storage = ops::Storage::f16})).message.find("F16 cannot store") !=
        std::string::npos);
  CHECK(fake.backend->pack(ops::PackLinear{.parts = {bytes.rows(5, 16)}, .storage = ops::Storage::bf16}) != nullptr);
}

TEST("cuda backend: what is repeated is recorded once and sees new contents, also among other work") {
  FakeBackend fake(kAmpereGpu);
  ops::Backend& backend = *fake.backend;
  const Side s{backend, DType::f16, DType::f16, ops::Storage::f16};
  const auto weight = s.linear({16}, 16, 1);
  const Array x = s.backend.arena().take({4, 16}, DType::f16), y = s.backend.arena().take({4, 16});
  std::unique_ptr<ops::Backend::Recording> recording;
  int calls = 0;
  for (uint64_t round = 0; round < 5; ++round) {
    const Array fresh = s.input({4, 16}, round);
    backend.run(ops::Combine{{{1, fresh}}, x});
    const Array beside = s.wide({64, 64}, round);  // may lie where recorded work had its own
    const auto before = s.values(beside);
    backend.repeat(recording, [&] {
      ++calls;
      const Array inner = backend.arena().take({4, 16}, DType::f16);
      backend.run(ops::Linear{.x = x, .weight = weight.get(), .y = inner, .activation = ops::Activation::silu});
      backend.run(ops::Linear{.x = inner, .weight = weight.get(), .y = y});
    });
    backend.pace();
    const Array inner = backend.arena().take({4, 16}, DType::f16), wanted = backend.arena().take({4, 16});
    backend.run(ops::Linear{.x = x, .weight = weight.get(), .y = inner, .activation = ops::Activation::silu});
    backend.run(ops::Linear{.x = inner, .weight = weight.get(), .y = wanted});
    CHECK(same_bits(s.values(y), s.values(wanted)));
    CHECK(same_bits(s.values(beside), before));
  }
  CHECK(calls == 2 && fake.fake.calls_of("cuGraphLaunch") == 4);
  recording.reset();
}

TEST("cuda backend: nothing is left on the GPU when it goes, and a crash is told as one") {
  {
    FakeBackend fake(kAmpereGpu);
    const Side s{*fake.backend, DType::f16, DType::f16, ops::Storage::f16};
    const Array x = s.input({4, 16}, 1);
    CHECK(fake.backend->usable_memory() > 0 && fake.fake.live() > 0);
  }
  CHECK(fake_cuda().live() == 0);
  FakeBackend fake(kAmpereGpu);
  const Side s{*fake.backend, DType::f16, DType::f16, ops::Storage::f16};
  const Array x = s.input({4, 16}, 1);
  fake.fake.failures["cuLaunchKernel"] = {cuda::result::kIllegalAddress};
  CHECK(ERROR_OF(fake.backend->run(ops::Activate{x, x, ops::Activation::silu})).code == Code::crashed);
  CHECK(ERROR_OF(s.values(x)).code == Code::crashed);
}

}  // namespace sdxl::test
