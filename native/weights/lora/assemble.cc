#include "weights/lora/assemble.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "core/json.h"
#include "weights/shape_text.h"

namespace sdxl::lora {

namespace {

using weights::SafetensorsEntry;
using weights::text_of;
using Entry = const SafetensorsEntry*;
using Shape = std::vector<int64_t>;

// Products of sizes from hostile files.
int64_t times(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}
int64_t elements(const Shape& shape, size_t from = 0) {
  int64_t n = 1;
  for (size_t i = from; i < shape.size(); ++i) n = times(n, shape[i]);
  return n;
}
bool is_number(DType type) { return is_weight(type) || type == DType::f64; }

// A 1×1 convolution is a matrix.
Shape without_unit_kernel(Shape shape) {
  while (shape.size() > 2 && shape.back() == 1) shape.pop_back();
  return shape;
}

// Whether a change of shape `found` can be laid onto `wanted`: the same, a matrix for a 1×1 convolution or the other way round, or the
// kernel laid out in the columns.
bool fits(const Shape& found, const Shape& wanted) {
  if (wanted.size() == 1) return !found.empty() && found[0] == wanted[0] && elements(found) == wanted[0];
  const Shape a = without_unit_kernel(found), b = without_unit_kernel(wanted);
  return a == b || (a.size() == 2 && b.size() > 2 && a[0] == b[0] && a[1] == elements(b, 1));
}

class Assembler {
 public:
  Assembler(const std::shared_ptr<const MappedFile>& file, const Module& module, const LayerTensors& tensors, const PeftScale& peft)
      : file_(file), module_(module), tensors_(tensors), peft_(peft) {}

  Assembled run() {
    low_rank();
    hadamard();
    kronecker();
    generalized();
    rotation();
    scaling();
    difference(Part::diff, Part::diff_b);
    difference(Part::w_norm, Part::b_norm);
    for (size_t i = 0; i < tensors_.parts.size(); ++i)
      if (Entry entry = tensors_.parts[i]; entry && !used_[i]) left_over(Part(i), *entry);
    return std::move(result_);
  }

 private:
  struct Change {
    Kind kind = {};
    Shape shape = {};  // of the whole change, as far as the file shows it
    double scale = 1;
    Entry rows_in = nullptr, columns_in = nullptr;  // which tensors show the rows and the columns
    bool of_bias = false;
    bool magnitude = false;     // may have one
    bool needs_weight = false;  // Δ depends on W
    bool stacks = true;         // can be cut into q, k and v
  };

  [[noreturn]] void damaged(const SafetensorsEntry& entry, const std::string& wanted, const std::string& found) const {
    throw Error(Code::lora_format, file_->path() + ": \"" + json::printable(entry.name) + "\" has " + found + ", wanted " + wanted,
                {{"path", file_->path()}, {"key", entry.name}, {"wanted", wanted}, {"found", found}});
  }
  [[noreturn]] void damaged(const SafetensorsEntry& entry, const std::string& wanted) const { damaged(entry, wanted, "shape " + text_of(entry.shape)); }

  // The tensor, or null; marked as used.
  Entry take(Part part) {
    Entry entry = tensors_[part];
    if (!entry) return nullptr;
    used_[size_t(part)] = true;
    if (!entry->type || !is_number(*entry->type)) damaged(*entry, "F32, F16, BF16, F8_E4M3, F8_E5M2 or F64", "dtype " + std::string(entry->dtype));
    if (entry->data.empty() || entry->shape.empty()) damaged(*entry, "at least one dimension, none of them 0");
    return entry;
  }
  Entry need(Part part, const char* name, Entry beside) {
    if (Entry entry = take(part)) return entry;
    throw Error(Code::lora_format, file_->path() + ": \"" + json::printable(beside->name) + "\" comes without " + name,
                {{"path", file_->path()}, {"key", beside->name}, {"wanted", std::string(name)}, {"found", "no such tensor"}});
  }

  static Factor factor(Entry entry) { return {entry->data.data(), *entry->type, entry->shape[0], elements(entry->shape, 1)}; }

