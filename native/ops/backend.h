// What a device can do: one overload of `run` per op. The model is written once against this and knows no device.
#pragma once

#include <functional>

#include "core/arena.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/blend.h"
#include "ops/combine.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/embedding.h"
#include "ops/group_norm.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/project.h"
#include "ops/rescale.h"
#include "ops/sinusoid.h"
#include "ops/weight.h"

namespace sdxl::ops {

class Backend {
 public:
  virtual ~Backend() = default;

  // Weights. Safe to call from several threads at once; source bytes need not outlive the call.
  virtual PackedPtr pack(const PackLinear& weight) = 0;
  virtual PackedPtr pack(const PackConv2d& weight) = 0;
  virtual PackedPtr pack_table(const WeightRows& weight, Storage storage) = 0;
  // The same weight with other values, in the same storage. `change` gets the values as the layer means them, [out, in …] in a file's order.
  virtual PackedPtr changed(const Packed& weight, const std::function<void(float* values)>& change) = 0;

  virtual void run(const Linear& op) = 0;
  virtual void run(const Conv2d& op) = 0;
  virtual void run(const GroupNorm& op) = 0;
  virtual void run(const LayerNorm& op) = 0;
  virtual void run(const Attention& op) = 0;
  virtual void run(const Activate& op) = 0;
  virtual void run(const Embedding& op) = 0;
  virtual void run(const Sinusoid& op) = 0;
  virtual void run(const Combine& op) = 0;
  virtual void run(const Concat& op) = 0;
  virtual void run(const Blend& op) = 0;
  virtual void run(const Rescale& op) = 0;
  virtual void run(const Project& op) = 0;

  // Calls task(0 … count − 1) on the backend's threads, in any order; returns when all are done. The first exception is rethrown.
  virtual void parallel(int64_t count, const std::function<void(int64_t)>& task) = 0;

  // Activations and scratch memory.
  virtual Arena& arena() = 0;
  // For ModelInfo.backend, such as "cpu-avx2".
  virtual const char* name() const = 0;
};

}  // namespace sdxl::ops
