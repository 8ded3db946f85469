#include "cpu/test_data.h"

namespace sdxl::test {

namespace {

struct Layer {
  int64_t batch, height, width, in, out, kernel = 3;
  int stride = 1, padding = 1;
  int64_t behind = 1;  // padding at the right and lower edge
  bool upsample = false, bias = true, per_image = false, residual = false;
  DType file = DType::f32;
  ops::Storage storage = ops::Storage::source;
  int64_t rank = 0;  // of a low-rank addition
  bool wrap_x = false, wrap_y = false;
  ops::Activation activation = ops::Activation::none;
  bool rounded = false;  // x is rounded to bf16 before anything else

  int64_t out_of(int64_t size) const { return ((upsample ? 2 : 1) * size + padding + behind - kernel) / stride + 1; }
};

std::string text(const Layer& c) {
  return "conv2d " + std::to_string(c.batch) + "×" + std::to_string(c.height) + "×" + std::to_string(c.width) + ", " + std::to_string(c.in) + "→" +
         std::to_string(c.out) + " kernel " + std::to_string(c.kernel) + " stride " + std::to_string(c.stride) + " padding " + std::to_string(c.padding) + "/" +
         std::to_string(c.behind) + (c.upsample ? " upsample" : "") + (c.per_image ? " per image" : "") + (c.residual ? " residual" : "") + " " +
         name_of(c.file) + " stored " + std::to_string(int(c.storage)) + (c.rank ? " rank " + std::to_string(c.rank) : "") + (c.wrap_x ? " wrap x" : "") +
         (c.wrap_y ? " wrap y" : "");
}

// All images, or `only` one of them.
std::vector<float> run(ops::Backend& backend, const Layer& c, int64_t only = -1) {
  const int64_t columns = c.in * c.kernel * c.kernel, height = c.out_of(c.height), width = c.out_of(c.width);
  const auto wide = numbers(c.batch * c.height * c.width * c.in, 1), x = c.rounded ? rounded_to_bf16(wide) : wide, bias = numbers(c.out, 3),
             per_image = numbers(c.batch * c.out, 5);
  const auto before = numbers(c.batch * height * width * c.out, 4);
  const FileBytes bytes(numbers(columns * c.out, 2), c.file);
  const auto weight =
      backend.pack(ops::PackConv2d{.weight = bytes.rows(c.out, columns), .in = c.in, .height = c.kernel, .width = c.kernel, .storage = c.storage});

  const FileBytes down_bytes(numbers(c.rank * columns, 6), DType::f32), up_bytes(numbers(c.out * c.rank, 7), DType::f32);
  ops::PackedPtr down, up;
  if (c.rank) {
    down = backend.pack(ops::PackConv2d{.weight = down_bytes.rows(c.rank, columns), .in = c.in, .height = c.kernel, .width = c.kernel});
    up = backend.pack(ops::PackLinear{.parts = {up_bytes.rows(c.out, c.rank)}});
  }

  const int64_t first = std::max<int64_t>(only, 0), batch = only < 0 ? c.batch : 1, each = height * width * c.out;
  Guarded y(std::vector<float>(before.begin() + first * each, before.begin() + (first + batch) * each));
  const Shape shape{batch, height, width, c.out};
  backend.run(ops::Conv2d{.x = {x.data() + first * c.height * c.width * c.in, {batch, c.height, c.width, c.in}},
                          .weight = weight.get(),
                          .bias = c.bias ? ConstTensor{bias.data(), {c.out}} : ConstTensor{},
                          .per_image = c.per_image ? ConstTensor{per_image.data() + first * c.out, {batch, c.out}} : ConstTensor{},
                          .residual = c.residual ? ConstTensor{y.data(), shape} : ConstTensor{},  // y itself
                          .y = {y.data(), shape},
                          .stride = c.stride,
                          .padding = c.padding,
                          .upsample = c.upsample,
                          .wrap_x = c.wrap_x,
                          .wrap_y = c.wrap_y,
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
      // The second factor of a low-rank addition multiplies the error of the first.
      const int64_t terms = all[i].in * all[i].kernel * all[i].kernel;
      const auto& wanted = multiplies_bf16(backend, all[i].storage) && all[i].in % 2 == 0 ? of_rounded[i] : exact[i];
      check_close(run(backend, all[i]), wanted, (1 + std::sqrt(double(all[i].rank * terms))) * sum_tolerance(terms), on + text(all[i]));
    }
  });
}

}  // namespace

