// Which tile makes a product. Measured choices stand in a table, by chip and shape; for all others an estimate decides.
#pragma once

#include <cstdint>
#include <vector>

namespace sdxl::cuda {

// What a choice depends on.
struct Chip {
  int architecture;  // compute capability · 10, such as 89
  int multiprocessors;
  int shared_bytes;  // most of one block; a multiprocessor has 1 KiB more
};

enum class Product { gemm, conv2d, gemm_wgmma, conv2d_wgmma };  // those by wgmma on sm_90a only

constexpr bool by_wgmma(Product product) { return product >= Product::gemm_wgmma; }
constexpr const char* name_of(Product product) {
  constexpr const char* names[] = {"gemm", "conv2d", "gemm_wgmma", "conv2d_wgmma"};
  return names[int(product)];
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Tile {
  int rows, columns;
  bool operator==(const Tile&) const = default;
};

struct TileChoice {
  Tile tile;
  int stages;          // buffers of the ring
  bool turns = false;  // by wgmma: the two groups of a block take turns at tiles, rather than share each
};

// A product of rows × columns sums of so many terms.
struct ProductShape {
  Product product;
  int64_t rows, columns, inner;
  bool operator==(const ProductShape&) const = default;
};

// A line of the table: this choice was the fastest on that chip.
struct MeasuredTile {
  int architecture, multiprocessors;
  ProductShape shape;
  TileChoice choice;
};

// Counts changes of the table and of the estimate. A product's last bits do not depend on them: every tile of a family sums in the same
// order.
constexpr int kTileTableVersion = 1;

const std::vector<Tile>& tiles_of(Product product);
const std::vector<MeasuredTile>& measured_tiles();

// Bytes of shared memory that a block needs.
int shared_bytes_of(Product product, const TileChoice& choice);
// Whether the sums of a whole tile fit the registers of one warpgroup.
bool can_take_turns(const Tile& tile);
// As many buffers as help, no more than fit.
int stages_for(Product product, const Tile& tile, const Chip& chip);
// By the table, else by estimated_tile.
TileChoice choose_tile(const ProductShape& shape, const Chip& chip);
TileChoice estimated_tile(const ProductShape& shape, const Chip& chip);

}  // namespace sdxl::cuda
