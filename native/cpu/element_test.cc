#include "cpu/isa.h"
#include "cpu/test_data.h"

namespace sdxl::test {

namespace {

std::vector<float> activated(ops::Backend& backend, const std::vector<float>& x, ops::Activation activation, bool in_place) {
  Guarded y(x);
  const int64_t count = int64_t(x.size());
  backend.run(ops::Activate{.x = {in_place ? y.data() : x.data(), {count}}, .y = {y.data(), {count}}, .activation = activation});
  CHECK(y.intact());
  return y.values();
}

}  // namespace

TEST("cpu activation: error below 2e-7 of max(1, |x|), on a dense range and far out") {
  std::vector<float> x;
  for (int i = -160'000; i <= 160'000; ++i) x.push_back(float(i) / 10'000 * 1.0001f);
  for (const float v : {0.0f, -0.0f, 20.0f, 80.0f, 88.5f, 100.0f, 1e4f, 1e20f, 3e38f, 1e-20f, 1e-40f}) x.insert(x.end(), {v, -v});
  const auto reference = make_reference_backend();
  for (const auto activation : {ops::Activation::none, ops::Activation::silu, ops::Activation::gelu, ops::Activation::quick_gelu, ops::Activation::relu}) {
    const auto wanted = activated(*reference, x, activation, false);
    on_each_backend([&](ops::Backend& backend, const std::string& on) {
      const auto found = activated(backend, x, activation, false);
      double worst = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double error = std::abs(double(found[i]) - wanted[i]) / std::max(1.0f, std::abs(x[i]));
        worst = error <= worst ? worst : error;
      }
      check(worst <= 2e-7, __FILE__, __LINE__, on + "activation " + std::to_string(int(activation)) + ", error " + std::to_string(worst * 1e7) + "e-7");
      CHECK(same_bits(found, activated(backend, x, activation, true)));
      const auto nan = activated(backend, std::vector<float>(19, NAN), activation, false);
      for (const float v : nan) CHECK(std::isnan(v));
    });
  }
}

TEST("cpu exp: within 2 ulp, seen through a softmax whose largest score is 0") {
  for (const cpu::Kernels* kernels : cpu::usable_kernels()) {
    double worst = 0;
    for (int start = 0; start < 874; ++start) {
      std::vector<float> scores(256), x(256);
      for (size_t i = 1; i < 256; ++i) x[i] = scores[i] = -(float(start) + float(i) / 256) / 10;
      float top = -INFINITY, sum = 0, y[64] = {};
      kernels->softmax({.scores = scores.data(),
                        .rows = 1,
                        .keys = 256,
                        .score_stride = 256,
                        .visible = 256,
                        .visible_step = 0,
                        .top = &top,
                        .sum = &sum,
                        .y = y,
                        .width = 64});
      CHECK(top == 0);
      for (size_t i = 0; i < 256; ++i) {
        const double wanted = std::exp(double(x[i]));
        if (x[i] < -87.33f) CHECK(scores[i] == 0);
        else worst = std::max(worst, std::abs(scores[i] - wanted) / (std::nextafter(float(wanted), INFINITY) - float(wanted)));
      }
    }
    check(worst <= 2, __FILE__, __LINE__, std::string(kernels->name) + ": exp is off by " + std::to_string(worst) + " ulp");
  }
}

TEST("cpu combine: any number of terms, y among them") {
  const auto reference = make_reference_backend();
  for (const int64_t count : {1, 7, 16, 1000, 40'000})
    for (const size_t terms : {0, 1, 2, 5}) {
      const auto run = [&](ops::Backend& backend, bool in_place) {
        std::vector<std::vector<float>> x;
        for (size_t t = 0; t < terms; ++t) x.push_back(numbers(count, t + 1));
        Guarded y = in_place && terms > 0 ? Guarded(x.back()) : Guarded(count);
        ops::Combine op{.terms = {}, .y = {y.data(), {count}}};
        for (size_t t = 0; t < terms; ++t) op.terms.push_back({float(t) * 1.7f - 2.3f, {in_place && t + 1 == terms ? y.data() : x[t].data(), {count}}});
        backend.run(op);
        CHECK(y.intact());
        return y.values();
      };
      const auto wanted = run(*reference, false);
      on_each_backend([&](ops::Backend& backend, const std::string& on) {
        // Coefficients of at most 4.5, numbers of at most 1: sums of at most 12, each of the five steps rounds half an ulp of that.
        check_close(run(backend, false), wanted, 5 * 8 * 0x1p-24, on + "combine of " + std::to_string(terms));
        CHECK(same_bits(run(backend, false), run(backend, true)));
      });
    }
}

TEST("cpu concat: exact, any widths") {
  const auto reference = make_reference_backend();
  for (const int64_t rows : {1, 3, 200})
    for (const int64_t a : {1, 5, 32})
      for (const int64_t b : {1, 7, 16}) {
        const auto left = numbers(rows * a, 1), right = numbers(rows * b, 2);
        const auto run = [&](ops::Backend& backend) {
          Guarded y(rows * (a + b));
          backend.run(ops::Concat{.a = {left.data(), {rows, a}}, .b = {right.data(), {rows, b}}, .y = {y.data(), {rows, a + b}}});
          CHECK(y.intact());
          return y.values();
        };
        const auto wanted = run(*reference);
        on_each_backend([&](ops::Backend& backend, const std::string&) { CHECK(same_bits(run(backend), wanted)); });
      }
}

TEST("cpu blend: soft masks, several images, in place; exact where the mask is 0 or 1") {
  const auto reference = make_reference_backend();
  for (const int64_t images : {1, 3})
    for (const int64_t channels : {1, 4})
      for (const int64_t side : {1, 9, 75}) {
        const int64_t pixels = side * (side + 2), count = images * pixels * channels;
        const Shape shape{images, side, side + 2, channels};
        const auto a = numbers(count, 1), b = numbers(count, 2);
        auto mask = numbers(pixels, 3);
        for (size_t p = 0; p < mask.size(); ++p) mask[p] = p % 3 == 0 ? 0 : p % 3 == 1 ? 1 : std::abs(mask[p]);
        const auto run = [&](ops::Backend& backend, bool in_place) {
          Guarded y = in_place ? Guarded(b) : Guarded(count);
          backend.run(ops::Blend{
              .mask = {mask.data(), {side, side + 2}}, .a = {a.data(), shape}, .b = {in_place ? y.data() : b.data(), shape}, .y = {y.data(), shape}});
          CHECK(y.intact());
          return y.values();
        };
        const auto wanted = run(*reference, false);
        for (int64_t i = 0; i < count; ++i) {
          const float m = mask[size_t(i / channels % pixels)];
          if (m == 0 || m == 1) CHECK(wanted[size_t(i)] == (m == 1 ? a : b)[size_t(i)]);
        }
        on_each_backend([&](ops::Backend& backend, const std::string& on) {
          // Three roundings of numbers of at most 1.
          check_close(run(backend, false), wanted, 3 * 0x1p-24, on + "blend");
          CHECK(same_bits(run(backend, false), run(backend, true)));
        });
      }
}

TEST("cpu rescale: each image by its own deviation; one without any stays") {
  const auto reference = make_reference_backend();
  const Shape shape{3, 5, 7, 4};
  const int64_t each = shape.elements() / 3;
  const auto like = numbers(shape.elements(), 1);
  auto x = numbers(shape.elements(), 2);
  for (int64_t i = 0; i < each; ++i) x[size_t(i)] = 3 * x[size_t(i)] + 1, x[size_t(2 * each + i)] = 0.25f;
  for (const float share : {0.f, 0.7f, 1.f}) {
    const auto run = [&](ops::Backend& backend) {
      Guarded y(x);
      backend.run(ops::Rescale{.like = {like.data(), shape}, .share = share, .y = {y.data(), shape}});
      CHECK(y.intact());
      return y.values();
    };
    const auto wanted = run(*reference);
    const auto ratio = [&](int64_t image) { return wanted[size_t(image * each)] / x[size_t(image * each)]; };
    if (share == 0) CHECK(same_bits(wanted, x));
    else CHECK(ratio(0) < 0.6f && std::abs(ratio(1) - 1) < 0.1f && ratio(1) != 1 && ratio(2) == 1);  // 3, 1 and 0 times the deviation of `like`
    on_each_backend([&](ops::Backend& backend, const std::string& on) {
      // The factor and its product round once each, to values of at most 4.
      check_close(run(backend), wanted, 4 * 0x1p-23, on + "rescale");
    });
  }
}

TEST("cpu project: lengths and angles of each image; nothing to project on leaves it") {
  const auto reference = make_reference_backend();
  const Shape shape{3, 5, 7, 4};
  const int64_t each = shape.elements() / 3;
  const auto x = numbers(shape.elements(), 2);
  auto along = numbers(shape.elements(), 1);
  for (int64_t i = 0; i < each; ++i) along[size_t(i)] += x[size_t(i)], along[size_t(2 * each + i)] = 0;
  const auto dot = [&](const std::vector<float>& a, const std::vector<float>& b, int64_t image) {
    double sum = 0;
    for (int64_t i = image * each; i < (image + 1) * each; ++i) sum += double(a[size_t(i)]) * b[size_t(i)];
    return sum;
  };
  for (const float share : {0.f, 0.4f, 1.f})
    for (const float limit : {0.f, 2.f, 100.f}) {  // lengths are about 7
      const auto run = [&](ops::Backend& backend) {
        Guarded y(x);
        backend.run(ops::Project{.along = {along.data(), shape}, .share = share, .limit = limit, .y = {y.data(), shape}});
        CHECK(y.intact());
        return y.values();
      };
      const auto wanted = run(*reference);
      const double shorten = limit == 2 ? 2 / std::sqrt(dot(x, x, 0)) : 1;
      CHECK_NEAR(dot(wanted, along, 0), share * shorten * dot(x, along, 0), 1e-4);
      if (share == 1 && limit != 2) CHECK(same_bits(wanted, x));
      if (limit == 2) CHECK_NEAR(std::sqrt(dot(wanted, wanted, 2)), 2, 1e-5);
      on_each_backend([&](ops::Backend& backend, const std::string& on) {
        // Two factors and three roundings, of values below 2.
        check_close(run(backend), wanted, 5 * 0x1p-23, on + "project");
      });
    }
}

TEST("cpu embedding: every file format in every storage, bit for bit") {
  const auto reference = make_reference_backend();
  const int64_t vocabulary = 50, batch = 3, length = 7;
  const std::vector<int32_t> ids = {0, 49, 1, 7, 7, 30, 2, 48, 0, 0, 11, 12, 13, 14, 20, 21, 22, 23, 24, 25, 49};
  for (const int64_t width : {1, 5, 16, 77})
    for (const DType file : kFileTypes)
      for (const ops::Storage storage : kStorages) {
        const FileBytes bytes(numbers(vocabulary * width, 1), file);
        const auto positions = numbers(length * width, 2);
        const auto run = [&](ops::Backend& backend) {
          const auto table = backend.pack_table(bytes.rows(vocabulary, width), storage);
          Guarded y(batch * length * width);
          backend.run(ops::Embedding{
              .ids = ids.data(), .table = table.get(), .positions = {positions.data(), {length, width}}, .y = {y.data(), {batch, length, width}}});
          CHECK(y.intact());
          return y.values();
        };
        const auto wanted = run(*reference);
        on_each_backend([&](ops::Backend& backend, const std::string&) { CHECK(same_bits(run(backend), wanted)); });
      }
}

TEST("cpu sinusoid: as the reference") {
  const auto reference = make_reference_backend();
  const std::vector<float> values = {999, 0, 1, 1024, 512.5f, 37.25f};
  const auto run = [&](ops::Backend& backend) {
    Guarded y(6 * 320);
    backend.run(ops::Sinusoid{.values = values, .y = {y.data(), {6, 320}}});
    CHECK(y.intact());
    return y.values();
  };
  const auto wanted = run(*reference);
  on_each_backend([&](ops::Backend& backend, const std::string&) { CHECK(same_bits(run(backend), wanted)); });
}

}  // namespace sdxl::test