  // A matrix, possibly written as a 1×1 convolution.
  Factor matrix(Entry entry, const char* meaning) const {
    if (without_unit_kernel(entry->shape).size() != 2) damaged(*entry, std::string(meaning) + " or the same as a 1×1 convolution");
    return factor(entry);
  }
  // A matrix or a convolution.
  Factor tensor(Entry entry, const char* meaning) const {
    if (entry->shape.size() != 2 && entry->shape.size() != 4) damaged(*entry, meaning);
    return factor(entry);
  }

  // What one tensor says for itself.
  double number(Part part) {
    const SafetensorsEntry& entry = *tensors_[part];
    used_[size_t(part)] = true;
    if (elements(entry.shape) != 1) damaged(entry, "a single number");
    double value = NAN;
    const auto as = [&]<class T>(T number) {
      std::memcpy(&number, entry.data.data(), sizeof number);
      return double(number);
    };
    if (entry.dtype == "BOOL" || entry.dtype == "I8") value = as(int8_t());
    else if (!entry.type) damaged(entry, "a number", "dtype " + std::string(entry.dtype));
    else if (is_weight(*entry.type)) value = value_at(entry.data.data(), *entry.type, 0);
    else if (*entry.type == DType::f64) value = as(double());
    else if (*entry.type == DType::i64) value = as(int64_t());
    else if (*entry.type == DType::i32) value = as(int32_t());
    else value = as(uint8_t());
    if (!std::isfinite(value)) damaged(entry, "a finite number", "the value " + std::to_string(value));
    return value;
  }

  // rank 0: the tensors show none.
  double scale(int64_t rank) {
    if (tensors_[Part::alpha]) used_[size_t(Part::alpha)] = true;
    if (tensors_[Part::scale]) return number(Part::scale);
    if (tensors_[Part::alpha]) return rank ? number(Part::alpha) / double(rank) : 1;
    return peft_(module_.component, module_.name, rank).value_or(1);
  }

  // up [out, rank], or [rank, out] beside a core; down [rank, in, …]. The shape of their product goes to `shape`.
  Product product(Entry up, Entry down, Entry core, bool core_transposes, Shape& shape) {
    Product p{.up = matrix(up, core && core_transposes ? "[rank, out]" : "[out, rank]"), .down = {}, .core = {}, .up_is_transposed = core && core_transposes};
    p.down = core ? matrix(down, "[rank, in]") : tensor(down, "[rank, in] or [rank, in, height, width]");
    const int64_t rank = p.down.rows, out = p.up_is_transposed ? p.up.columns : p.up.rows;
    if ((p.up_is_transposed ? p.up.rows : p.up.columns) != rank)
      damaged(*up, "rank " + std::to_string(rank) + ", that of \"" + json::printable(down->name) + "\"");
    shape = down->shape;
    if (core) {
      if (core->shape.size() != 4 || core->shape[0] != rank || core->shape[1] != rank)
        damaged(*core, "[" + std::to_string(rank) + ", " + std::to_string(rank) + ", height, width]");
      p.core = factor(core);
      shape = {rank, p.down.columns, core->shape[2], core->shape[3]};
    }
    shape[0] = out;
    return p;
  }

  void low_rank() {
    Entry up = take(Part::up), down = take(Part::down), mid = take(Part::mid), any = up ? up : down ? down : mid;
    if (!any) return;
    if (!up) up = need(Part::up, "its up (lora_up, lora_B)", any);
    if (!down) down = need(Part::down, "its down (lora_down, lora_A)", any);
    Change c{.rows_in = up, .columns_in = down, .magnitude = true};
    c.kind = product(up, down, mid, false, c.shape);
    c.scale = scale(std::get<Product>(c.kind).rank());
    place(c);
    if (Entry bias = take(Part::up_bias))
      place({.kind = Difference{factor(bias)}, .shape = bias->shape, .scale = c.scale, .rows_in = bias, .columns_in = bias, .of_bias = true});
  }

