#include "model/adaptation.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "model/layers.h"
#include "weights/lora/apply.h"

namespace sdxl::model {

namespace {

using Applied = std::vector<std::pair<const lora::LoraDelta*, float>>;

// One of the stacked matrices of a layer, and what is done to it.
struct Piece {
  int64_t first_row, rows;
  const Applied* changes;  // null: nothing
};

struct Job {
  const std::string* layer;
  const ops::Packed* base;
  std::vector<Piece> pieces;
  int64_t in, out, taps, kernel;  // kernel 0: a linear layer
  bool geglu;
  AdaptedWeight* target;
  ops::Storage storage;  // of factors
};

const Applied* find(const Changes& changes, const std::string& parameter) {
  const auto found = changes.find(parameter);
  return found == changes.end() ? nullptr : &found->second;
}

// Factors are worth their product up to a quarter of the layer's own.
bool worth_adding(int64_t rank, int64_t columns, int64_t rows) { return 4 * rank * (columns + rows) <= columns * rows; }

ops::WeightRows rows_of(const std::vector<float>& values, int64_t rows, int64_t columns) {
  return {reinterpret_cast<const std::byte*>(values.data()), DType::f32, rows, columns};
}

// All changes of a layer as one product, or nothing if one of them is none or it would be too large.
std::optional<lora::LowRank> factors(const Job& job) {
  const int64_t columns = job.in * job.taps;
  std::vector<std::pair<const Piece*, lora::LowRank>> found;
  lora::LowRank all;
  for (const Piece& piece : job.pieces)
    if (piece.changes)
      for (const auto& [delta, strength] : *piece.changes) {
        auto one = lora::low_rank(*delta);
        if (!one) return std::nullopt;
        for (float& value : one->up) value *= strength;
        all.rank += one->rank;
        if (!worth_adding(all.rank, columns, job.out)) return std::nullopt;
        found.emplace_back(&piece, std::move(*one));
      }
  all.up.assign(size_t(job.out * all.rank), 0.f);
  int64_t first = 0;
  for (const auto& [piece, one] : found) {
    all.down.insert(all.down.end(), one.down.begin(), one.down.end());
    for (int64_t row = 0; row < piece->rows; ++row)
      std::copy_n(one.up.begin() + row * one.rank, one.rank, all.up.begin() + (piece->first_row + row) * all.rank + first);
    first += one.rank;
  }
  return all;
}

void merge(ops::Backend& backend, const Job& job) {
  const int64_t columns = job.in * job.taps;
  job.target->merged = backend.changed(*job.base, [&](float* values) {
    for (const Piece& piece : job.pieces) {
      if (!piece.changes) continue;
      float* weight = values + piece.first_row * columns;
      const std::vector<float> base(weight, weight + piece.rows * columns);
      for (const auto& [delta, strength] : *piece.changes) lora::add_delta(*delta, strength, base.data(), weight);
    }
  });
}

void adapt_any(ops::Backend& backend, const Job& job) {
  const auto product = factors(job);
  if (!product) return merge(backend, job);
  const int64_t columns = job.in * job.taps;
  const ops::WeightRows down = rows_of(product->down, product->rank, columns);
  if (job.kernel)
    job.target->down = backend.pack(ops::PackConv2d{.weight = down, .in = job.in, .height = job.kernel, .width = job.kernel, .storage = job.storage});
  else job.target->down = backend.pack(ops::PackLinear{.parts = {down}, .storage = job.storage});
  job.target->up = backend.pack(ops::PackLinear{.parts = {rows_of(product->up, job.out, product->rank)}, .geglu = job.geglu, .storage = job.storage});
}

void adapt(ops::Backend& backend, const Job& job) {
  try {
    adapt_any(backend, job);
  } catch (const Error& error) {
    if (error.code != Code::model_format) throw;
    // The files' values are finite: it is their sum that is not.
    throw Error(Code::invalid_argument, "loras: their strengths make values of " + *job.layer + ".weight that its number format cannot hold",
                {{"field", std::string("loras")}, {"parameter", *job.layer + ".weight"}});
  }
}

// The changes of a small parameter, or nothing, and where its values begin among `values`.
struct SmallChange {
  int64_t first, count;
  const Applied* changes;
};

Array changed(ops::Backend& backend, const Array& values, const std::vector<SmallChange>& all) {
  Array copy = backend.host().take(values.shape());
  const ops::HostView view = backend.view(values);
  std::copy_n(view.values.data(), values.elements(), copy.data());
  for (const auto& [first, count, changes] : all) {
    if (!changes) continue;
    const float* base = view.values.data() + first;
    for (const auto& [delta, strength] : *changes) lora::add_delta(*delta, strength, base, copy.data() + first);
  }
  return backend.to_device(std::move(copy), DType::f32);
}

}  // namespace

int64_t Adaptation::bytes() const {
  int64_t n = 0;
  for (const auto* weights : {&linears, &convs})
    for (const auto& [index, weight] : *weights) n += weight.bytes();
  return n;
}

int64_t AdaptedWeight::bytes() const {
  int64_t n = 0;
  for (const auto* packed : {&merged, &down, &up})
    if (*packed) n += (*packed)->bytes();
  return n;
}

AdaptationPtr Layers::adapted(ops::Backend& backend, const Changes& changes, const std::function<void(int64_t)>& check) const {
  auto result = std::make_shared<Adaptation>();
  if (changes.empty()) return result;
  std::vector<Job> jobs;
  // Arenas belong to one thread, so the small tensors are changed here and only the large ones are spread.
  for (size_t i = 0; i < linears_.size(); ++i) {
    const Linear& l = linears_[i];
    const int64_t each = l.out / int64_t(l.names.size());
    Job job{&l.names[0], l.packed.get(), {}, l.in, l.out, 1, 0, l.geglu, nullptr, formats_.factors};
    bool weight = false, bias = false;
    for (size_t p = 0; p < l.names.size(); ++p) {
      job.pieces.push_back({int64_t(p) * each, each, find(changes, l.names[p] + ".weight")});
      weight |= job.pieces.back().changes != nullptr;
      bias |= find(changes, l.names[p] + ".bias") && l.bias;
    }
    if (!weight && !bias) continue;
    AdaptedWeight& adapted = result->linears[i];
    if (bias) {
      std::vector<SmallChange> pieces;
      for (size_t p = 0; p < l.names.size(); ++p) pieces.push_back({int64_t(p) * each, each, find(changes, l.names[p] + ".bias")});
      adapted.bias = changed(backend, l.bias, pieces);
    }
    job.target = &adapted;
    if (weight) jobs.push_back(std::move(job));
  }
  for (size_t i = 0; i < convs_.size(); ++i) {
    const Conv2d& c = convs_[i];
    const Applied *weight = find(changes, c.name + ".weight"), *bias = find(changes, c.name + ".bias");
    if (!weight && !bias) continue;
    AdaptedWeight& adapted = result->convs[i];
    if (bias) adapted.bias = changed(backend, c.bias, {{0, c.out, bias}});
    if (weight) jobs.push_back({&c.name, c.packed.get(), {{0, c.out, weight}}, c.in, c.out, c.kernel * c.kernel, c.kernel, false, &adapted, formats_.factors});
  }
  for (size_t i = 0; i < norms_.size(); ++i) {
    const Norm& n = norms_[i];
    const Applied *weight = find(changes, n.name + ".weight"), *bias = find(changes, n.name + ".bias");
    if (!weight && !bias) continue;
    AdaptedNorm& adapted = result->norms[i];
    adapted.weight = changed(backend, n.weight, {{0, n.channels, weight}});
    adapted.bias = changed(backend, n.bias, {{0, n.channels, bias}});
  }
  backend.parallel(int64_t(jobs.size()), [&](int64_t i) {
    check(0);
    adapt(backend, jobs[size_t(i)]);
    check(jobs[size_t(i)].target->bytes());
  });
  return result;
}

void Layers::install(AdaptationPtr adaptation) {
  for (Linear& l : linears_) l.adapted = nullptr;
  for (Conv2d& c : convs_) c.adapted = nullptr;
  for (Norm& n : norms_) n.adapted = nullptr;
  installed_ = std::move(adaptation);
  if (!installed_) return;
  for (const auto& [i, adapted] : installed_->linears) linears_[i].adapted = &adapted;
  for (const auto& [i, adapted] : installed_->convs) convs_[i].adapted = &adapted;
  for (const auto& [i, adapted] : installed_->norms) norms_[i].adapted = &adapted;
}

}  // namespace sdxl::model
