#include "model/resnet.h"

namespace sdxl::model {

Resnet::Resnet(Layers& layers, const std::string& name, int64_t in, int64_t out, int64_t embedding, float eps)
    : eps_(eps),
      norm1_(layers.group_norm(name + ".norm1", in)),
      norm2_(layers.group_norm(name + ".norm2", out)),
      conv1_(layers.conv(name + ".conv1", in, out)),
      conv2_(layers.conv(name + ".conv2", out, out)) {
  if (in != out) shortcut_ = layers.conv(name + ".conv_shortcut", in, out, 1);
  if (embedding) embedding_ = layers.linear(name + ".time_emb_proj", embedding, out);
  layers.branch({conv1_, conv2_});
}

Array Resnet::operator()(const Run& run, ConstTensor x, ConstTensor silu_embedding) const {
  run.check();
  const auto [batch, height, width, in] = x.dims<4>();
  const Shape wide{batch, height, width, out()};
  Array h = run.take(wide);
  {
    Array normed = run.take(x.shape());
    norm1_->group(run, x, normed, eps_, true);
    Array time = embedding_ ? embedding_->wide(run, silu_embedding) : Array();
    (*conv1_)(run, normed, h, {.per_image = time});
  }
  norm2_->group(run, h, h, eps_, true);
  Array y = run.take(wide);
  if (shortcut_) (*shortcut_)(run, x, y);
  (*conv2_)(run, h, y, {.residual = shortcut_ ? ConstTensor(y) : x});
  return y;
}

}  // namespace sdxl::model