TEST("cpu conv2d: channels and odd picture sizes") {
  std::vector<Layer> all;
  for (const int64_t in : {1, 3, 4, 9, 33})
    for (const int64_t out : {1, 3, 4, 16, 35}) {
      all.push_back({1, 5, 7, in, out});
      all.push_back({2, 1, 1, in, out});
    }
  all.push_back({1, 1, 19, 40, 20});
  all.push_back({1, 23, 1, 40, 20});
  all.push_back({2, 13, 11, 70, 50});
  compare(all);
}

TEST("cpu conv2d: kernels, strides, both paddings, upsampling") {
  std::vector<Layer> all;
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{8, 8}, {7, 9}, {6, 5}}) {
    all.push_back({2, height, width, 20, 18, 1, 1, 0, 0});
    all.push_back({2, height, width, 20, 18, 3, 2, 1, 1});
    all.push_back({2, height, width, 20, 18, 3, 2, 0, 1});
    all.push_back({2, height, width, 20, 18, 3, 1, 1, 1, true});
    all.push_back({2, height, width, 20, 18, 3, 1, 1, 0, true});  // one row and column less than twice the picture
    all.push_back({1, height, width, 5, 6, 5, 1, 2, 2});
    all.push_back({1, height, width, 5, 6, 1, 2, 0, 0});
  }
  compare(all);
}

TEST("cpu conv2d: bias, vector for each image, residual") {
  std::vector<Layer> all;
  for (const bool bias : {false, true})
    for (const bool per_image : {false, true})
      for (const bool residual : {false, true}) all.push_back({3, 9, 5, 21, 19, 3, 1, 1, 1, false, bias, per_image, residual});
  compare(all);
}

TEST("cpu conv2d: wrapping around each axis and both") {
  std::vector<Layer> all;
  for (const auto& [wrap_x, wrap_y] : std::vector<std::pair<bool, bool>>{{true, false}, {false, true}, {true, true}})
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{8, 8}, {7, 9}, {6, 5}, {1, 4}, {3, 1}, {1, 1}}) {
      Layer c{.batch = 2, .height = height, .width = width, .in = 20, .out = 18, .wrap_x = wrap_x, .wrap_y = wrap_y};
      all.push_back(c);
      c.stride = 2;
      all.push_back(c);
      c.padding = 0;  // all of the padding lies behind
      if (height > 1 && width > 1) all.push_back(c);
      c.stride = c.padding = 1, c.upsample = true;
      all.push_back(c);
      c.behind = 0;  // the doubled picture without its last row and column is what repeats
      all.push_back(c);
      c.upsample = false, c.kernel = 5, c.padding = 2, c.behind = 2;  // more padding than picture
      all.push_back(c);
      c.rank = 8, c.per_image = c.residual = true;
      all.push_back(c);
    }
  compare(all);
}

TEST("cpu conv2d: an activation stands before the residual") {
  std::vector<Layer> all;
  for (const auto activation : {ops::Activation::relu, ops::Activation::silu})
    for (const bool residual : {false, true}) {
      all.push_back({.batch = 2, .height = 7, .width = 9, .in = 20, .out = 18, .per_image = true, .residual = residual, .activation = activation});
      all.push_back({.batch = 2, .height = 7, .width = 9, .in = 20, .out = 18, .residual = residual, .rank = 8, .activation = activation});
    }
  compare(all);
}

TEST("cpu conv2d: low-rank additions") {
  std::vector<Layer> all;
  for (const int64_t rank : {1, 8, 40}) {
    all.push_back({.batch = 2, .height = 7, .width = 9, .in = 20, .out = 18, .per_image = true, .residual = true, .rank = rank});
    all.push_back({.batch = 1, .height = 7, .width = 9, .in = 20, .out = 18, .stride = 2, .rank = rank});
    all.push_back({.batch = 1, .height = 7, .width = 9, .in = 20, .out = 18, .upsample = true, .file = DType::f16, .rank = rank});
    all.push_back({.batch = 1, .height = 7, .width = 9, .in = 20, .out = 18, .kernel = 1, .padding = 0, .behind = 0, .rank = rank});
  }
  compare(all);
}

