// What a device can do: one overload of `run` per op. The model is written once against this and knows no device.
// On a device of its own, work is done in order but not at once: what the host reads by `view` or `to_host`, and bytes, are there on return.
#pragma once

#include <functional>
#include <memory>
#include <string>

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
#include "ops/noise.h"
#include "ops/project.h"
#include "ops/rescale.h"
#include "ops/rgb.h"
#include "ops/sinusoid.h"
#include "ops/weight.h"

namespace sdxl::ops {

// Values where the host can read them.
struct HostView {
  Array copy;          // none where the host can read the tensor itself
  ConstTensor values;  // fp32
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Weights. Safe to call from several threads at once; source bytes need not outlive the call.
  virtual PackedPtr pack(const PackLinear& weight) = 0;
  virtual PackedPtr pack(const PackConv2d& weight) = 0;
  virtual PackedPtr pack_table(const WeightRows& weight, Storage storage) = 0;
  // The same weight with other values, in the same storage. `change` gets the values as the layer means them, [out, in …] in a file's order.
  virtual PackedPtr changed(const Packed& weight, const std::function<void(float* values)>& change) = 0;

  // Weights of a device with memory of its own can lie in the host's and take turns on the device.
  virtual bool has_own_memory() const { return false; }
  // All that is packed from now on does so. Only where the device has memory of its own, and before anything is packed.
  virtual void offload_weights() {}
  // Where they take turns: so many bytes of the device. Once, when the model's own weights are packed and before they are used.
  virtual void make_room_for_weights(int64_t bytes) { (void)bytes; }

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
  virtual void run(const Noise& op) = 0;
  virtual void run(const Rgb& op) = 0;

  // Calls task(0 … count − 1) on the backend's threads, in any order; returns when all are done. The first exception is rethrown.
  virtual void parallel(int64_t count, const std::function<void(int64_t)>& task) = 0;

  // Activations and scratch memory. Only ops and what follows here touch its contents, unless the host is the device.
  virtual Arena& arena() = 0;

  // Memory that the host fills and reads itself; the arena where the host is the device, which then copies nothing. All of it is fp32 there;
  // `type` is what the device's tensor is made of.
  virtual Arena& host() { return arena(); }
  virtual Array to_device(Array values, DType type) {
    if (type != DType::f32) throw Error(Code::internal, std::string("the CPU computes in F32, not ") + name_of(type));
    return values;
  }
  virtual Array to_host(Array values) { return values; }
  virtual HostView view(ConstTensor values) { return {{}, values}; }

  // Work that comes again with the same tensors, weights and sizes, of which only the contents of tensors differ: a device may record it the
  // second time and repeat that from then on. What `work` takes from the arena it gives back. A recording outlives no backend.
  class Recording {
   public:
    virtual ~Recording() = default;
  };
  virtual void repeat(std::unique_ptr<Recording>& recording, const std::function<void()>& work) {
    (void)recording;
    work();
  }
  // Called once a step: waits until all but the last step's work is done, so that what the host says and measures follows the device.
  virtual void pace() {}

  // Bytes of the device's memory that weights take when `packed` bytes of them have been packed.
  virtual int64_t weight_memory(int64_t packed) const { return packed; }
  // Bytes of the device's memory that this process may take in all, as far as can be known.
  virtual int64_t usable_memory() const = 0;
  // For ModelInfo.backend, such as "cpu-avx2".
  virtual const char* name() const = 0;
};

}  // namespace sdxl::ops
