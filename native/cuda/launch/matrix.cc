#include "cuda/launch/matrix.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace sdxl::cuda {

namespace {

constexpr int kChunk = 8;  // elements of one copy
constexpr int kChunksPerStage = 8;
constexpr unsigned kThreads = 128;

void require(bool ok, const std::string& what) {
  if (!ok) throw Error(Code::internal, "CUDA matrix product: " + what);
}

bool aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

int32_t narrow(int64_t value, const char* what) {
  require(value >= 0 && value <= std::numeric_limits<int32_t>::max(), std::string(what) + " is " + std::to_string(value));
  return int32_t(value);
}

MatrixSegment segment(const void* x, int64_t x_stride, const void* w, int64_t w_stride, int64_t w_tap, int64_t channels, int64_t taps) {
  require(channels > 0 && channels % kChunk == 0, "an inner dimension of " + std::to_string(channels) + " is not a multiple of 8");
  require(x_stride % kChunk == 0 && w_stride % kChunk == 0, "rows that are not a multiple of 8 elements apart");
  require(aligned(x, 16) && aligned(w, 16), "x and w have to be aligned to 16 bytes");
  const int64_t chunks = channels / kChunk;
  return {x, w, x_stride, w_stride, w_tap, narrow(chunks, "the number of channels"), int32_t(taps), int32_t(ceil_div(taps * chunks, kChunksPerStage))};
}

MatrixSegment segment(const Linear::Product& p) {
  return segment(p.x, p.x_stride ? p.x_stride : p.inner, p.w, p.w_stride ? p.w_stride : p.inner, 0, p.inner, 1);
}

int64_t taps_of(const Conv2d& op) { return int64_t(op.kernel_height) * op.kernel_width; }

// Of all pictures together.
int64_t channels_of(const Conv2d& op) {
  int64_t channels = 0;
  for (const Conv2d::Source& source : op.sources) channels += source.channels;
  return channels;
}

// One for each picture: its channels of w stand behind those of the pictures before.
std::vector<MatrixSegment> segments_of(const Conv2d& op) {
  const int64_t taps = taps_of(op), channels = channels_of(op);
  std::vector<MatrixSegment> segments;
  const char* w = static_cast<const char*>(op.w);
  for (const Conv2d::Source& source : op.sources) {
    segments.push_back(segment(source.x, source.channels, w, taps * channels, channels, source.channels, taps));
    w += 2 * source.channels;
  }
  return segments;
}

// Everything but the segments and the picture.
TileChoice fill(MatrixParameters& p, const Epilogue& e, Product product, int64_t inner, const Chip& chip, std::optional<TileChoice> tile) {
  const bool geglu = e.activation == MatrixActivation::geglu;
  const int64_t y_columns = geglu ? p.columns / 2 : p.columns;
  require(!geglu || p.columns % 2 == 0, "geglu needs values and gates");
  require(p.rows > 0 && p.columns > 0, "nothing to compute");
  p.bias = e.bias;
  p.per_image = e.per_image;
  p.residual = e.residual;
  p.residual_stride = e.residual_stride ? e.residual_stride : y_columns;
  p.y = e.y;
  p.y_stride = e.y_stride ? e.y_stride : y_columns;
  p.y_float = e.y_float;
  p.activation = e.activation;
  p.scale = e.scale;
  const int64_t vector = geglu ? 4 : 8;
  p.vectors = p.columns % 8 == 0 && p.y_stride % vector == 0 && p.residual_stride % vector == 0 && aligned(e.y, e.y_float ? 16 : size_t(vector) * 2) &&
              aligned(e.residual, size_t(vector) * 2) && aligned(e.bias, 16) && aligned(e.per_image, 16);

  const TileChoice choice = tile ? *tile : choose_tile({product, p.rows, p.columns, inner}, chip);
  require(!choice.turns || (by_wgmma(product) && can_take_turns(choice.tile)), "turns at such a tile");
  require(choice.stages >= 2 && shared_bytes_of(product, choice) <= chip.shared_bytes, std::to_string(choice.stages) + " stages do not fit");
  p.stages = choice.stages;
  p.row_tiles = int32_t(ceil_div(p.rows, choice.tile.rows));
  p.column_tiles = int32_t(ceil_div(p.columns, choice.tile.columns));
  narrow(int64_t(p.row_tiles) * p.column_tiles, "the number of tiles");
  return choice;
}

std::string kernel_name(const std::string& file, Element element, const Tile& tile) {
  return file + "_" + name_of(element) + "_" + std::to_string(tile.rows) + "x" + std::to_string(tile.columns);
}

Launch finish(MatrixParameters& p, const Epilogue& e, Product product, Element element, int64_t inner, const Chip& chip, std::optional<TileChoice> tile) {
  const TileChoice choice = fill(p, e, product, inner, chip, tile);
  require(choice.stages <= 4, std::to_string(choice.stages) + " stages");
  return Launch(name_of(product), kernel_name(name_of(product), element, choice.tile), {unsigned(p.row_tiles * p.column_tiles)}, kThreads,
                unsigned(shared_bytes_of(product, choice)), p);
}

// Dimensions of the product and of the images behind it.
void fill_sizes(MatrixParameters& p, const Linear& op) {
  p.rows = narrow(op.rows, "the number of rows");
  p.columns = narrow(op.columns, "the number of columns");
  require(!op.epilogue.per_image || op.rows_per_image > 0, "a vector for each image needs the rows of an image");
  p.rows_per_image = narrow(op.rows_per_image, "the number of rows of an image");
}

void fill_sizes(MatrixParameters& p, const Conv2d& op) {
  p.rows = narrow(op.batch * op.y_height * op.y_width, "the number of pixels");
  p.columns = narrow(op.columns, "the number of channels");
  p.rows_per_image = narrow(op.y_height * op.y_width, "the number of pixels of an image");
}

}  // namespace

