// oneDNN, loaded where somebody has it: nothing of it is needed to build. Weights, and the pictures of convolutions, are in the order that the
// library asks for, and are brought there outside the measured time.
#include "cpu/bench/side.h"

#if !defined(__linux__)

#include <stdexcept>

namespace sdxl::bench {

std::unique_ptr<Side> make_onednn_side(bool, const std::string&) { throw std::runtime_error("oneDNN is loaded on Linux only"); }

}  // namespace sdxl::bench

#else

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <type_traits>

namespace sdxl::bench {

namespace {

// What is called of the C API of version 3, with its numbers. Every handle is a pointer, every enumeration an int.
using Handle = void*;
constexpr int kMaxDims = 12;
struct Sizes {
  int64_t at[kMaxDims] = {};
  Sizes(std::initializer_list<int64_t> values) { std::copy(values.begin(), values.end(), at); }
};
struct Argument {
  int what;
  Handle memory;
};
struct Version {
  int major, minor, patch;
};
constexpr int kBf16 = 2, kF32 = 3, kCpu = 1, kInOrder = 1, kAnyOrder = 1, kInference = 96, kDirect = 1, kWinograd = 2, kLinear = 0x26, kGeluErf = 0x31,
              kMultiply = 0x1fff1, kSoftmax = 0x30000;
constexpr int kSource = 1, kSecondSource = 2, kDestination = 17, kWeights = 33, kBias = 41;
constexpr int kQueryName = 8, kQuerySource = 129, kQueryWeights = 131, kQueryDestination = 133, kQueryArgument = 255;

#define SDXL_ONEDNN(X)                                                                                                                          \
  X(engine_create, int (*)(Handle*, int, size_t))                                                                                               \
  X(stream_create, int (*)(Handle*, Handle, unsigned))                                                                                          \
  X(stream_wait, int (*)(Handle))                                                                                                               \
  X(memory_desc_create_with_strides, int (*)(Handle*, int, const int64_t*, int, const int64_t*))                                                \
  X(memory_desc_create_with_tag, int (*)(Handle*, int, const int64_t*, int, int))                                                               \
  X(memory_desc_get_size, size_t (*)(Handle))                                                                                                   \
  X(memory_desc_destroy, int (*)(Handle))                                                                                                       \
  X(memory_create, int (*)(Handle*, Handle, Handle, void*))                                                                                     \
  X(memory_destroy, int (*)(Handle))                                                                                                            \
  X(memory_map_data, int (*)(Handle, void**))                                                                                                   \
  X(memory_unmap_data, int (*)(Handle, void*))                                                                                                  \
  X(primitive_desc_query, int (*)(Handle, int, int, void*))                                                                                     \
  X(primitive_desc_query_md, Handle (*)(Handle, int, int))                                                                                      \
  X(primitive_desc_destroy, int (*)(Handle))                                                                                                    \
  X(primitive_create, int (*)(Handle*, Handle))                                                                                                 \
  X(primitive_execute, int (*)(Handle, Handle, int, const Argument*))                                                                           \
  X(primitive_destroy, int (*)(Handle))                                                                                                         \
  X(primitive_attr_create, int (*)(Handle*))                                                                                                    \
  X(primitive_attr_set_post_ops, int (*)(Handle, Handle))                                                                                       \
  X(primitive_attr_destroy, int (*)(Handle))                                                                                                    \
  X(post_ops_create, int (*)(Handle*))                                                                                                          \
  X(post_ops_append_eltwise, int (*)(Handle, int, float, float))                                                                                \
  X(post_ops_append_binary, int (*)(Handle, int, Handle))                                                                                       \
  X(post_ops_destroy, int (*)(Handle))                                                                                                          \
  X(reorder_primitive_desc_create, int (*)(Handle*, Handle, Handle, Handle, Handle, Handle))                                                    \
  X(matmul_primitive_desc_create, int (*)(Handle*, Handle, Handle, Handle, Handle, Handle, Handle))                                             \
  X(softmax_forward_primitive_desc_create, int (*)(Handle*, Handle, int, int, Handle, Handle, int, Handle))                                     \
  X(convolution_forward_primitive_desc_create,                                                                                                  \
    int (*)(Handle*, Handle, int, int, Handle, Handle, Handle, Handle, const int64_t*, const int64_t*, const int64_t*, const int64_t*, Handle)) \
  X(version, const Version* (*)())

struct Api {
#define X(name, type) std::type_identity_t<type> name;
  SDXL_ONEDNN(X)
#undef X

