#include "cuda/launch/norms.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/error.h"
#include "cuda/kernels/group_norm_parameters.h"
#include "cuda/kernels/layer_norm_parameters.h"
#include "cuda/launch/flat.h"

namespace sdxl::cuda {

namespace {

// A piece is what one block reduces. Its size depends on nothing but the picture's, so neither batch nor GPU changes a result.
constexpr int64_t kPixelsOfPiece = 32, kMostPieces = 256;

struct Pieces {
  int64_t count, pixels;
};
Pieces pieces_of(int64_t pixels) {
  const int64_t wanted = std::clamp<int64_t>(pixels / kPixelsOfPiece, 1, kMostPieces);
  const int64_t each = (pixels + wanted - 1) / wanted;
  return {(pixels + each - 1) / each, each};
}

// Channels that a block takes at once: whole groups and whole vectors, about so many that a row of threads reads 512 bytes.
int64_t slab_of(const GroupNorm& op, int64_t vector) {
  const int64_t unit = std::lcm(op.channels / op.groups, vector);
  if (op.channels % unit != 0 || unit / vector > kGroupNormThreads)
    throw Error(Code::internal, "no kernel normalises " + std::to_string(op.channels) + " channels in " + std::to_string(op.groups) + " groups");
  constexpr int64_t kWanted = 256;
  int64_t best = unit;
  for (int64_t slab = unit; slab <= op.channels && slab / vector <= kGroupNormThreads; slab += unit)
    if (op.channels % slab == 0 && slab <= std::max(kWanted, unit)) best = slab;
  return best;
}

}  // namespace

size_t group_norm_scratch(int64_t images, int64_t pixels, int groups) { return size_t(images * groups * pieces_of(pixels).count) * sizeof(float2); }

std::array<Launch, 2> launches_of(const GroupNorm& op) {
  const int64_t vector = op.channels % 8 == 0 && aligned_16(op.x, op.y) ? 8 : 1;
  const int64_t slab = slab_of(op, vector), rows = kGroupNormThreads / (slab / vector);
  const Pieces pieces = pieces_of(op.pixels);
  // Blocks of the second launch read all moments of their groups first: eight rounds at least, and not many more blocks than a GPU holds.
  constexpr int64_t kRounds = 8, kMostBlocks = 512;
  const int64_t pixels_a_block = std::max(rows * kRounds, (op.pixels + kMostBlocks - 1) / kMostBlocks);
  const GroupNormParameters parameters{.x = op.x,
                                       .y = op.y,
                                       .weight = op.weight,
                                       .bias = op.bias,
                                       .moments = static_cast<float2*>(op.scratch),
                                       .pixels = op.pixels,
                                       .channels = int32_t(op.channels),
                                       .groups = op.groups,
                                       .slab = int32_t(slab),
                                       .pieces = int32_t(pieces.count),
                                       .pixels_a_piece = int32_t(pieces.pixels),
                                       .pixels_a_block = int32_t(pixels_a_block),
                                       .eps = op.eps,
                                       .silu = op.silu};
  const std::string kind = "_" + std::to_string(vector) + "_" + name_of(op.element);
  const unsigned slabs = unsigned(op.channels / slab), images = unsigned(op.images);
  const unsigned blocks = unsigned((op.pixels + pixels_a_block - 1) / pixels_a_block);
  return {Launch("group_norm", "group_moments" + kind, {unsigned(pieces.count), slabs, images}, kGroupNormThreads,
                 unsigned(rows * slab * int64_t(sizeof(float2))), parameters),
          Launch("group_norm", "group_apply" + kind, {blocks, slabs, images}, kGroupNormThreads,
                 unsigned(slab / (op.channels / op.groups) * int64_t(sizeof(float2))), parameters)};
}

Launch launch_of(const LayerNorm& op) {
  const LayerNormParameters parameters{
      .x = op.x, .y = op.y, .weight = op.weight, .bias = op.bias, .rows = op.rows, .channels = int32_t(op.channels), .eps = op.eps};
  // The number in a kernel's name is how many vectors of eight each lane of its warp holds.
  const bool vectors = op.channels % 8 == 0 && aligned_16(op.x, op.y);
  const int64_t held = (op.channels + 255) / 256;
  const char* kind = vectors && held <= 3 ? "3" : vectors && held <= 5 ? "5" : "any";
  constexpr int64_t kRows = kLayerNormThreads / 32;
  return Launch("layer_norm", std::string("layer_norm_") + kind + "_" + name_of(op.element), {.x = unsigned((op.rows + kRows - 1) / kRows)}, kLayerNormThreads,
                0, parameters);
}

}  // namespace sdxl::cuda