Launch launch_of(const Linear& op, const Chip& chip, std::optional<TileChoice> tile) {
  MatrixParameters p{};
  require(!op.products.empty() && op.products.size() <= MatrixParameters::kSegments, std::to_string(op.products.size()) + " products in one");
  int64_t inner = 0;
  for (const Linear::Product& product : op.products) {
    p.segments[p.segment_count++] = segment(product);
    inner += product.inner;
  }
  fill_sizes(p, op);
  return finish(p, op.epilogue, Product::gemm, op.element, inner, chip, tile);
}

Launch launch_of(const Conv2d& op, const Chip& chip, std::optional<TileChoice> tile) {
  MatrixParameters p{};
  const int64_t taps = taps_of(op);
  require(!op.sources.empty() && op.sources.size() <= 2, std::to_string(op.sources.size()) + " pictures in one");
  for (const MatrixSegment& s : segments_of(op)) p.segments[p.segment_count++] = s;
  if (op.added) p.segments[p.segment_count++] = segment(*op.added);

  // A kernel of one tap reads row i for row i of y; with a stride or a margin it would not.
  const bool direct = op.stride == 1 && op.padding == 0 && !op.upsample && op.y_height == op.x_height && op.y_width == op.x_width;
  require(taps > 1 || direct, "a 1×1 convolution with a stride, padding or upsampling");
  require(op.stride >= 1 && op.padding >= 0, "stride and padding");
  constexpr int64_t kMaxSide = 32000;  // corners are 16-bit
  require(op.x_height > 0 && op.x_width > 0 && op.y_height <= kMaxSide && op.y_width <= kMaxSide && op.y_height * op.stride <= kMaxSide &&
              op.y_width * op.stride <= kMaxSide,
          "pictures of that size");
  if (op.upsample) require((op.y_height + 1) / 2 <= op.x_height && (op.y_width + 1) / 2 <= op.x_width, "upsampling to more than twice the picture");
  p.picture = {.x_height = int32_t(op.x_height),
               .x_width = int32_t(op.x_width),
               .seen_height = int32_t(op.upsample ? op.y_height : op.x_height),
               .seen_width = int32_t(op.upsample ? op.y_width : op.x_width),
               .y_height = int32_t(op.y_height),
               .y_width = int32_t(op.y_width),
               .kernel_width = op.kernel_width,
               .stride = op.stride,
               .padding = op.padding,
               .shift = op.upsample ? 1 : 0,
               .wrap_x = op.wrap_x,
               .wrap_y = op.wrap_y};
  fill_sizes(p, op);
  narrow(op.batch * op.x_height * op.x_width, "the number of pixels");
  return finish(p, op.epilogue, taps == 1 ? Product::gemm : Product::conv2d, op.element, taps * channels_of(op), chip, tile);
}

