#include <thread>

#include "cpu/isa.h"
#include "cpu/test_data.h"

namespace sdxl::test {

namespace {

ops::PackedPtr pack(ops::Backend& backend, const std::vector<float>& values, DType file, ops::Storage storage = ops::Storage::source) {
  const FileBytes bytes(values, file);
  const int64_t columns = values.size() % 27 == 0 ? 27 : 5;
  return backend.pack(ops::PackLinear{.parts = {bytes.rows(int64_t(values.size()) / columns, columns)}, .geglu = false, .storage = storage});
}

}  // namespace

TEST("cpu backend: instruction sets by name") {
  const auto names = available_isas();
  CHECK(names.back() == "plain");
  CHECK(std::string(make_cpu_backend(1, 0, "")->name()) == "cpu-" + names.front());
  for (const std::string& isa : names) CHECK(make_cpu_backend(1, 0, isa)->name() == "cpu-" + isa);
  const Error error = ERROR_OF(make_cpu_backend(1, 0, "sse9"));
  CHECK(error.code == Code::device_unavailable);
  CHECK(error.message.find("'sse9'") != std::string::npos && error.message.find("plain") != std::string::npos);
  for (const cpu::Kernels* kernels : cpu::usable_kernels()) CHECK(kernels->panel <= cpu::kPanelMax && cpu::kPanelMax % kernels->panel == 0);
}

TEST("cpu backend: parallel runs every index and hands exceptions on") {
  on_each_backend([](ops::Backend& backend, const std::string&) {
    std::atomic<int> sum{0};
    backend.parallel(100, [&](int64_t i) { sum += int(i); });
    CHECK(sum == 4950);
    CHECK(ERROR_OF(backend.parallel(3, [](int64_t) { throw Error(Code::closed, "x"); })).code == Code::closed);
  });
}

TEST("cpu backend: weights that are not finite are refused, in every format and place") {
  on_each_backend([](ops::Backend& backend, const std::string& on) {
    for (const DType file : {DType::f32, DType::f16, DType::bf16, DType::f8_e5m2})
      for (const ops::Storage storage : kStorages)
        for (const float bad : {NAN, INFINITY, -INFINITY})
          for (const size_t at : {0, 17, 39, 80, 215, 216, 500, 539}) {  // of 20 rows of 27
            std::vector<float> values = numbers(540, 1);
            CHECK(pack(backend, values, file, storage) != nullptr);
            values[at] = bad;
            const Error error = ERROR_OF(pack(backend, values, file, storage));
            check(error.code == Code::model_format && error.message == "holds NaN or infinite values", __FILE__, __LINE__,
                  on + name_of(file) + ": " + error.message);
          }
    const std::byte nan_e4m3[] = {std::byte{0x38}, std::byte{0x7F}};
    CHECK(ERROR_OF(backend.pack(ops::PackLinear{.parts = {{nan_e4m3, DType::f8_e4m3, 1, 2}}})).code == Code::model_format);
    CHECK(ERROR_OF(backend.pack_table({nan_e4m3, DType::f8_e4m3, 1, 2}, ops::Storage::source)).code == Code::model_format);
    CHECK(ERROR_OF(backend.pack(ops::PackConv2d{.weight = {nan_e4m3, DType::f8_e4m3, 2, 1}, .in = 1, .height = 1, .width = 1})).code == Code::model_format);
  });
}

TEST("cpu backend: a value too large for f16 storage is refused by name, not turned into infinity") {
  const auto backend = make_cpu_backend(1, 0, "");
  std::vector<float> values = numbers(10, 1);
  values[3] = 70000;
  const Error error = ERROR_OF(pack(*backend, values, DType::f32, ops::Storage::f16));
  CHECK(error.code == Code::model_format);
  CHECK(error.message.find("F16") != std::string::npos);
  CHECK(pack(*backend, values, DType::f32, ops::Storage::bf16) != nullptr);
  values[3] = 65504;
  CHECK(pack(*backend, values, DType::f32, ops::Storage::f16) != nullptr);
}

TEST("cpu backend: integers are no weights") {
  const auto backend = make_cpu_backend(1, 0, "");
  const std::byte bytes[8] = {};
  const Error error = ERROR_OF(backend->pack(ops::PackLinear{.parts = {{bytes, DType::i32, 1, 2}}}));
  CHECK(error.code == Code::model_format);
  CHECK(error.message.find("I32") != std::string::npos);
}

TEST("cpu backend: 16-bit files stay 16 bits wide in memory") {
  const auto backend = make_cpu_backend(1, 0, "");
  const auto values = numbers(5 * 64, 1);
  CHECK(pack(*backend, values, DType::f32)->bytes() == 5 * 64 * 4);
  for (const DType file : {DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e5m2}) CHECK(pack(*backend, values, file)->bytes() == 5 * 64 * 2);
  CHECK(pack(*backend, values, DType::f16, ops::Storage::f32)->bytes() == 5 * 64 * 4);
}

TEST("cpu backend: a changed weight sees the values in a file's order and keeps its storage") {
  const int64_t in = 19, out = 38, taps = 9, rows = 3;
  const auto linear_values = numbers(out * in, 1), conv_values = numbers(out * in * taps, 2), x = numbers(rows * in, 3);
  on_each_backend([&](ops::Backend& backend, const std::string& on) {
    for (const auto& [file, storage] : std::vector<std::pair<DType, ops::Storage>>{
             {DType::f32, ops::Storage::source}, {DType::f16, ops::Storage::source}, {DType::bf16, ops::Storage::source}, {DType::bf16, ops::Storage::bf16}})
      for (const int kind : {0, 1, 2}) {  // linear, GEGLU, convolution
        const bool conv = kind == 2;
        const auto& values = conv ? conv_values : linear_values;
        const auto pack = [&](const FileBytes& bytes) {
          if (conv) return backend.pack(ops::PackConv2d{.weight = bytes.rows(out, in * taps), .in = in, .height = 3, .width = 3, .storage = storage});
          return backend.pack(ops::PackLinear{.parts = {bytes.rows(out, in)}, .geglu = kind == 1, .storage = storage});
        };
        const auto product = [&](const ops::Packed& weight) {
          std::vector<float> y(size_t(rows * out));
          if (conv) backend.run(ops::Conv2d{.x = {x.data(), {1, 1, rows, in}}, .weight = &weight, .y = {y.data(), {1, 1, rows, out}}});
          else backend.run(ops::Linear{.x = {x.data(), {rows, in}}, .weight = &weight, .y = {y.data(), {rows, kind == 1 ? out / 2 : out}}});
          return y;
        };
        const FileBytes bytes(values, file);
        const auto base = pack(bytes);
        std::vector<float> added = values;
        const auto other = backend.changed(*base, [&](float* seen) {
          for (size_t i = 0; i < values.size(); ++i) {
            CHECK(seen[i] == value_at(bytes.rows(1, 1).data, file, int64_t(i)));
            added[i] = seen[i] += 0.25f * float(i % 7);
          }
        });
        CHECK(other->bytes() == base->bytes());
        check(same_bits(product(*other), product(*pack(FileBytes(added, file)))), __FILE__, __LINE__, on + "changed " + std::to_string(kind));
        check(same_bits(product(*base), product(*backend.changed(*base, [](float*) {}))), __FILE__, __LINE__, on + "unchanged " + std::to_string(kind));
      }
  });
}

TEST("cpu backend: pairs of bf16 are rounded to nearest even, and filled up with zeros") {
  for (const cpu::Kernels* kernels : cpu::usable_kernels()) {
    if (!kernels->pairs) continue;
    for (const int64_t depth : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200, 201}) {
      constexpr int64_t kRows = 3;
      const int64_t stride = depth + 5, words = (depth + 1) / 2;
      std::vector<float> from = numbers(kRows * stride, 1);
      const float ties[] = {1.00390625f, 1.01171875f, -1.00390625f, 3e38f, -0.0f, 1e-30f};  // the first three lie between two neighbours
      for (size_t i = 0; i < std::min<size_t>(std::size(ties), size_t(depth)); ++i) from[i] = ties[i];
      std::vector<uint32_t> to(size_t(kRows * (words + 2)), 0xDEADBEEF);
      kernels->pairs->round(from.data(), kRows, depth, stride, to.data(), words + 2);
      for (int64_t r = 0; r < kRows; ++r)
        for (int64_t k = 0; k < 2 * (words + 2); ++k) {
          const uint16_t found = uint16_t(to[size_t(r * (words + 2) + k / 2)] >> (k % 2 * 16));
          if (k < depth) CHECK(found == f32_to_bf16(from[size_t(r * stride + k)]));
          else if (k < 2 * words) CHECK(found == 0);
          else CHECK(found == (k % 2 ? 0xDEAD : 0xBEEF));
        }
    }
  }
}

