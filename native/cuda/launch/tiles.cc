#include "cuda/launch/tiles.h"

#include <algorithm>

#include "core/error.h"

namespace sdxl::cuda {

namespace {

constexpr int kDepth = 64;       // terms of a stage
constexpr int kReserved = 1024;  // shared memory the system takes from every block
constexpr int kMaxStages = 4;
constexpr int kStripBytes = 8 * 16 * 40 * 4;  // the warps' ways out in sm_90a/gemm_wgmma.cu
constexpr int kBarrierBytes = 2 * 8;          // full and empty of each stage, the groups' turns
constexpr int kCornerBytes = 8;               // a convolution's table, for each row

// A tile costs its area over this: small warps read shared memory more often for each product. Estimates from bytes per product until
// the table has measurements.
double efficiency_of(const Tile& tile) {
  const int area = tile.rows * tile.columns;
  if (area >= 128 * 128) return 1;
  if (area >= 128 * 80) return 0.88;
  if (area >= 128 * 64) return 0.84;
  return area >= 64 * 64 + 1 ? 0.66 : 0.7;
}

}  // namespace

const std::vector<Tile>& tiles_of(Product product) {
  static const std::vector<Tile> gemm = {{128, 160}, {128, 128}, {128, 80}, {64, 160}, {128, 64}, {64, 64}};
  static const std::vector<Tile> conv2d = {{128, 160}, {128, 128}, {128, 80}, {64, 160}, {128, 64}, {64, 64}, {128, 32}};
  static const std::vector<Tile> wgmma = {{128, 160}, {128, 256}, {128, 128}};
  return product == Product::gemm ? gemm : product == Product::conv2d ? conv2d : wgmma;
}

const std::vector<MeasuredTile>& measured_tiles() {
  static const std::vector<MeasuredTile> table = {};  // nothing has run on a GPU yet
  return table;
}

int shared_bytes_of(Product product, const TileChoice& choice) {
  const int ring = choice.stages * (choice.tile.rows + choice.tile.columns) * kDepth * 2;
  if (by_wgmma(product)) return ring + kStripBytes + (choice.stages + 1) * kBarrierBytes;
  return ring + (product == Product::conv2d ? choice.tile.rows * kCornerBytes : 0);
}

bool can_take_turns(const Tile& tile) { return tile.columns <= 160; }

int stages_for(Product product, const Tile& tile, const Chip& chip) {
  if (by_wgmma(product)) return tile.columns == 128 ? 6 : tile.columns == 160 ? 5 : 4;  // compiled in: all that fits
  const int multiprocessor = chip.shared_bytes + kReserved;
  // Two blocks on a multiprocessor hide each other's waits, which is worth more than a fourth buffer.
  for (int stages = kMaxStages; stages >= 3; --stages)
    if (2 * (shared_bytes_of(product, {tile, stages}) + kReserved) <= multiprocessor) return stages;
  for (int stages = kMaxStages; stages >= 2; --stages)
    if (shared_bytes_of(product, {tile, stages}) <= chip.shared_bytes) return stages;
  throw Error(Code::internal, "a tile of " + std::to_string(tile.rows) + "×" + std::to_string(tile.columns) + " needs " +
                                  std::to_string(shared_bytes_of(product, {tile, 2})) + " bytes of shared memory, the chip has " +
                                  std::to_string(chip.shared_bytes));
}

TileChoice estimated_tile(const ProductShape& shape, const Chip& chip) {
  const auto cost = [&](const Tile& tile) {
    const int64_t waves = ceil_div(ceil_div(shape.rows, tile.rows) * ceil_div(shape.columns, tile.columns), chip.multiprocessors);
    return double(waves) * tile.rows * tile.columns / efficiency_of(tile);
  };
  const auto& tiles = tiles_of(shape.product);
  const Tile best = *std::min_element(tiles.begin(), tiles.end(), [&](const Tile& a, const Tile& b) { return cost(a) < cost(b); });
  // Turns hide the writing of all tiles but a block's last, which takes twice as long.
  const int64_t tiles_each = ceil_div(ceil_div(shape.rows, best.rows) * ceil_div(shape.columns, best.columns), chip.multiprocessors);
  return {best, stages_for(shape.product, best, chip), by_wgmma(shape.product) && can_take_turns(best) && tiles_each >= 3};
}

TileChoice choose_tile(const ProductShape& shape, const Chip& chip) {
  for (const MeasuredTile& line : measured_tiles())
    if (line.architecture == chip.architecture && line.multiprocessors == chip.multiprocessors && line.shape == shape) return line.choice;
  return estimated_tile(shape, chip);
}

}  // namespace sdxl::cuda