TEST("cpu conv2d: every file format in every storage") {
  std::vector<Layer> all;
  for (const DType file : kFileTypes)
    for (const ops::Storage storage : kStorages) all.push_back({1, 6, 5, 31, 18, 3, 1, 1, 1, false, true, true, true, file, storage});
  compare(all);
}

TEST("cpu conv2d: weights asked for in bf16") {
  std::vector<Layer> all;
  for (const int64_t in : {1, 2, 4, 33, 64, 130})
    for (const int64_t out : {1, 4, 33, 70}) {
      Layer c{.batch = 2, .height = 5, .width = 7, .in = in, .out = out, .residual = out == 4, .storage = ops::Storage::bf16};
      all.push_back(c);
      c.stride = 2;
      all.push_back(c);
      c.stride = 1, c.upsample = true;
      all.push_back(c);
      c.upsample = false, c.wrap_x = true;
      all.push_back(c);
      c.kernel = 1, c.padding = c.behind = 0;
      all.push_back(c);
    }
  compare(all);
}

TEST("cpu conv2d: the same bits for any number of threads, and for an image alone or among others") {
  Layer c{3, 11, 13, 66, 40, 3, 1, 1, 1, false, true, true, true, DType::f16};
  for (const std::string& isa : available_isas())
    for (const auto& [upsample, storage] : std::vector<std::pair<bool, ops::Storage>>{
             {false, ops::Storage::source}, {true, ops::Storage::source}, {false, ops::Storage::bf16}, {true, ops::Storage::bf16}}) {
      c.upsample = upsample, c.storage = storage;
      const auto whole = run(*make_cpu_backend(1, 0, isa), c);
      for (const int threads : {2, 3, 8}) CHECK(same_bits(whole, run(*make_cpu_backend(threads, 0, isa), c)));
      const int64_t each = int64_t(whole.size()) / c.batch;
      for (int64_t image = 0; image < c.batch; ++image) {
        const std::vector<float> part(whole.begin() + image * each, whole.begin() + (image + 1) * each);
        CHECK(same_bits(part, run(*make_cpu_backend(2, 0, isa), c, image)));
      }
    }
}

TEST("cpu conv2d: upsampling beyond twice the picture is an error, not a crash") {
  const auto backend = make_cpu_backend(1, 0, "");
  const FileBytes bytes(numbers(9, 1), DType::f32);
  const auto weight = backend->pack(ops::PackConv2d{.weight = bytes.rows(1, 9), .in = 1, .height = 3, .width = 3});
  std::vector<float> x(4), y(25);
  const ops::Conv2d op{
      .x = {x.data(), {1, 2, 2, 1}}, .weight = weight.get(), .bias = {}, .per_image = {}, .residual = {}, .y = {y.data(), {1, 5, 5, 1}}, .upsample = true};
  CHECK(ERROR_OF(backend->run(op)).code == Code::internal);
}

TEST("cpu conv2d: a product as a 1×1 convolution is the same product") {
  const int64_t pixels = 35, in = 300, out = 50;
  const auto x = numbers(pixels * in, 1);
  const FileBytes bytes(numbers(in * out, 2), DType::f16);
  on_each_backend([&](ops::Backend& backend, const std::string& on) {
    const auto linear = backend.pack(ops::PackLinear{.parts = {bytes.rows(out, in)}});
    const auto conv = backend.pack(ops::PackConv2d{.weight = bytes.rows(out, in), .in = in, .height = 1, .width = 1});
    std::vector<float> a(size_t(pixels * out)), b(a);
    backend.run(ops::Linear{.x = {x.data(), {pixels, in}}, .weight = linear.get(), .bias = {}, .residual = {}, .y = {a.data(), {pixels, out}}});
    backend.run(ops::Conv2d{
        .x = {x.data(), {1, 5, 7, in}}, .weight = conv.get(), .bias = {}, .per_image = {}, .residual = {}, .y = {b.data(), {1, 5, 7, out}}, .padding = 0});
    check(same_bits(a, b), __FILE__, __LINE__, on + "linear and conv2d");
  });
}

}  // namespace sdxl::test