TEST("cpu backend: pack from several threads at once") {
  const auto backend = make_cpu_backend(2, 0, "");
  std::vector<ops::PackedPtr> packed(24);
  constexpr int64_t kPanel = cpu::kPanelMax;  // whole panels in every instruction set
  backend->parallel(24, [&](int64_t i) { packed[size_t(i)] = pack(*backend, numbers(5 * kPanel * (i + 1), 1), DType::f16); });
  for (size_t i = 0; i < packed.size(); ++i) CHECK(packed[i] && packed[i]->bytes() == int64_t(5 * kPanel * (i + 1) * 2));
}

TEST("cpu backend: a memory limit is an error of the op, and the backend works on") {
  const auto backend = make_cpu_backend(2, 1 << 20, "");
  const auto weight = pack(*backend, numbers(5 * 16, 1), DType::f32);
  const auto x = numbers(5, 2);
  std::vector<float> y(16);
  const auto run = [&] { backend->run(ops::Linear{.x = {x.data(), {1, 5}}, .weight = weight.get(), .bias = {}, .residual = {}, .y = {y.data(), {1, 16}}}); };
  run();
  const auto before = y;
  const std::vector<float> keys(4 * 100'000);
  std::vector<float> seen(4);
  CHECK(ERROR_OF(backend->run(ops::Attention{.q = x.data(),
                                             .k = keys.data(),
                                             .v = keys.data(),
                                             .q_stride = 4,
                                             .kv_stride = 4,
                                             .batch = 1,
                                             .queries = 1,
                                             .heads = 1,
                                             .width = 4,
                                             .kv_batch = 1,
                                             .keys = 100'000,
                                             .key_counts = {},
                                             .y = {seen.data(), {1, 1, 4}}}))
            .code == Code::out_of_memory);
  run();
  CHECK(same_bits(before, y));
  CHECK(backend->arena().used() == 0);
}

TEST("cpu backend: shapes that do not fit are an error, not a crash") {
  const auto backend = make_cpu_backend(1, 0, "");
  const auto weight = pack(*backend, numbers(5 * 16, 1), DType::f32);
  std::vector<float> m(400);
  const auto code_of = [&](const auto& op) { return ERROR_OF(backend->run(op)).code; };
  CHECK(code_of(ops::Linear{.x = {m.data(), {2, 6}}, .weight = weight.get(), .bias = {}, .residual = {}, .y = {m.data(), {2, 16}}}) == Code::internal);
  CHECK(code_of(ops::Linear{.x = {m.data(), {2, 5}}, .weight = weight.get(), .bias = {}, .residual = {}, .y = {m.data(), {2, 15}}}) == Code::internal);
  CHECK(code_of(ops::Linear{.x = {m.data(), {2, 5}}, .weight = weight.get(), .bias = {m.data(), {15}}, .residual = {}, .y = {m.data(), {2, 16}}}) ==
        Code::internal);
  CHECK(code_of(
            ops::Conv2d{.x = {m.data(), {1, 2, 2, 5}}, .weight = weight.get(), .bias = {}, .per_image = {}, .residual = {}, .y = {m.data(), {1, 2, 2, 16}}}) ==
        Code::internal);
  CHECK(code_of(ops::GroupNorm{.x = {m.data(), {1, 2, 2, 5}},
                               .weight = {m.data(), {5}},
                               .bias = {m.data(), {5}},
                               .y = {m.data(), {1, 2, 2, 5}},
                               .groups = 2,
                               .eps = 1e-5f,
                               .silu = false}) == Code::internal);
  CHECK(code_of(ops::Concat{.a = {m.data(), {2, 5}}, .b = {m.data(), {3, 5}}, .y = {m.data(), {2, 10}}}) == Code::internal);
  const int32_t ids[] = {16};
  const auto table = backend->pack_table(FileBytes(m, DType::f32).rows(16, 5), ops::Storage::source);
  CHECK(code_of(ops::Embedding{.ids = ids, .table = table.get(), .positions = {m.data(), {1, 5}}, .y = {m.data(), {1, 1, 5}}}) == Code::internal);
}

}  // namespace sdxl::test
