#include "cpu/test_data.h"

namespace sdxl::test {

namespace {

struct Layer {
  int64_t rows, in, out;
  bool bias = true, residual = false, geglu = false, transposed = false;
  ops::Activation activation = ops::Activation::none;
  DType file = DType::f32;
  ops::Storage storage = ops::Storage::source;
  int64_t rank = 0;      // of a low-rank addition
  bool rounded = false;  // x is rounded to bf16 before anything else
};

std::string text(const Layer& c) {
  return "linear " + std::to_string(c.rows) + "×" + std::to_string(c.in) + "→" + std::to_string(c.out) + (c.bias ? " bias" : "") +
         (c.residual ? " residual" : "") + (c.geglu ? " geglu" : "") + (c.transposed ? " transposed" : "") + " activation " +
         std::to_string(int(c.activation)) + " " + name_of(c.file) + " stored " + std::to_string(int(c.storage)) +
         (c.rank ? " rank " + std::to_string(c.rank) : "");
}

std::vector<float> run(ops::Backend& backend, const Layer& c, int64_t first_row = 0, int64_t rows = -1) {
  if (rows < 0) rows = c.rows;
  const int64_t outputs = c.geglu ? c.out / 2 : c.out;
  const auto w = numbers(c.in * c.out, 1), wide = numbers(c.rows * c.in, 2), x = c.rounded ? rounded_to_bf16(wide) : wide, bias = numbers(c.out, 3),
             before = numbers(c.rows * outputs, 4);
  const FileBytes bytes(w, c.file);
  const auto weight = backend.pack(ops::PackLinear{.parts = {bytes.rows(c.out, c.in, c.transposed)}, .geglu = c.geglu, .storage = c.storage});

  const FileBytes down_bytes(numbers(c.rank * c.in, 5), DType::f32), up_bytes(numbers(c.out * c.rank, 6), DType::f32);
  ops::PackedPtr down, up;
  if (c.rank) {
    down = backend.pack(ops::PackLinear{.parts = {down_bytes.rows(c.rank, c.in)}});
    up = backend.pack(ops::PackLinear{.parts = {up_bytes.rows(c.out, c.rank)}, .geglu = c.geglu});
  }

  Guarded y(std::vector<float>(before.begin() + first_row * outputs, before.begin() + (first_row + rows) * outputs));
  backend.run(ops::Linear{.x = {x.data() + first_row * c.in, {rows, c.in}},
                          .weight = weight.get(),
                          .bias = c.bias ? ConstTensor{bias.data(), {c.out}} : ConstTensor{},
                          .residual = c.residual ? ConstTensor{y.data(), {rows, outputs}} : ConstTensor{},  // y itself
                          .y = {y.data(), {rows, outputs}},
                          .activation = c.activation,
                          .added = {down.get(), up.get()}});
  check(y.intact(), __FILE__, __LINE__, text(c) + " wrote beyond its tensor");
  return y.values();
}

void compare(const std::vector<Layer>& all) {
  const auto reference = make_reference_backend();
  std::vector<std::vector<float>> exact, of_rounded;
  for (Layer c : all) {
    exact.push_back(run(*reference, c));
    c.rounded = true;
    of_rounded.push_back(c.storage == ops::Storage::bf16 ? run(*reference, c) : std::vector<float>());
  }
  on_each_backend([&](ops::Backend& backend, const std::string& on) {
    for (size_t i = 0; i < all.size(); ++i) {
      const auto& wanted = multiplies_bf16(backend, all[i].storage) ? of_rounded[i] : exact[i];
      // The gate of a GEGLU, up to about √in, multiplies the error of the value.
      // So does the second factor of a low-rank addition the error of the first.
      const double grow = (all[i].geglu ? std::sqrt(double(all[i].in)) : 1) * (1 + std::sqrt(double(all[i].rank * all[i].in)));
      check_close(run(backend, all[i]), wanted, grow * sum_tolerance(all[i].in), on + text(all[i]));
    }
  });
}

}  // namespace

TEST("cpu linear: odd shapes") {
  std::vector<Layer> all;
  for (const int64_t rows : {1, 2, 5, 6, 7, 77, 145, 300})
    for (const int64_t in : {1, 3, 64, 257})
      for (const int64_t out : {1, 4, 16, 17, 40}) all.push_back({rows, in, out, (rows + in) % 2 == 0, out % 2 == 0});
  all.push_back({3, 1300, 300, true, true});
  all.push_back({290, 520, 530, true, true});
  compare(all);
}

TEST("cpu linear: activations and geglu, with and without bias and residual") {
  std::vector<Layer> all;
  for (const bool bias : {false, true})
    for (const bool residual : {false, true}) {
      for (const auto activation : {ops::Activation::none, ops::Activation::silu, ops::Activation::gelu, ops::Activation::quick_gelu})
        all.push_back({13, 70, 37, bias, residual, false, false, activation});
      for (const int64_t out : {2, 16, 22, 32, 70, 600}) all.push_back({13, 70, out, bias, residual, true});
    }
  compare(all);
}

TEST("cpu linear: low-rank additions") {
  std::vector<Layer> all;
  for (const int64_t rank : {1, 8, 32, 300})
    for (const bool geglu : {false, true}) {
      all.push_back({.rows = 13, .in = 70, .out = 38, .residual = true, .geglu = geglu, .rank = rank});
      all.push_back({.rows = 290, .in = 300, .out = 70, .bias = false, .geglu = geglu, .file = DType::f16, .rank = rank});
    }
  all.push_back({.rows = 13, .in = 70, .out = 37, .activation = ops::Activation::silu, .rank = 4});
  compare(all);
}

TEST("cpu linear: every file format in every storage, as it lies and transposed") {
  std::vector<Layer> all;
  for (const DType file : kFileTypes)
    for (const ops::Storage storage : kStorages)
      for (const bool transposed : {false, true})
        for (const bool geglu : {false, true})
          for (const int64_t out : {42, 64}) all.push_back({9, 270, out, true, false, geglu, transposed, ops::Activation::none, file, storage});
  compare(all);
}

TEST("cpu linear: parts below each other, also of unlike formats") {
  const int64_t in = 75, rows = 8;
  const FileBytes q(numbers(in * 20, 1), DType::f16), k(numbers(in * 20, 2), DType::f16), v(numbers(in * 9, 3), DType::bf16),
      same(numbers(in * 9, 3), DType::f16);
  const auto x = numbers(rows * in, 4);
  const auto run = [&](ops::Backend& backend, const ops::WeightRows& last) {
    const auto weight = backend.pack(ops::PackLinear{.parts = {q.rows(20, in), k.rows(20, in, true), last}});
    std::vector<float> y(size_t(rows * 49));
    backend.run(ops::Linear{.x = {x.data(), {rows, in}}, .weight = weight.get(), .bias = {}, .residual = {}, .y = {y.data(), {rows, 49}}});
    return y;
  };
  const auto reference = make_reference_backend();
  const auto unlike = run(*reference, v.rows(9, in)), alike = run(*reference, same.rows(9, in));
  on_each_backend([&](ops::Backend& backend, const std::string& on) {
    check_close(run(backend, v.rows(9, in)), unlike, sum_tolerance(in), on + "parts of unlike formats");
    check_close(run(backend, same.rows(9, in)), alike, sum_tolerance(in), on + "parts of one format");
  });
}

TEST("cpu linear: 16-bit storage gives the bits of the same weights in fp32") {
  on_each_backend([](ops::Backend& backend, const std::string& on) {
    for (const DType file : {DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e5m2}) {
      Layer c{50, 600, 90};
      c.file = file;
      const auto narrow = run(backend, c);
      c.storage = ops::Storage::f32;
      check(same_bits(narrow, run(backend, c)), __FILE__, __LINE__, on + text(c));
    }
  });
}

TEST("cpu linear: weights asked for in bf16, over odd shapes and whatever follows the product") {
  std::vector<Layer> all;
  for (const int64_t rows : {1, 2, 13, 14, 15, 77, 300})
    for (const int64_t in : {1, 2, 3, 31, 32, 33, 64, 257, 511, 512, 513, 1025})
      for (const int64_t out : {1, 4, 32, 33, 70}) {
        Layer c{.rows = rows, .in = in, .out = out, .bias = (rows + in) % 2 == 0, .residual = out % 2 == 0, .storage = ops::Storage::bf16};
        all.push_back(c);
        if (out % 2 || rows > 15) continue;
        c.geglu = true;
        all.push_back(c);
      }
  for (const auto activation : {ops::Activation::relu, ops::Activation::silu, ops::Activation::gelu, ops::Activation::quick_gelu})
    all.push_back({.rows = 13, .in = 71, .out = 37, .residual = true, .activation = activation, .storage = ops::Storage::bf16});
  compare(all);
}

TEST("cpu linear: what is added to weights in bf16 is as exact as beside others") {
  const auto reference = make_reference_backend();
  Layer c{.rows = 15, .in = 301, .out = 70, .storage = ops::Storage::bf16};
  const auto before = run(*reference, c);
  Layer rounded = c, adapted = c;
  rounded.rounded = true;
  adapted.rank = 8;
  const auto base = run(*reference, rounded), sum = run(*reference, adapted);
  std::vector<float> wanted = sum;
  for (size_t i = 0; i < wanted.size(); ++i) wanted[i] += base[i] - before[i];
  on_each_backend([&](ops::Backend& backend, const std::string& on) {
    const bool bf16 = multiplies_bf16(backend, c.storage);
    check_close(run(backend, adapted), bf16 ? wanted : sum, (1 + std::sqrt(8.0 * 301)) * sum_tolerance(c.in), on + text(adapted));
  });
}

TEST("cpu linear: the same bits for any number of threads, and for a row alone or among others") {
  Layer plain{301, 700, 330, true, true}, geglu{301, 700, 600, true, true, true};
  plain.activation = ops::Activation::silu;
  plain.file = geglu.file = DType::f16;
  Layer bf16 = plain, bf16_geglu = geglu;
  bf16.storage = bf16_geglu.storage = ops::Storage::bf16;
  for (const std::string& isa : available_isas())
    for (const Layer& c : {plain, geglu, bf16, bf16_geglu}) {
      const auto one = make_cpu_backend(1, 0, isa);
      const auto whole = run(*one, c);
      for (const int threads : {2, 3, 8}) CHECK(same_bits(whole, run(*make_cpu_backend(threads, 0, isa), c)));
      const int64_t outputs = int64_t(whole.size()) / c.rows;
      for (const auto& [first, rows] : std::vector<std::pair<int64_t, int64_t>>{{0, 1}, {5, 1}, {143, 2}, {300, 1}, {17, 77}, {150, 151}}) {
        const std::vector<float> part(whole.begin() + first * outputs, whole.begin() + (first + rows) * outputs);
        CHECK(same_bits(part, run(*make_cpu_backend(2, 0, isa), c, first, rows)));
      }
    }
}

}  // namespace sdxl::test
