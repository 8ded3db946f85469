// The layers a model part is made of: named weights, checked first, packed for a backend afterwards.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "model/adaptation.h"
#include "model/run.h"
#include "weights/weight_reader.h"

namespace sdxl::model {

using weights::SourceTensor;

// How the weights of a part are stored, and what its activations are made of: what its device can compute with.
struct Formats {
  ops::Storage linear, conv, factors;       // factors: of LoRAs
  ops::Storage branch_linear, branch_conv;  // of branches, see Layers::branch
  DType activations = DType::f32;

  // A CPU, which widens weights as it reads them. Rounding to 16 bits is for the linear layers, nine tenths of the weights. Convolutions lie on
  // the path that every value takes, where the error of bf16 alone would be 1e-2, and keep what the file has; so do factors, which are small.
  static Formats widened(ops::Storage linear) {
    const ops::Storage conv = linear == ops::Storage::f32 ? linear : ops::Storage::source;
    return {linear, conv, ops::Storage::source, linear, conv};
  }
  // A CPU that multiplies in bf16 and adds up in fp32: branches do so, where nearly all of the work is. What lies on the path of every value
  // is widened from the file's format.
  static Formats bf16_branches() {
    constexpr ops::Storage source = ops::Storage::source, bf16 = ops::Storage::bf16;
    return {source, source, source, bf16, bf16};
  }
  // A device that computes with 16 bits.
  static Formats narrow(DType type) {
    const ops::Storage storage = type == DType::bf16 ? ops::Storage::bf16 : ops::Storage::f16;
    return {storage, storage, storage, storage, storage, type};
  }
};

struct Linear {
  std::vector<std::string> names;  // of the stacked layers
  int64_t in = 0, out = 0;
  bool geglu = false;                                // the result is out / 2 wide
  std::vector<const SourceTensor*> weights, biases;  // stacked; biases may be empty
  ops::PackedPtr packed;
  Array bias;
  const AdaptedWeight* adapted = nullptr;
  bool branch = false;  // see Layers::branch

  // y = activation(x · Wᵀ + bias) + residual; x is [rows, in] in any shape that ends in `in`.
  void operator()(const Run& run, ConstTensor x, Tensor y, ops::Activation activation = ops::Activation::none, ConstTensor residual = {}) const;
  // The same into a new tensor [rows, width of the result].
  Array operator()(const Run& run, ConstTensor x, ops::Activation activation = ops::Activation::none) const;
  // The same in fp32, whatever activations are.
  Array wide(const Run& run, ConstTensor x) const;
};

struct Conv2d {
  std::string name;
  int64_t in = 0, out = 0, kernel = 0;
  const SourceTensor* weight = nullptr;
  const SourceTensor* bias_source = nullptr;  // null: none
  ops::PackedPtr packed;
  Array bias;
  const AdaptedWeight* adapted = nullptr;
  bool branch = false;  // see Layers::branch

  struct Extra {
    ConstTensor per_image = {}, residual = {};
    int stride = 1, padding = -1;  // -1: half the kernel
    bool upsample = false;
    ops::Activation activation = ops::Activation::none;
  };
  void operator()(const Run& run, ConstTensor x, Tensor y, const Extra& extra) const;
  void operator()(const Run& run, ConstTensor x, Tensor y) const { (*this)(run, x, y, Extra{}); }
};

struct Norm {
  static constexpr int kGroups = 32;
  std::string name;
  int64_t channels = 0;
  const SourceTensor* weight_source = nullptr;
  const SourceTensor* bias_source = nullptr;
  Array weight, bias;
  const AdaptedNorm* adapted = nullptr;

  // Over groups of channels, for a picture [batch, height, width, channels].
  void group(const Run& run, ConstTensor x, Tensor y, float eps, bool silu) const;
  // Over all channels of each row.
  void layer(const Run& run, ConstTensor x, Tensor y) const;
};

// A table of rows, or a plain matrix of numbers.
struct Table {
  const SourceTensor* source = nullptr;
  ops::PackedPtr packed = {};  // rows looked up by id
  Array values = {};           // or kept as numbers
};

// Collects the layers of one model part. Constructing a part only looks at names and shapes; `load` reads the values.
class Layers {
 public:
  explicit Layers(const weights::Component& component) : reader(component), name_(component.name) {}
  Layers(Layers&&) = default;

  const Linear* linear(const std::string& name, int64_t in, int64_t out, bool bias = true) { return stacked({name}, in, out, bias); }
  // Several layers that read the same input, one below the other. `out` is the width of each.
  const Linear* stacked(const std::vector<std::string>& names, int64_t in, int64_t out, bool bias);
  const Linear* geglu(const std::string& name, int64_t in, int64_t out);
  const Conv2d* conv(const std::string& name, int64_t in, int64_t out, int64_t kernel = 3, bool bias = true);
  const Norm* layer_norm(const std::string& name, int64_t channels);
  const Norm* group_norm(const std::string& name, int64_t channels);  // notes a width that its groups do not divide
  const Table* lookup(const std::string& name, int64_t rows, int64_t columns);
  const Table* constant(const std::string& name, int64_t rows, int64_t columns);

  // Notes layers that read what a norm made and whose result is added to the path of the network. What rounding adds there is small beside it.
  void branch(std::initializer_list<const Linear*> layers) {
    for (const Linear* l : layers) const_cast<Linear*>(l)->branch = true;
  }
  void branch(std::initializer_list<const Conv2d*> layers) {
    for (const Conv2d* c : layers) const_cast<Conv2d*>(c)->branch = true;
  }

  // Packs every layer. `progress` is called with the bytes read since its last call, from any thread.
  void load(ops::Backend& backend, const Formats& formats, const std::function<void(int64_t bytes)>& progress);

  // Of one activation.
  int64_t element_bytes() const { return size_of(formats_.activations); }
  // How this part runs.
  Run own(const Run& run) const {
    Run own = run;
    own.type = formats_.activations;
    return own;
  }

  // What changes make of these layers, beside them; nothing is different until it is installed. `check`
  // is told the bytes that each layer takes, from any thread, and may throw.
  AdaptationPtr adapted(ops::Backend& backend, const Changes& changes, const std::function<void(int64_t bytes)>& check) const;
  // From now on the layers work with it; null: as loaded.
  void install(AdaptationPtr adaptation);

  int64_t parameters() const;
  // Of memory, after load.
  struct Bytes {
    int64_t packed = 0, largest = 0, count = 0;  // weights that the backend has packed: all, the largest, and how many
    int64_t small = 0;                           // biases, norms and other numbers, in the backend's arena
  };
  Bytes bytes() const;

  weights::WeightReader reader;

 private:
  std::string name_;
  Formats formats_ = Formats::widened(ops::Storage::source);
  // Deques keep addresses while they grow.
  std::deque<Linear> linears_;
  std::deque<Conv2d> convs_;
  std::deque<Norm> norms_;
  std::deque<Table> lookups_, constants_;
  AdaptationPtr installed_;  // keeps alive what the layers point to
};

}  // namespace sdxl::model