  void hadamard() {
    constexpr Part parts[] = {Part::hada_w1_a, Part::hada_w1_b, Part::hada_w2_a, Part::hada_w2_b, Part::hada_t1, Part::hada_t2};
    constexpr const char* names[] = {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"};
    const auto first = std::find_if(std::begin(parts), std::end(parts), [&](Part p) { return tensors_[p]; });
    if (first == std::end(parts)) return;
    const size_t count = tensors_[Part::hada_t1] || tensors_[Part::hada_t2] ? 6 : 4;
    Entry e[6] = {};
    for (size_t i = 0; i < count; ++i) e[i] = need(parts[i], names[i], tensors_[*first]);
    Change c{.rows_in = e[0], .columns_in = e[1], .magnitude = true};
    Shape second;
    Hadamard h{product(e[0], e[1], e[4], true, c.shape), product(e[2], e[3], e[5], true, second)};
    if (second != c.shape) damaged(*e[3], "the factors of " + text_of(c.shape) + ", as the first pair gives", "with hada_w2_a those of " + text_of(second));
    c.scale = scale(h.first.rank());
    c.kind = h;
    place(c);
  }

  // One side of a Kronecker product; `shape` is that of its matrix or convolution.
  std::optional<Kronecker::Side> kronecker_side(Part whole, Part a, Part b, Entry core, const char* a_name, const char* b_name, Shape& shape) {
    Kronecker::Side side;
    if (Entry entry = take(whole)) {
      if (Entry other = take(a)) damaged(*other, "either the whole matrix or its factors", "the whole matrix beside it");
      side.whole = tensor(entry, "[rows, columns] or [rows, columns, height, width]");
      shape = entry->shape;
    } else if (tensors_[a] || tensors_[b]) {
      Entry any = tensors_[a] ? tensors_[a] : tensors_[b];
      Entry up = need(a, a_name, any), down = need(b, b_name, any);
      side.product = product(up, down, core, true, shape);
    } else {
      return {};
    }
    side.rows = shape[0], side.columns = elements(shape, 1);
    return side;
  }

  void kronecker() {
    constexpr Part parts[] = {Part::lokr_w1, Part::lokr_w1_a, Part::lokr_w1_b, Part::lokr_w2, Part::lokr_w2_a, Part::lokr_w2_b, Part::lokr_t2};
    const auto first = std::find_if(std::begin(parts), std::end(parts), [&](Part p) { return tensors_[p]; });
    if (first == std::end(parts)) return;
    Entry any = tensors_[*first], core = take(Part::lokr_t2);
    Shape left, right;
    const auto w1 = kronecker_side(Part::lokr_w1, Part::lokr_w1_a, Part::lokr_w1_b, nullptr, "lokr_w1_a", "lokr_w1_b", left);
    const auto w2 = kronecker_side(Part::lokr_w2, Part::lokr_w2_a, Part::lokr_w2_b, core, "lokr_w2_a", "lokr_w2_b", right);
    if (!w1) need(Part::lokr_w1, "lokr_w1", any);
    if (!w2) need(Part::lokr_w2, "lokr_w2", any);
    if (core && w2->whole) damaged(*core, "lokr_w2_a and lokr_w2_b", "a whole lokr_w2 beside it");
    left = without_unit_kernel(left);
    if (left.size() != 2) damaged(*tensors_[tensors_[Part::lokr_w1] ? Part::lokr_w1 : Part::lokr_w1_b], "a matrix");
    // alpha belongs to the factored side, which without one there is none.
    const int64_t rank = w2->whole ? w1->whole ? 0 : w1->product.rank() : w2->product.rank();
    right[0] = times(left[0], right[0]), right[1] = times(left[1], right[1]);
    Entry shown = tensors_[tensors_[Part::lokr_w2] ? Part::lokr_w2 : Part::lokr_w2_b];
    place({.kind = Kronecker{*w1, *w2}, .shape = right, .scale = scale(rank), .rows_in = shown, .columns_in = shown, .magnitude = true});
  }

  void generalized() {
    Entry a1 = take(Part::a1), a2 = take(Part::a2), b1 = take(Part::b1), b2 = take(Part::b2);
    Entry any = a1 ? a1 : a2 ? a2 : b1 ? b1 : b2;
    if (!any) return;
    need(Part::a1, "a1", any), need(Part::a2, "a2", any), need(Part::b1, "b1", any), need(Part::b2, "b2", any);
    const Shape& wanted = module_.pieces[0].weight.shape;
    if (wanted.size() < 2) return mismatch(b2, module_.pieces[0].weight, b2->shape);
    // The first LyCORIS versions called the other factor of each pair 1. That with the layer's rows is the left one.
    const auto is_left = [&](Entry left, Entry right) {
      return left->shape.size() > 1 && left->shape[0] == stacked(wanted)[0] && left->shape[1] == right->shape[0];
    };
    if (!is_left(b1, b2) && is_left(b2, b1)) std::swap(a1, a2), std::swap(b1, b2);
    Change c{.rows_in = b1, .columns_in = b2, .magnitude = true, .needs_weight = true};
    Shape a;
    Generalized g{product(a1, a2, nullptr, false, a), product(b1, b2, nullptr, false, c.shape)};
    if (without_unit_kernel(a).size() != 2 || g.a.up.rows != g.a.down.columns)
      damaged(*a1, "factors of a square matrix", "with its partner those of " + text_of(a));
    if (fits(c.shape, stacked(wanted)) && g.a.up.rows != wanted[1]) damaged(*a1, "[" + std::to_string(wanted[1]) + ", rank], as b has it");
    c.scale = scale(g.b.rank());
    c.kind = g;
    place(c);
  }

  void rotation() {
    Entry blocks = take(Part::oft_blocks);
    if (!blocks) return;
    const Shape& s = blocks->shape;
    const bool butterfly = s.size() == 4;
    if ((s.size() != 3 && !butterfly) || s[s.size() - 1] != s[s.size() - 2]) damaged(*blocks, "[blocks, size, size], or [stages, blocks, size, size] for BOFT");
    Rotation r{.blocks = {blocks->data.data(), *blocks->type, elements(s) / s.back(), s.back()},
               .stages = butterfly ? s[0] : 0,
               .count = s[s.size() - 3],
               .size = s.back(),
               .rescale = {}};
    const int64_t rows = times(r.count, r.size);
    // Stage i mixes groups of 2^i · size rows.
    if (butterfly && (r.size % 2 || r.stages > 62 || rows % times(int64_t(1) << (r.stages - 1), r.size)))
      damaged(*blocks, "an even size and a number of rows that 2^(stages − 1) · size divides");
    if (tensors_[Part::alpha]) r.limit = number(Part::alpha) * double(rows);
    if (Entry rescale = take(Part::rescale)) {
      if (elements(rescale->shape) != rows || rescale->shape[0] != rows) damaged(*rescale, "[" + std::to_string(rows) + "]");
      r.rescale = factor(rescale);
    }
    Shape shape = module_.pieces[0].weight.shape;
    if (!shape.empty()) shape[0] = rows;
    place({.kind = r, .shape = std::move(shape), .rows_in = blocks, .columns_in = blocks, .needs_weight = true, .stacks = false});
  }

  void scaling() {
    if (!tensors_[Part::on_input]) return;
    const bool on_input = number(Part::on_input) != 0;
    Entry values = need(Part::weight, "its weight", tensors_[Part::on_input]);
    // [n], and for convolutions [1, n, 1, 1].
    const Shape& s = values->shape;
    const int64_t n = elements(s);
    if (std::find(s.begin(), s.end(), n) == s.end()) damaged(*values, "[n] or [1, n, 1, 1]");
    Shape shape = module_.pieces[0].weight.shape;
    if (shape.size() < 2) return mismatch(values, module_.pieces[0].weight, {1, n});
    shape[0] = stacked(shape)[0];
    shape[on_input] = n;
    place({.kind = Scaling{{values->data.data(), *values->type, 1, n}, on_input},
           .shape = std::move(shape),
           .rows_in = values,
           .columns_in = values,
           .needs_weight = true});
  }

  void difference(Part weight, Part bias) {
    for (const Part part : {weight, bias}) {
      Entry entry = take(part);
      if (!entry) continue;
      place({.kind = Difference{factor(entry)}, .shape = entry->shape, .rows_in = entry, .columns_in = entry, .of_bias = part == bias});
    }
  }

  void left_over(Part part, const SafetensorsEntry& entry) {
    // Without what they belong to these do nothing, and files have them for layers that were not trained.
    if (part == Part::alpha || part == Part::scale || part == Part::weight) return result_.unused.push_back(entry.name);
    throw Error(Code::lora_format, file_->path() + ": \"" + json::printable(entry.name) + "\" belongs to nothing else in the file",
                {{"path", file_->path()}, {"key", entry.name}, {"wanted", "the other tensors of the layer"}, {"found", "no such tensors"}});
  }

  // The shape of the layer's pieces one below the other, given that of one.
  Shape stacked(Shape shape, bool of_bias = false) const {
    if (shape.empty()) return shape;
    shape[0] = 0;
    for (const Module::Piece& piece : module_.pieces) {
      const Shape& s = of_bias ? piece.bias.shape : piece.weight.shape;
      shape[0] += s.empty() ? 0 : s[0];
    }
    return shape;
  }

  void mismatch(Entry entry, const Module::Parameter& parameter, Shape found, bool of_bias = false) {
    result_.mismatches.push_back({entry->name, parameter.name, stacked(parameter.shape, of_bias), std::move(found)});
  }

  // alpha and the like have been read: what is left is where the change goes.
  void place(const Change& change) {
    Entry magnitude = nullptr;
    if (change.magnitude) magnitude = tensors_[Part::dora_scale] ? take(Part::dora_scale) : take(Part::magnitude);
    const auto parameter = [&](const Module::Piece& piece) -> const Module::Parameter& { return change.of_bias ? piece.bias : piece.weight; };
    const Module::Parameter& first = parameter(module_.pieces[0]);
    if (first.shape.empty()) return result_.unused.push_back(change.columns_in->name);

    const Shape wanted = stacked(first.shape, change.of_bias);
    // An inpainting model reads mask and masked latents behind the latents, of which alone most LoRAs know.
    Shape latents = wanted;
    if (module_.name == "conv_in" && latents.size() == 4 && latents[1] == 9 && !change.needs_weight && !magnitude) latents[1] = 4;
    const Shape& laid_on = fits(change.shape, wanted) ? wanted : latents;
    if (!fits(change.shape, laid_on)) return mismatch(change.shape[0] == wanted[0] ? change.columns_in : change.rows_in, first, change.shape, change.of_bias);
    if (!change.stacks && module_.pieces.size() > 1)
      damaged(*change.rows_in, "q, k and v apart: blocks over all three are not supported", "the layer \"" + module_.name + "\"");

    int64_t row = 0;
    for (const Module::Piece& piece : module_.pieces) {
      LoraDelta delta{.component = module_.component,
                      .parameter = parameter(piece).name,
                      .shape = parameter(piece).shape,
                      .kind = change.kind,
                      .scale = change.scale,
                      .magnitude = {},
                      .first_row = row,
                      .columns = elements(laid_on, 1),
                      .key = tensors_.key,
                      .file = file_};
      if (magnitude) add_magnitude(delta, *magnitude, wanted);
      row += delta.rows();
      result_.deltas.push_back(std::move(delta));
    }
  }

  void add_magnitude(LoraDelta& delta, const SafetensorsEntry& entry, const Shape& whole) const {
    // LyCORIS and OneTrainer write [out, 1, …], or [1, in, …] for the inputs' lengths; PEFT [out] or, for convolutions, [1, out, 1, 1].
    const Shape& s = entry.shape;
    const int64_t n = elements(s);
    const bool dora = &entry == tensors_[Part::dora_scale], per_row = n == whole[0] && (!dora || s[0] == n);
    const bool per_input = dora && !per_row && whole.size() > 1 && s.size() > 1 && n == whole[1] && s[1] == n;
    if (!per_row && !per_input) damaged(entry, "one number for each row or each input of " + text_of(whole));
    if (per_input && module_.pieces.size() > 1) damaged(entry, "q, k and v apart: lengths of the inputs over all three are not supported");
    delta.magnitude = {entry.data.data(), *entry.type, 1, n};
    delta.magnitude_per_input = per_input;
  }

  const std::shared_ptr<const MappedFile>& file_;
  const Module& module_;
  const LayerTensors& tensors_;
  const PeftScale& peft_;
  std::array<bool, size_t(Part::count)> used_{};
  Assembled result_;
};

}  // namespace

Assembled assemble(const std::shared_ptr<const MappedFile>& file, const Module& module, const LayerTensors& tensors, const PeftScale& peft) {
  return Assembler(file, module, tensors, peft).run();
}

}  // namespace sdxl::lora