bool wgmma_can(const Linear& op) { return op.products.size() <= WgmmaParameters::kSegments; }

bool wgmma_can(const Conv2d& op) {
  const bool doubled = op.y_height == 2 * op.x_height && op.y_width == 2 * op.x_width;
  return op.stride == 1 && (!op.upsample || (doubled && !op.added)) && !op.wrap_x && !op.wrap_y &&
         op.sources.size() + (op.added ? 1 : 0) <= WgmmaParameters::kSegments;
}

namespace {

constexpr int kBoxPixels = 128;

// [columns][taps][channels], taps and columns further apart where the channels are some of more.
TensorBox weights(const void* w, int64_t channels, int64_t taps, int64_t columns, int64_t tap_stride, int64_t column_stride, int box_columns) {
  return {.data = w,
          .dimensions = 3,
          .sizes = {channels, taps, columns},
          .strides = {2, 2 * tap_stride, 2 * column_stride},
          .box = {kChunk * kChunksPerStage, 1, box_columns}};
}

Launch finish_wgmma(const WgmmaParameters& p, Product product, Element element, const TileChoice& choice, const Chip& chip) {
  constexpr unsigned kWgmmaThreads = 384;
  const unsigned tiles = unsigned(p.matrix.row_tiles * p.matrix.column_tiles), blocks = std::min(tiles, unsigned(chip.multiprocessors));
  const std::string file = name_of(product);
  return Launch(file, kernel_name(file + (choice.turns ? "_turns" : ""), element, choice.tile), {blocks}, kWgmmaThreads,
                unsigned(shared_bytes_of(product, choice)), p);
}

}  // namespace

Launch wgmma_launch_of(const Linear& op, const Chip& chip, const TensorMapEncoder& encode, std::optional<TileChoice> tile) {
  require(chip.architecture == 90 && wgmma_can(op) && !op.products.empty(), "no wgmma kernel for it");
  WgmmaParameters p{};
  int64_t inner = 0;
  for (const Linear::Product& product : op.products) inner += product.inner;
  fill_sizes(p.matrix, op);
  const TileChoice choice = fill(p.matrix, op.epilogue, Product::gemm_wgmma, inner, chip, tile);
  for (size_t i = 0; i < op.products.size(); ++i) {
    const Linear::Product& product = op.products[i];
    const MatrixSegment s = segment(product);
    const TensorBox x{.data = product.x,
                      .dimensions = 2,
                      .sizes = {product.inner, op.rows},
                      .strides = {2, 2 * s.x_stride},
                      .box = {kChunk * kChunksPerStage, choice.tile.rows}};
    p.segments[i] = {encode(x), encode(weights(product.w, product.inner, 1, op.columns, s.w_stride, s.w_stride, choice.tile.columns)), 1, s.steps, 0};
  }
  return finish_wgmma(p, Product::gemm_wgmma, op.element, choice, chip);
}

