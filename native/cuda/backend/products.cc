// Linear layers and convolutions.
#include <utility>

#include "cuda/backend/cuda_backend.h"
#include "cuda/launch/elementwise.h"

namespace sdxl::cuda {

namespace {

MatrixActivation activation_of(ops::Activation activation, const WeightLayout& weight) {
  if (weight.geglu) return MatrixActivation::geglu;
  switch (activation) {
    case ops::Activation::none: return MatrixActivation::none;
    case ops::Activation::silu: return MatrixActivation::silu;
    case ops::Activation::gelu: return MatrixActivation::gelu;
    case ops::Activation::quick_gelu: return MatrixActivation::quick_gelu;
    case ops::Activation::relu: return MatrixActivation::relu;
  }
  throw Error(Code::internal, "an activation that CUDA does not know");
}

}  // namespace

CudaBackend::Narrowed CudaBackend::narrowed(ConstTensor x, const Weight& weight) {
  const WeightLayout& layout = weight.layout;
  const Element element = element_of(layout.type);
  if (x.type() == layout.type && layout.in == layout.inner()) return {element, x.address(), {}};
  const int64_t rows = x.elements() / layout.in;
  Array copy = arena().take({rows, layout.inner()}, layout.type);
  go(launch_of(Narrow{x.type(), element, x.address(), copy.address(), rows, layout.in, layout.inner()}));
  return {element, copy.address(), std::move(copy)};
}

template <class LaunchOf>
Array CudaBackend::first_half(const ops::LowRank& added, int64_t rows, const LaunchOf& launch) {
  if (!added.down) return {};
  const Weight& down = weight_of(added.down);
  Array half = arena().take({rows, down.layout.rows()}, down.layout.type);
  go(launch(down, half.address()));
  return half;
}

cuda::Linear::Product CudaBackend::second_half(const ops::LowRank& added, const Array& half, const Using& weights) {
  const Weight& up = weight_of(added.up);
  require(up.layout.inner() == half.shape().last(), "the halves of a low-rank addition do not fit together");
  return {half.address(), weights.address(up), up.layout.inner()};
}

Epilogue CudaBackend::epilogue(ConstTensor bias, ConstTensor per_image, ConstTensor residual, Tensor y, ops::Activation activation, const Weight& weight) {
  require(!residual || residual.type() == weight.layout.type, "what is added to a product has another type");
  require(y.type() == DType::f32 || y.type() == weight.layout.type, "the result of a product has another type than its weight");
  return {.y = y.address(),
          .y_float = y.type() == DType::f32,
          .bias = floats(bias),
          .per_image = floats(per_image),
          .residual = residual.address(),
          .activation = activation_of(activation, weight.layout)};
}

void CudaBackend::run(const ops::Linear& op) {
  const Using weights(*this);
  const Weight& w = weight_of(op.weight);
  const int64_t rows = op.x.shape()[0];
  require(op.x.shape().last() == w.layout.in, "a linear layer's input is not as wide as its weight");
  const Narrowed x = narrowed(op.x, w);
  cuda::Linear launch{
      .element = x.element, .rows = rows, .columns = w.layout.out, .products = {{x.data, weights.address(w), w.layout.inner()}}, .epilogue = {}};
  const Array half = first_half(op.added, rows, [&](const Weight& down, void* y) {
    return fastest_launch_of(cuda::Linear{.element = x.element,
                                          .rows = rows,
                                          .columns = down.layout.rows(),
                                          .products = {{x.data, weights.address(down), down.layout.inner()}},
                                          .epilogue = {.y = y}},
                             chip_, encode_);
  });
  if (half) launch.products.push_back(second_half(op.added, half, weights));
  launch.epilogue = epilogue(op.bias, {}, op.residual, op.y, op.activation, w);
  go(fastest_launch_of(launch, chip_, encode_));
}

void CudaBackend::run(const ops::Conv2d& op) {
  const Using weights(*this);
  const Weight& w = weight_of(op.weight);
  const auto [batch, x_height, x_width, in] = op.x.dims<4>();
  const auto [y_batch, y_height, y_width, out] = op.y.dims<4>();
  require(batch == y_batch && in == w.layout.in && out == w.layout.out, "a convolution's tensors do not fit its weight");
  const Narrowed x = narrowed(op.x, w);
  cuda::Conv2d launch{.element = x.element,
                      .sources = {{x.data, w.layout.inner()}},
                      .w = weights.address(w),
                      .batch = batch,
                      .x_height = x_height,
                      .x_width = x_width,
                      .y_height = y_height,
                      .y_width = y_width,
                      .columns = out,
                      .kernel_height = int(w.height),
                      .kernel_width = int(w.width),
                      .stride = op.stride,
                      .padding = op.padding,
                      .upsample = op.upsample,
                      .wrap_x = op.wrap_x,
                      .wrap_y = op.wrap_y,
                      .epilogue = {}};
  const Array half = first_half(op.added, batch * y_height * y_width, [&](const Weight& down, void* y) {
    cuda::Conv2d first = launch;
    first.w = weights.address(down);
    first.columns = down.layout.rows();
    first.epilogue = {.y = y};
    return fastest_launch_of(first, chip_, encode_);
  });
  if (half) launch.added = second_half(op.added, half, weights);
  launch.epilogue = epilogue(op.bias, op.per_image, op.residual, op.y, op.activation, w);
  go(fastest_launch_of(launch, chip_, encode_));
}

}  // namespace sdxl::cuda
