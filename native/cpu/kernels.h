// The inner loops that an instruction set provides. They are written once, as templates over a vector type (*_kernel.h), and
// instantiated in one translation unit for each set (isa_*.cc).
//
// Those units are compiled for CPUs that the machine may not have. They must emit no function that the linker could share with the rest
// of the program, so nothing there but raw loops over the vector type: no standard containers or algorithms, no inline helpers.
#pragma once

#include <cstdint>

#include "ops/activation.h"

namespace sdxl::cpu {

// The last step of a matrix product, on one panel of columns.
struct Finish {
  const float* product;   // [rows, panel]
  const float* bias;      // [panel], zeros for none
  const float* residual;  // [rows, columns], rows `stride` apart, or nullptr
  float* y;               // like residual, and may be the same
  int64_t rows, columns;  // columns ≤ panel, with geglu ≤ panel / 2
  int64_t stride;
  ops::Activation activation;
  bool geglu;  // the panel's first half are values, the second their gates
};

// One step of a softmax that sees its keys block by block. Milakov & Gimelshein 2018, algorithm 3.
struct SoftmaxBlock {
  float* scores;  // [rows, keys], rows `score_stride` apart; becomes e^(score − top). Room up to the next multiple of kPanelMax, set to 0
  int64_t rows, keys, score_stride;
  int64_t visible, visible_step;  // row r sees the first visible + r · visible_step keys, clamped to 0 … keys
  float* top;                     // [rows] largest score so far
  float* sum;                     // [rows] Σ e^(score − top) so far
  float* y;                       // [rows, width] Σ e^(score − top) · v so far, to be scaled where top has risen
  int64_t width;                  // a multiple of the panel
};

constexpr int64_t kPanelMax = 32;  // no instruction set has a wider panel

// Products of bf16 with sums in fp32, two at a time. A pair of numbers that follow each other in depth is one word, the first in its low half;
// the second of the last pair of an odd depth is 0.
struct PairKernels {
  // Rounds rows of floats to nearest even. Strides in numbers and in pairs.
  void (*round)(const float* from, int64_t rows, int64_t depth, int64_t stride, uint32_t* to, int64_t to_stride);
  // Like Kernels::multiply, over `depth` pairs.
  void (*multiply)(int64_t rows, int64_t depth, const uint32_t* a, int64_t a_stride, const uint32_t* b, float* c, int64_t c_stride, bool add);
  float (*peak)(int64_t rounds);  // like Kernels::peak, with twice the operations
};

struct Kernels {
  const char* name;
  int64_t panel;      // columns of a packed matrix that lie side by side
  int64_t tile_rows;  // rows that a product works on at a time

  void (*widen_f16)(const uint16_t* from, int64_t count, float* to);
  void (*widen_bf16)(const uint16_t* from, int64_t count, float* to);

  // c [rows, panel] = or += a [rows, depth] · b [depth, panel]. Each element is a sum over k in order, alike whatever `rows` is.
  void (*multiply)(int64_t rows, int64_t depth, const float* a, int64_t a_stride, const float* b, float* c, int64_t c_stride, bool add);
  void (*finish)(const Finish&);
  void (*softmax)(const SoftmaxBlock&);

  // Adds up x and x² of each channel in double. Both arrays have room up to the next multiple of kPanelMax channels.
  void (*channel_sums)(const float* x, int64_t pixels, int64_t channels, double* sums, double* squares);
  // y = (x − mean) · scale + shift for each channel of each pixel, then a SiLU or not; y may be x
  void (*normalize)(const float* x, float* y, int64_t pixels, int64_t channels, const float* mean, const float* scale, const float* shift, bool silu);
  void (*layer_norm)(const float* x, float* y, int64_t rows, int64_t channels, const float* weight, const float* bias, float eps);

  void (*activate)(const float* x, float* y, int64_t count, ops::Activation activation);
  // y = Σ coefficient · x over `terms` of them; y may be any x
  void (*combine)(const float* const* x, const float* coefficients, int64_t terms, float* y, int64_t count);

  // 2 · kPeakTerms · panel / 2 floating-point operations in each round, with no memory: what `multiply` is measured against.
  float (*peak)(int64_t rounds);

  const PairKernels* pairs;  // null where the instruction set has none
};
constexpr int64_t kPeakTerms = 12;

}  // namespace sdxl::cpu