Launch wgmma_launch_of(const Conv2d& op, const Chip& chip, const TensorMapEncoder& encode, std::optional<TileChoice> tile) {
  require(chip.architecture == 90 && wgmma_can(op) && !op.sources.empty(), "no wgmma kernel for it");
  WgmmaParameters p{};
  fill_sizes(p.matrix, op);
  p.matrix.picture.y_height = int32_t(op.y_height);
  p.matrix.picture.y_width = int32_t(op.y_width);
  p.matrix.picture.kernel_width = op.kernel_width;
  const TileChoice choice = fill(p.matrix, op.epilogue, Product::conv2d_wgmma, taps_of(op) * channels_of(op), chip, tile);

  // The box that wastes least at the edges, the wider of equals.
  p.matrix.picture.shift = op.upsample ? 1 : 0;
  const int64_t height = op.y_height >> p.matrix.picture.shift, width = op.y_width >> p.matrix.picture.shift;
  int64_t fewest = std::numeric_limits<int64_t>::max();
  for (int shift = 7; shift >= 0; --shift) {
    const int64_t boxes_x = ceil_div(width, int64_t(1) << shift), boxes_y = ceil_div(height, kBoxPixels >> shift);
    if (boxes_x * boxes_y >= fewest) continue;
    fewest = boxes_x * boxes_y;
    p.box_shift = shift;
    p.boxes_x = int32_t(boxes_x);
    p.boxes_y = int32_t(boxes_y);
  }
  p.matrix.row_tiles = narrow(op.batch * fewest * (op.upsample ? 4 : 1), "the number of boxes");
  narrow(int64_t(p.matrix.row_tiles) * p.matrix.column_tiles, "the number of tiles");
  const auto picture = [&](const void* data, int64_t channels, int64_t height, int64_t width) {
    return TensorBox{.data = data,
                     .dimensions = 4,
                     .sizes = {channels, width, height, op.batch},
                     .strides = {2, 2 * channels, 2 * width * channels, 2 * height * width * channels},
                     .box = {kChunk * kChunksPerStage, 1 << p.box_shift, kBoxPixels >> p.box_shift, 1}};
  };
  int count = 0;
  for (const MatrixSegment& s : segments_of(op)) {
    const int64_t channels = s.x_stride;
    p.segments[count++] = {encode(picture(s.x, channels, op.x_height, op.x_width)),
                           encode(weights(s.w, channels, s.taps, op.columns, s.w_tap, s.w_stride, choice.tile.columns)), s.taps,
                           int32_t(ceil_div(s.chunks, kChunksPerStage)), op.padding};
  }
  if (op.added) {
    const MatrixSegment s = segment(*op.added);
    require(s.x_stride == op.added->inner, "gaps in the first half of a low-rank addition");
    p.segments[count++] = {encode(picture(op.added->x, op.added->inner, op.y_height, op.y_width)),
                           encode(weights(op.added->w, op.added->inner, 1, op.columns, s.w_stride, s.w_stride, choice.tile.columns)), 1, s.steps, 0};
  }
  return finish_wgmma(p, Product::conv2d_wgmma, op.element, choice, chip);
}

namespace {

bool wgmma_pays(int64_t rows, int64_t columns, const Chip& chip) {
  constexpr int64_t kFewRows = 64, kFewColumns = 64;
  return chip.architecture == 90 && rows > kFewRows && columns > kFewColumns;
}

}  // namespace

Launch fastest_launch_of(const Linear& op, const Chip& chip, const TensorMapEncoder& encode) {
  return wgmma_can(op) && wgmma_pays(op.rows, op.columns, chip) ? wgmma_launch_of(op, chip, encode) : launch_of(op, chip);
}

Launch fastest_launch_of(const Conv2d& op, const Chip& chip, const TensorMapEncoder& encode) {
  return wgmma_can(op) && wgmma_pays(op.batch * op.y_height * op.y_width, op.columns, chip) ? wgmma_launch_of(op, chip, encode) : launch_of(op, chip);
}

}  // namespace sdxl::cuda