  explicit Api(const std::string& path) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays until the process ends
    if (!library) throw std::runtime_error(dlerror());
#define X(name, type)                                           \
  name = reinterpret_cast<type>(dlsym(library, "dnnl_" #name)); \
  if (!name) throw std::runtime_error(path + " has no dnnl_" #name);
    SDXL_ONEDNN(X)
#undef X
    if (version()->major != 3) throw std::runtime_error("oneDNN " + std::to_string(version()->major) + " has another interface than 3");
  }
};

void check(int status, const char* what) {
  if (status) throw std::runtime_error(std::string("oneDNN: ") + what + " ended with status " + std::to_string(status));
}

using Owned = std::shared_ptr<void>;

struct Step {
  Owned primitive;
  std::vector<Argument> arguments;
};

class OneDnnSide : public Side {
 public:
  OneDnnSide(bool bf16, const std::string& library) : api_(library), type_(bf16 ? kBf16 : kF32) {
    check(api_.engine_create(&engine_, kCpu, 0), "engine_create");
    check(api_.stream_create(&stream_, engine_, kInOrder), "stream_create");
  }

  std::string name() override {
    const Version& v = *api_.version();
    return "oneDNN " + std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
  }

  std::string open(const Case& wanted) override {
    steps_.clear();
    memories_.clear();
    remark_.clear();
    result_ = result_order_ = nullptr;
    const auto& s = wanted.sizes;
    if (wanted.kind == "linear" || wanted.kind == "geglu") {
      linear(s.at(0), s.at(1), s.at(2), wanted.kind == "geglu", wanted.scale);
    } else if (wanted.kind == "conv") {
      conv(s.at(0), s.at(1), wanted.scale);
    } else if (wanted.kind == "attention") {
      attention(s.at(0), s.at(1), s.at(2), s.at(3), wanted.scale);
    } else {
      throw std::runtime_error("not measured");
    }
    return remark_;
  }

  void run() override {
    execute(steps_);
    check(api_.stream_wait(stream_), "stream_wait");
  }

  std::vector<float> result() override {
    const Handle plain = memory(result_order_);
    reorder(result_, result_dims_, plain, result_order_);
    std::vector<float> values(api_.memory_desc_get_size(result_order_) / sizeof(float));
    with(plain, [&](float* data) { std::copy(data, data + values.size(), values.data()); });
    return values;
  }

 private:
  // Everything lives until the next case.
  Handle keep(Handle handle, int (*destroy)(Handle)) {
    memories_.emplace_back(handle, [destroy](void* h) { destroy(h); });
    return handle;
  }
  Handle order(int rank, const Sizes& dims, int type, const Sizes& strides) {
    Handle made;
    check(api_.memory_desc_create_with_strides(&made, rank, dims.at, type, strides.at), "memory_desc_create_with_strides");
    return keep(made, api_.memory_desc_destroy);
  }
  Handle any_order(int rank, const Sizes& dims) {
    Handle made;
    check(api_.memory_desc_create_with_tag(&made, rank, dims.at, type_, kAnyOrder), "memory_desc_create_with_tag");
    return keep(made, api_.memory_desc_destroy);
  }
  Handle memory(Handle order) {
    Handle made;
    void* const allocate = reinterpret_cast<void*>(~uintptr_t(0));
    check(api_.memory_create(&made, order, engine_, allocate), "memory_create");
    return keep(made, api_.memory_destroy);
  }
  void with(Handle memory, const std::function<void(float*)>& body) {
    void* data;
    check(api_.memory_map_data(memory, &data), "memory_map_data");
    body(static_cast<float*>(data));
    check(api_.memory_unmap_data(memory, data), "memory_unmap_data");
  }

  void execute(const std::vector<Step>& steps) {
    for (const Step& step : steps)
      check(api_.primitive_execute(step.primitive.get(), stream_, int(step.arguments.size()), step.arguments.data()), "primitive_execute");
  }
  Owned primitive(Handle description) {
    Handle made;
    check(api_.primitive_create(&made, description), "primitive_create");
    return Owned(made, api_.primitive_destroy);
  }
  void reorder(Handle from, Handle from_order, Handle to, Handle to_order) {
    Handle description;
    check(api_.reorder_primitive_desc_create(&description, from_order, engine_, to_order, engine_, nullptr), "reorder");
    keep(description, api_.primitive_desc_destroy);
    execute({{primitive(description), {{kSource, from}, {kDestination, to}}}});
    check(api_.stream_wait(stream_), "stream_wait");
  }

  // Values in `plain` order, which is dense in some order of its dimensions, brought into the order `wanted`.
  Handle values(Handle plain, Handle wanted, uint32_t seed, float scale = 1, int64_t first = 0) {
    const Handle from = memory(plain), to = memory(wanted);
    const size_t count = api_.memory_desc_get_size(plain) / sizeof(float);
    with(from, [&](float* data) {
      for (size_t i = 0; i < count; ++i) data[i] = scale * value(uint32_t(int64_t(i) + first), seed);
    });
    reorder(from, plain, to, wanted);
    return to;
  }

  void note(Handle description) {
    const char* name = nullptr;
    if (api_.primitive_desc_query(description, kQueryName, 0, &name) == 0 && name) remark_ += (remark_.empty() ? "" : ", ") + std::string(name);
  }
  Handle argument_order(Handle description, int query) { return api_.primitive_desc_query_md(description, query, 0); }

  // Post-operations; the numbers of their arguments changed within version 3, so the description is asked which one it knows.
  Handle attributes(const std::function<void(Handle)>& append) {
    Handle made, post;
    check(api_.post_ops_create(&post), "post_ops_create");
    append(post);
    check(api_.primitive_attr_create(&made), "primitive_attr_create");
    check(api_.primitive_attr_set_post_ops(made, post), "primitive_attr_set_post_ops");
    api_.post_ops_destroy(post);
    return keep(made, api_.primitive_attr_destroy);
  }
  int post_argument(Handle description, int index) {
    for (const int base : {16384, 32768}) {
      const int argument = (base * (index + 1)) | kSecondSource;
      const Handle known = api_.primitive_desc_query_md(description, kQueryArgument, argument);
      if (known && api_.memory_desc_get_size(known)) return argument;
    }
    throw std::runtime_error("oneDNN: no argument for a post-operation");
  }

  Handle matmul(Handle source, Handle weights, Handle bias, Handle destination, Handle attributes) {
    Handle made;
    check(api_.matmul_primitive_desc_create(&made, engine_, source, weights, bias, destination, attributes), "matmul");
    note(made);
    return keep(made, api_.primitive_desc_destroy);
  }

  void finish(Handle result, Handle order, Handle plain) {
    result_ = result;
    result_dims_ = order;
    result_order_ = plain;
  }

  // With GEGLU as two products, of which the gates' takes the GELU and the values in one go.
  void linear(int64_t rows, int64_t in, int64_t out, bool geglu, float scale) {
    const int64_t columns = geglu ? out / 2 : out;
    const Handle x_order = order(2, {rows, in}, type_, {in, 1}), y_order = order(2, {rows, columns}, type_, {columns, 1});
    const Handle bias_order = order(2, {1, columns}, kF32, {columns, 1});
    const Handle plain_weights = order(2, {in, columns}, kF32, {1, in});
    const Handle x = values(order(2, {rows, in}, kF32, {in, 1}), x_order, kFirst);
    const Handle plain_result = order(2, {rows, columns}, kF32, {columns, 1});
    Handle y = nullptr;
    for (int half = 0; half < (geglu ? 2 : 1); ++half) {
      const Handle gate = half ? attributes([&](Handle post) {
        check(api_.post_ops_append_eltwise(post, kGeluErf, 0, 0), "post_ops_append_eltwise");
        check(api_.post_ops_append_binary(post, kMultiply, y_order), "post_ops_append_binary");
      })
                               : nullptr;
      const Handle product = matmul(x_order, any_order(2, {in, columns}), bias_order, y_order, gate);
      const Handle weights = values(plain_weights, argument_order(product, kQueryWeights), kSecond, scale, half * in * columns);
      const Handle bias = values(bias_order, bias_order, kThird, 1, half * columns);
      const Handle before = y;
      y = memory(y_order);
      Step step{primitive(product), {{kSource, x}, {kWeights, weights}, {kBias, bias}, {kDestination, y}}};
      if (half) step.arguments.push_back({post_argument(product, 1), before});
      steps_.push_back(step);
    }
    finish(y, y_order, plain_result);
  }

  // The quicker of direct and Winograd.
  void conv(int64_t size, int64_t channels, float scale) {
    const Sizes picture = {1, channels, size, size}, strides = {size * size * channels, 1, size * channels, channels};
    const Sizes filter = {channels, channels, 3, 3};
    const Handle plain = order(4, picture, kF32, strides), plain_weights = order(4, filter, kF32, {channels * 9, 9, 3, 1});
    const Handle bias_order = order(1, {channels}, kF32, {1});
    double best = std::numeric_limits<double>::infinity();
    std::string chosen;
    for (const int algorithm : {kDirect, kWinograd}) {
      Handle product;
      const Sizes ones = {1, 1}, zeros = {0, 0};
      if (api_.convolution_forward_primitive_desc_create(&product, engine_, kInference, algorithm, any_order(4, picture), any_order(4, filter), bias_order,
                                                         any_order(4, picture), ones.at, zeros.at, ones.at, ones.at, nullptr))
        continue;
      keep(product, api_.primitive_desc_destroy);
      remark_.clear();
      note(product);
      const Handle y_order = argument_order(product, kQueryDestination), y = memory(y_order);
      const std::vector<Step> steps = {{primitive(product),
                                        {{kSource, values(plain, argument_order(product, kQuerySource), kFirst)},
                                         {kWeights, values(plain_weights, argument_order(product, kQueryWeights), kSecond, scale)},
                                         {kBias, values(bias_order, bias_order, kThird)},
                                         {kDestination, y}}}};
      const double time = quickest(steps);
      if (time >= best) continue;
      best = time;
      chosen = remark_;
      steps_ = steps;
      finish(y, y_order, plain);
    }
    if (steps_.empty()) throw std::runtime_error("oneDNN has no such convolution here");
    remark_ = chosen;
  }
  double quickest(const std::vector<Step>& steps) {
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 4; ++i) {
      const auto start = std::chrono::steady_clock::now();
      execute(steps);
      check(api_.stream_wait(stream_), "stream_wait");
      const double time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (i) best = std::min(best, time);
    }
    return best;
  }

  // Its primitives have no attention: two products with a softmax between them.
  void attention(int64_t heads, int64_t queries, int64_t keys, int64_t width, float scale) {
    const int64_t columns = heads * width;
    const auto rows_of_heads = [&](int64_t rows, int type) { return order(3, {heads, rows, width}, type, {width, columns, 1}); };
    const auto columns_of_heads = [&](int type) { return order(3, {heads, width, keys}, type, {width, 1, columns}); };
    const Handle q_order = rows_of_heads(queries, type_), k_order = columns_of_heads(type_), v_order = rows_of_heads(keys, type_);
    const Handle scores_order = order(3, {heads, queries, keys}, kF32, {queries * keys, keys, 1});
    const Handle shares_order = order(3, {heads, queries, keys}, type_, {queries * keys, keys, 1});
    const Handle q = values(rows_of_heads(queries, kF32), q_order, kFirst, scale), k = values(columns_of_heads(kF32), k_order, kSecond);
    const Handle v = values(rows_of_heads(keys, kF32), v_order, kThird);
    const Handle scores = memory(scores_order), shares = type_ == kF32 ? scores : memory(shares_order), y = memory(q_order);
    const Handle scaled =
        attributes([&](Handle post) { check(api_.post_ops_append_eltwise(post, kLinear, 1 / std::sqrt(float(width)), 0), "post_ops_append_eltwise"); });
    const Handle first = matmul(q_order, k_order, nullptr, scores_order, scaled);
    Handle softmax;
    check(api_.softmax_forward_primitive_desc_create(&softmax, engine_, kInference, kSoftmax, scores_order, shares_order, 2, nullptr), "softmax");
    keep(softmax, api_.primitive_desc_destroy);
    const Handle second = matmul(shares_order, v_order, nullptr, q_order, nullptr);
    steps_ = {{primitive(first), {{kSource, q}, {kWeights, k}, {kDestination, scores}}},
              {primitive(softmax), {{kSource, scores}, {kDestination, shares}}},
              {primitive(second), {{kSource, shares}, {kWeights, v}, {kDestination, y}}}};
    finish(y, q_order, rows_of_heads(queries, kF32));
  }

  Api api_;
  const int type_;  // of the numbers that are multiplied
  Handle engine_ = nullptr, stream_ = nullptr;
  std::vector<Owned> memories_;
  std::vector<Step> steps_;
  Handle result_ = nullptr, result_dims_ = nullptr, result_order_ = nullptr;  // the result, its order, and the order to show it in
  std::string remark_;
};

}  // namespace

std::unique_ptr<Side> make_onednn_side(bool bf16, const std::string& library) { return std::make_unique<OneDnnSide>(bf16, library); }

}  // namespace sdxl::bench

#endif
