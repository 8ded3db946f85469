// One function per op; the packed form of a weight is fp32, row by row as ops::WeightRows means them.
#pragma once

#include <vector>

#include "ops/backend.h"

namespace sdxl::reference {

struct Matrix final : ops::Packed {
  int64_t rows = 0, columns = 0;
  bool geglu = false;             // of PackLinear
  int64_t height = 0, width = 0;  // of PackConv2d, else 0
  std::vector<float> values;      // [rows, columns]
  int64_t bytes() const override { return int64_t(values.size() * sizeof(float)); }
};

std::unique_ptr<Matrix> pack(const std::vector<ops::WeightRows>& parts, ops::Storage storage);

double activate(ops::Activation activation, double x);

void run(const ops::Linear& op);
void run(const ops::Conv2d& op);
void run(const ops::GroupNorm& op);
void run(const ops::LayerNorm& op);
void run(const ops::Attention& op);
void run(const ops::Activate& op);
void run(const ops::Embedding& op);
void run(const ops::Sinusoid& op);
void run(const ops::Combine& op);
void run(const ops::Concat& op);
void run(const ops::Blend& op);
void run(const ops::Rescale& op);
void run(const ops::Project& op);
void run(const ops::Noise& op);
void run(const ops::Rgb& op);

}  // namespace sdxl::reference
