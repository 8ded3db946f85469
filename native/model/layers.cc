#include "model/layers.h"

#include <algorithm>
#include <cmath>

namespace sdxl::model {

namespace {

ops::WeightRows rows_of(const SourceTensor& t) {
  int64_t columns = 1;
  for (size_t i = 1; i < t.shape.size(); ++i) columns *= t.shape[i];
  return {t.data, t.dtype, t.shape[0], columns, t.transposed};
}

bool finite(const SourceTensor& t) {
  for (int64_t i = 0; i < t.elements(); ++i)
    if (!std::isfinite(value_at(t.data, t.dtype, i))) return false;
  return true;
}

// Packing knows no names: its errors are told here which tensor they are about.
template <class F>
auto naming(const std::vector<const SourceTensor*>& tensors, F work) {
  try {
    return work();
  } catch (Error& e) {
    const auto culprit = std::find_if(tensors.begin(), tensors.end(), [](const SourceTensor* t) { return !finite(*t); });
    const SourceTensor& t = **(culprit == tensors.end() ? tensors.begin() : culprit);
    e.message = t.file + ": tensor " + t.name + " " + e.message;
    e.details.push_back({"path", t.file});
    e.details.push_back({"tensor", t.name});
    throw;
  }
}

// Small tensors (biases, norms, positions) are kept in fp32, one behind the other.
Array read_values(ops::Backend& backend, const std::vector<const SourceTensor*>& sources) {
  int64_t total = 0;
  for (const SourceTensor* t : sources) total += t->elements();
  Array values = backend.host().take({total});
  float* to = values.data();
  for (const SourceTensor* t : sources) {
    if (!finite(*t)) naming({t}, [] { throw Error(Code::model_format, "holds NaN or infinite values"); });
    for (int64_t i = 0; i < t->elements(); ++i) *to++ = value_at(t->data, t->dtype, i);
  }
  return backend.to_device(std::move(values), DType::f32);
}

}  // namespace

void Linear::operator()(const Run& run, ConstTensor x, Tensor y, ops::Activation activation, ConstTensor residual) const {
  const int64_t rows = x.elements() / in, width = geglu ? out / 2 : out;
  run.backend.run(ops::Linear{
      .x = x.as({rows, in}),
      .weight = adapted && adapted->merged ? adapted->merged.get() : packed.get(),
      .bias = adapted && adapted->bias ? adapted->bias : bias,
      .residual = residual ? residual.as({rows, width}) : residual,
      .y = y.as({rows, width}),
      .activation = activation,
      .added = adapted ? adapted->added() : ops::LowRank{},
  });
}

Array Linear::operator()(const Run& run, ConstTensor x, ops::Activation activation) const {
  Array y = run.take({x.elements() / in, geglu ? out / 2 : out});
  (*this)(run, x, y, activation);
  return y;
}

Array Linear::wide(const Run& run, ConstTensor x) const {
  Array y = run.take({x.elements() / in, out}, DType::f32);
  (*this)(run, x, y);
  return y;
}

void Conv2d::operator()(const Run& run, ConstTensor x, Tensor y, const Extra& extra) const {
  const int padding = extra.padding < 0 ? int(kernel / 2) : extra.padding;
  run.backend.run(ops::Conv2d{
      .x = x,
      .weight = adapted && adapted->merged ? adapted->merged.get() : packed.get(),
      .bias = adapted && adapted->bias ? adapted->bias : bias,
      .per_image = extra.per_image,
      .residual = extra.residual,
      .y = y,
      .stride = extra.stride,
      .padding = padding,
      .upsample = extra.upsample,
      // What a model pads itself, in front of a convolution without padding, stays 0: so do A1111 and ComfyUI.
      .wrap_x = run.tiling.x && padding > 0,
      .wrap_y = run.tiling.y && padding > 0,
      .activation = extra.activation,
      .added = adapted ? adapted->added() : ops::LowRank{},
  });
}

void Norm::group(const Run& run, ConstTensor x, Tensor y, float eps, bool silu) const {
  run.backend.run(ops::GroupNorm{x, adapted ? adapted->weight : weight, adapted ? adapted->bias : bias, y, kGroups, eps, silu});
}

void Norm::layer(const Run& run, ConstTensor x, Tensor y) const {
  const int64_t rows = x.elements() / channels;
  run.backend.run(ops::LayerNorm{x.as({rows, channels}), adapted ? adapted->weight : weight, adapted ? adapted->bias : bias, y.as({rows, channels}), 1e-5f});
}

const Linear* Layers::stacked(const std::vector<std::string>& names, int64_t in, int64_t out, bool bias) {
  Linear& layer = linears_.emplace_back();
  layer.names = names;
  layer.in = in, layer.out = out * int64_t(names.size());
  for (const std::string& name : names) {
    layer.weights.push_back(reader.take(name + ".weight", std::array{out, in}));
    if (bias) layer.biases.push_back(reader.take(name + ".bias", std::array{out}));
  }
  return &layer;
}

const Linear* Layers::geglu(const std::string& name, int64_t in, int64_t out) {
  const_cast<Linear*>(linear(name, in, 2 * out))->geglu = true;
  return &linears_.back();
}

const Conv2d* Layers::conv(const std::string& name, int64_t in, int64_t out, int64_t kernel, bool bias) {
  Conv2d& layer = convs_.emplace_back();
  layer.name = name;
  layer.in = in, layer.out = out, layer.kernel = kernel;
  layer.weight = reader.take(name + ".weight", std::array{out, in, kernel, kernel});
  if (bias) layer.bias_source = reader.take(name + ".bias", std::array{out});
  return &layer;
}

const Norm* Layers::group_norm(const std::string& name, int64_t channels) {
  if (channels % Norm::kGroups)
    reader.problem(name_ + ": " + name + " is " + std::to_string(channels) + " wide; its " + std::to_string(Norm::kGroups) + " groups need a multiple of that");
  return layer_norm(name, channels);
}

const Norm* Layers::layer_norm(const std::string& name, int64_t channels) {
  Norm& layer = norms_.emplace_back();
  layer.name = name;
  layer.channels = channels;
  layer.weight_source = reader.take(name + ".weight", std::array{channels});
  layer.bias_source = reader.take(name + ".bias", std::array{channels});
  return &layer;
}

const Table* Layers::lookup(const std::string& name, int64_t rows, int64_t columns) {
  return &lookups_.emplace_back(Table{.source = reader.take(name, std::array{rows, columns})});
}

const Table* Layers::constant(const std::string& name, int64_t rows, int64_t columns) {
  return &constants_.emplace_back(Table{.source = reader.take(name, std::array{rows, columns})});
}

void Layers::load(ops::Backend& backend, const Formats& formats, const std::function<void(int64_t)>& progress) {
  formats_ = formats;
  // Arenas belong to one thread, so the small tensors are read here and only the packing is spread.
  for (Linear& l : linears_)
    if (!l.biases.empty()) l.bias = read_values(backend, l.biases);
  for (Conv2d& c : convs_)
    if (c.bias_source) c.bias = read_values(backend, {c.bias_source});
  for (Norm& n : norms_) n.weight = read_values(backend, {n.weight_source}), n.bias = read_values(backend, {n.bias_source});
  for (Table& t : constants_) t.values = read_values(backend, {t.source});

  const int64_t linears = int64_t(linears_.size()), convs = int64_t(convs_.size()), tables = int64_t(lookups_.size());
  backend.parallel(linears + convs + tables, [&](int64_t i) {
    if (i < linears) {
      Linear& l = linears_[size_t(i)];
      ops::PackLinear weight{.geglu = l.geglu, .storage = l.branch ? formats.branch_linear : formats.linear};
      int64_t read = 0;
      for (const SourceTensor* t : l.weights) weight.parts.push_back(rows_of(*t)), read += t->bytes();
      l.packed = naming(l.weights, [&] { return backend.pack(weight); });
      return progress(read);
    }
    if ((i -= linears) < convs) {
      Conv2d& c = convs_[size_t(i)];
      const ops::PackConv2d weight{rows_of(*c.weight), c.in, c.kernel, c.kernel, c.branch ? formats.branch_conv : formats.conv};
      c.packed = naming({c.weight}, [&] { return backend.pack(weight); });
      return progress(c.weight->bytes());
    }
    Table& t = lookups_[size_t(i - convs)];
    t.packed = naming({t.source}, [&] { return backend.pack_table(rows_of(*t.source), formats.linear); });
    progress(t.source->bytes());
  });
}

int64_t Layers::parameters() const {
  int64_t n = 0;
  for (const Linear& l : linears_) n += l.in * l.out + (l.biases.empty() ? 0 : l.out);
  for (const Conv2d& c : convs_) n += c.in * c.out * c.kernel * c.kernel + (c.bias_source ? c.out : 0);
  for (const Norm& m : norms_) n += 2 * m.channels;
  for (const auto* tables : {&lookups_, &constants_})
    for (const Table& t : *tables) n += t.source->elements();
  return n;
}

Layers::Bytes Layers::bytes() const {
  Bytes n;
  const auto add = [&](const ops::Packed& weight) {
    n.packed += weight.bytes();
    n.largest = std::max(n.largest, weight.bytes());
    ++n.count;
  };
  for (const Linear& l : linears_) add(*l.packed), n.small += l.bias.bytes();
  for (const Conv2d& c : convs_) add(*c.packed), n.small += c.bias.bytes();
  for (const Norm& m : norms_) n.small += m.weight.bytes() + m.bias.bytes();
  for (const Table& t : lookups_) n.packed += t.packed->bytes();  // looked up where they lie
  for (const Table& t : constants_) n.small += t.values.bytes();
  return n;
}

}  // namespace sdxl::model
