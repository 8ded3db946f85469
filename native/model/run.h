// What a model part is given while it works: the backend, and the chance to stop.
#pragma once

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "ops/backend.h"

namespace sdxl::model {

// Pictures whose left and right, upper and lower edges fit each other: every padded convolution wraps around that axis.
struct Tiling {
  bool x = false, y = false;
};

struct Run {
  ops::Backend& backend;
  const std::atomic<bool>* cancelled = nullptr;
  Tiling tiling = {};
  DType type = DType::f32;  // of activations; every model part has its own, see Layers::own. Latents, pixels and what is between are fp32

  // Called between blocks, so that a cancelled job stops within one of them.
  void check() const {
    if (cancelled && cancelled->load(std::memory_order_relaxed)) throw Cancelled{};
  }
  Array take(Shape shape) const { return backend.arena().take(shape, type); }
  Array take(Shape shape, DType other) const { return backend.arena().take(shape, other); }
  // Numbers of the host.
  Array on_device(const std::vector<float>& values, Shape shape, DType other) const {
    Array array = backend.host().take(shape);
    std::copy(values.begin(), values.end(), array.data());
    return backend.to_device(std::move(array), other);
  }
};

}  // namespace sdxl::model
