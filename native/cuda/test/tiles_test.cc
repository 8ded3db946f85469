#include "cuda/launch/tiles.h"

#include "cuda/emulator/engine.h"
#include "cuda/launch/attention.h"
#include "cuda/launch/matrix.h"
#include "cuda/test/emulated.h"

namespace sdxl::test {

namespace {

// The UNet's products at 1024×1024, both halves of guidance in one batch: how often, and of what shape.
struct Counted {
  int count;
  cuda::ProductShape shape;
};
std::vector<Counted> unet_products() {
  constexpr auto gemm = cuda::Product::gemm, conv2d = cuda::Product::conv2d;
  return {{60, {gemm, 2048, 10240, 1280}},  {60, {gemm, 2048, 1280, 5120}},   {60, {gemm, 2048, 3840, 1280}},    {192, {gemm, 2048, 1280, 1280}},
          {10, {gemm, 8192, 5120, 640}},    {10, {gemm, 8192, 640, 2560}},    {10, {gemm, 8192, 1920, 640}},     {40, {gemm, 8192, 640, 640}},
          {7, {conv2d, 32768, 320, 2880}},  {2, {conv2d, 32768, 320, 5760}},  {1, {conv2d, 32768, 320, 8640}},   {1, {conv2d, 32768, 640, 5760}},
          {6, {conv2d, 8192, 640, 5760}},   {1, {conv2d, 8192, 640, 2880}},   {1, {conv2d, 8192, 640, 8640}},    {1, {conv2d, 8192, 640, 11520}},
          {1, {conv2d, 8192, 640, 17280}},  {1, {conv2d, 8192, 1280, 11520}}, {10, {conv2d, 2048, 1280, 11520}}, {2, {conv2d, 2048, 1280, 23040}},
          {1, {conv2d, 2048, 1280, 17280}}, {1, {conv2d, 2048, 1280, 5760}}};
}

// The part of the chip's time that goes into sums somebody wants, weighted by work; one block per multiprocessor.
double useful_share(const cuda::Chip& chip, const std::function<cuda::Tile(const cuda::ProductShape&)>& choose) {
  double useful = 0, spent = 0;
  for (const auto& [count, shape] : unet_products()) {
    const cuda::Tile tile = choose(shape);
    const int64_t tiles = ((shape.rows + tile.rows - 1) / tile.rows) * ((shape.columns + tile.columns - 1) / tile.columns);
    const int64_t waves = (tiles + chip.multiprocessors - 1) / chip.multiprocessors;
    useful += double(count) * double(shape.inner * shape.rows * shape.columns);
    spent += double(count) * double(shape.inner * waves * chip.multiprocessors * tile.rows * tile.columns);
  }
  return useful / spent;
}

}  // namespace

TEST("cuda tiles: every tile has its kernels and fits every chip") {
  for (const auto product : {cuda::Product::gemm, cuda::Product::conv2d, cuda::Product::gemm_wgmma, cuda::Product::conv2d_wgmma})
    for (const cuda::Tile& tile : cuda::tiles_of(product))
      for (const cuda::Element element : kElements) {
        const std::string kernel =
            std::string(name_of(product)) + "_" + name_of(element) + "_" + std::to_string(tile.rows) + "x" + std::to_string(tile.columns);
        check(emulator::find_kernel(kernel.c_str()) != nullptr, __FILE__, __LINE__, "there is no kernel " + kernel);
        const std::string turns = kernel.substr(0, kernel.find("_wgmma")) + "_wgmma_turns" + kernel.substr(kernel.find("_wgmma") + 6);
        if (by_wgmma(product)) check((emulator::find_kernel(turns.c_str()) != nullptr) == can_take_turns(tile), __FILE__, __LINE__, turns);
        for (const cuda::Chip& chip : {kA100, kAda, kHopper}) {
          if (by_wgmma(product) && chip.architecture != 90) continue;
          const int stages = cuda::stages_for(product, tile, chip);
          CHECK(stages >= 2 && cuda::shared_bytes_of(product, {tile, stages}) <= chip.shared_bytes);
        }
      }
  CHECK(cuda::stages_for(cuda::Product::gemm, {128, 160}, kAda) == 2);
  CHECK(cuda::stages_for(cuda::Product::gemm, {128, 160}, kHopper) == 3);  // and two blocks
  CHECK(cuda::stages_for(cuda::Product::gemm, {128, 160}, kA100) == 4);    // one block
}

TEST("cuda tiles: the estimate fills the chip") {
  // 128 tiles are one wave of 128 or 132 multiprocessors.
  CHECK((cuda::estimated_tile({cuda::Product::gemm, 2048, 1280, 1280}, kHopper).tile == cuda::Tile{128, 160}));
  CHECK((cuda::estimated_tile({cuda::Product::gemm, 2048, 1280, 1280}, kAda).tile == cuda::Tile{128, 160}));
  // Few columns take a narrow tile, few rows a low one.
  CHECK((cuda::estimated_tile({cuda::Product::conv2d, 1 << 20, 3, 1152}, kHopper).tile == cuda::Tile{128, 32}));
  CHECK((cuda::estimated_tile({cuda::Product::gemm, 2, 1280, 320}, kHopper).tile == cuda::Tile{64, 64}));

  // Blocks with one tile share it, those with many take turns.
  CHECK(!cuda::estimated_tile({cuda::Product::gemm_wgmma, 2048, 1280, 1280}, kHopper).turns);
  CHECK(cuda::estimated_tile({cuda::Product::gemm_wgmma, 2048, 10240, 1280}, kHopper).turns);

  // One tile for all shapes, as a general library would choose, and ours: shares of useful work known from arithmetic by hand.
  const auto estimated = [](const cuda::Chip& chip) {
    return useful_share(chip, [&](const cuda::ProductShape& shape) { return cuda::estimated_tile(shape, chip).tile; });
  };
  const auto square = [](const cuda::ProductShape&) { return cuda::Tile{128, 128}; };
  CHECK_NEAR(useful_share(kHopper, square), 0.78, 0.005);
  CHECK_NEAR(useful_share(kA100, square), 0.86, 0.005);
  CHECK(estimated(kHopper) > 0.96);
  CHECK(estimated(kA100) > 0.96);
  CHECK(estimated(kAda) > 0.99);
}

TEST("cuda tiles: the family by chip and shape") {
  Buffer<uint16_t> memory(64);
  const void* x = memory.data();
  const auto linear = [&](const cuda::Chip& chip, int64_t rows, int64_t columns) {
    const cuda::Linear op{.element = cuda::Element::bf16, .rows = rows, .columns = columns, .products = {{x, x, 1280}}, .epilogue = {.y = memory.data()}};
    return fastest_launch_of(op, chip, emulator::encode).kernel;
  };
  CHECK(linear(kHopper, 2048, 1280) == "gemm_wgmma_bf16_128x160");
  CHECK(linear(kHopper, 2048, 10240) == "gemm_wgmma_turns_bf16_128x160");
  CHECK(linear(kHopper, 2, 1280) == "gemm_bf16_64x64");
  CHECK(linear(kAda, 2048, 1280) == "gemm_bf16_128x160");

  const auto conv2d = [&](const cuda::Chip& chip, int64_t columns, int stride) {
    const cuda::Conv2d op{.element = cuda::Element::fp16,
                          .sources = {{x, 64}},
                          .w = x,
                          .batch = 1,
                          .x_height = 1024,
                          .x_width = 1024,
                          .y_height = 1024 / stride,
                          .y_width = 1024 / stride,
                          .columns = columns,
                          .stride = stride,
                          .epilogue = {.y = memory.data()}};
    return fastest_launch_of(op, chip, emulator::encode).file;
  };
  CHECK(conv2d(kHopper, 128, 1) == "conv2d_wgmma");
  CHECK(conv2d(kHopper, 3, 1) == "conv2d");
  CHECK(conv2d(kHopper, 128, 2) == "conv2d");
  CHECK(conv2d(kA100, 128, 1) == "conv2d");

  const auto attention = [&](const cuda::Chip& chip, int64_t keys, int64_t width) {
    const cuda::Attention op{.element = cuda::Element::fp16,
                             .q = x,
                             .k = x,
                             .v = x,
                             .y = memory.data(),
                             .q_stride = 10 * width,
                             .kv_stride = 10 * width,
                             .batch = 2,
                             .queries = 4096,
                             .heads = 10,
                             .width = width,
                             .kv_batch = 2,
                             .keys = keys};
    return fastest_launch_of(op, chip, emulator::encode).kernel;
  };
  CHECK(attention(kHopper, 4096, 64) == "attention_wgmma_fp16");
  CHECK(attention(kHopper, 77, 64) == "attention_fp16_128x80");
  CHECK(attention(kAda, 4096, 64) == "attention_fp16_128x64");
  CHECK(attention(kHopper, 4096, 512) == "attention_wide_fp16");
}

TEST("cuda tiles: measured choices exist and fit") {
  for (const cuda::MeasuredTile& line : cuda::measured_tiles()) {
    const auto& tiles = cuda::tiles_of(line.shape.product);
    CHECK(std::find(tiles.begin(), tiles.end(), line.choice.tile) != tiles.end());
    CHECK(line.choice.stages >= 2);
  }
}

}  // namespace sdxl::test
