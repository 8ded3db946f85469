// One change that a LoRA file makes to one parameter of a model: the factors of its family, as the file holds them.
//
// W' = W + strength · Δ. Δ is what the file means at full strength and depends, if on anything, on the untouched W: so any number of
// deltas add up in any order.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/dtype.h"
#include "core/mapped_file.h"

namespace sdxl::lora {

// A tensor of the file as a matrix: the first dimension by all others. Absent where a family does without it.
struct Factor {
  const std::byte* data = nullptr;  // inside the mapped file; aligned to nothing
  DType dtype = DType::f32;         // a weight's, or f64
  int64_t rows = 0, columns = 0;

  explicit operator bool() const { return data != nullptr; }
};

// up · down, [out, in · taps], where a convolution's kernel has so many taps and a matrix has one.
struct Product {
  Factor up;    // [out, rank]
  Factor down;  // [rank, in · taps]; [rank, in] when there is a core
  Factor core;  // [rank, rank · taps]: Tucker's form, up · (core ×₂ down)
  bool up_is_transposed = false;

  int64_t rank() const { return down.rows; }
};

// LyCORIS' LoHa: the products multiplied element by element (Hyeon-Woo et al. 2022, FedPara).
struct Hadamard {
  Product first, second;
};

// LyCORIS' LoKr: w1 ⊗ w2, each a whole matrix or a product. Rows and columns belong to the left side of a product: w2 has the taps.
struct Kronecker {
  struct Side {
    Factor whole;
    Product product;
    int64_t rows = 0, columns = 0;  // of the matrix, taps included
  };
  Side w1, w2;
};

// The difference itself: of weights, biases, norms.
struct Difference {
  Factor values;  // as many as the parameter has
};

// (IA)³, Liu et al. 2022: Δ = W scaled along its inputs or its outputs.
struct Scaling {
  Factor values;  // [in] or [out]
  bool on_input = false;
};

// GLoRA, Chavan et al. 2023: Δ = W · a + b; a is [in, in], the same for each tap.
struct Generalized {
  Product a, b;
};

// OFT, Qiu et al. 2023: blocks of the output rows are rotated by R = (I + Q)(I − Q)⁻¹, Q = B − Bᵀ. BOFT, Liu et al. 2023: several such
// stages, with the rows shuffled between them as in a fast Fourier transform.
struct Rotation {
  Factor blocks;       // [stages · count · size, size]
  int64_t stages = 0;  // 0: plain OFT
  int64_t count = 0, size = 0;
  double limit = 0;  // Q is shortened to this norm over all blocks; 0: never
  Factor rescale;    // [out]; may be absent
};

using Kind = std::variant<Product, Hadamard, Kronecker, Difference, Scaling, Generalized, Rotation>;

struct LoraDelta {
  std::string component;       // "unet", "text_encoder", "text_encoder_2"
  std::string parameter;       // "down_blocks.1.attentions.0.proj_in.weight"
  std::vector<int64_t> shape;  // of the parameter: [out], [out, in], [out, in, height, width]

  Kind kind;
  double scale = 1;  // alpha / rank and the like
  // DoRA, Liu et al. 2024: rows of W + Δ (or its inputs, as the first LyCORIS versions had it) get these lengths.
  Factor magnitude;
  bool magnitude_per_input = false;

  // Files may treat q, k and v as one layer: the parameter's rows begin at this row of Δ.
  int64_t first_row = 0;
  // Of Δ. Less than the parameter's where a change made for 4 input channels meets the 9 of an inpainting model: the others stay.
  int64_t columns = 1;

  std::string key;  // of the layer in the file, for messages
  std::shared_ptr<const MappedFile> file;

  int64_t rows() const { return shape[0]; }
  int64_t row_stride() const {
    int64_t n = 1;
    for (size_t i = 1; i < shape.size(); ++i) n *= shape[i];
    return n;
  }
  int64_t taps() const { return shape.size() == 4 ? shape[2] * shape[3] : 1; }
};

}  // namespace sdxl::lora
