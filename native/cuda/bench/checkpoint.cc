#include "cuda/bench/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <span>

#include "convert/layout.h"
#include "convert/safetensors_writer.h"
#include "core/file.h"
#include "core/thread_pool.h"

namespace sdxl::cuda::bench {

namespace {

using weights::Component;
using weights::SourceTensor;

constexpr int64_t kVocabulary = 49408, kPositions = 77, kSizeFeatures = 6 * 256, kLatents = 4;

std::string at(const std::string& name, int64_t index) { return name + "." + std::to_string(index); }

// Fills a component with the names of Diffusers and transformers. A tensor's `name` is what its values follow from.
class Collector {
 public:
  explicit Collector(Component& component) : component_(component) {}

  void add(const std::string& name, std::vector<int64_t> shape) {
    component_.tensors[name] = {.data = nullptr, .dtype = DType::f16, .shape = std::move(shape), .file = "", .name = component_.name + "." + name};
  }
  void norm(const std::string& name, int64_t channels) { add(name + ".weight", {channels}), add(name + ".bias", {channels}); }
  void linear(const std::string& name, int64_t in, int64_t out) { add(name + ".weight", {out, in}), add(name + ".bias", {out}); }
  void conv(const std::string& name, int64_t in, int64_t out, int64_t kernel) { add(name + ".weight", {out, in, kernel, kernel}), add(name + ".bias", {out}); }

  void resnet(const std::string& name, int64_t in, int64_t out, int64_t time = 0) {
    norm(name + ".norm1", in);
    conv(name + ".conv1", in, out, 3);
    if (time) linear(name + ".time_emb_proj", time, out);
    norm(name + ".norm2", out);
    conv(name + ".conv2", out, out, 3);
    if (in != out) conv(name + ".conv_shortcut", in, out, 1);
  }

  void transformer(const std::string& name, int64_t channels, int64_t depth, int64_t context) {
    norm(name + ".norm", channels);
    linear(name + ".proj_in", channels, channels);
    for (int64_t i = 0; i < depth; ++i) {
      const std::string block = at(name + ".transformer_blocks", i);
      for (const bool cross : {false, true}) {
        const std::string attention = block + (cross ? ".attn2" : ".attn1");
        norm(block + (cross ? ".norm2" : ".norm1"), channels);
        add(attention + ".to_q.weight", {channels, channels});
        for (const char* projection : {".to_k", ".to_v"}) add(attention + projection + ".weight", {channels, cross ? context : channels});
        linear(attention + ".to_out.0", channels, channels);
      }
      norm(block + ".norm3", channels);
      linear(block + ".ff.net.0.proj", channels, 8 * channels);
      linear(block + ".ff.net.2", 4 * channels, channels);
    }
    linear(name + ".proj_out", channels, channels);
  }

 private:
  Component& component_;
};

void add_unet(Collector c, const CheckpointSpec& spec) {
  const auto& channels = spec.channels;
  const int64_t time = 4 * channels[0], context = spec.text.width + spec.text_2.width, levels = int64_t(channels.size()), last = channels.back();
  c.conv("conv_in", kLatents, channels[0], 3);
  c.linear("time_embedding.linear_1", channels[0], time);
  c.linear("time_embedding.linear_2", time, time);
  c.linear("add_embedding.linear_1", kSizeFeatures + spec.projection, time);
  c.linear("add_embedding.linear_2", time, time);

  std::vector<int64_t> skips = {channels[0]};
  int64_t in = channels[0];
  for (int64_t level = 0; level < levels; ++level) {
    const std::string name = at("down_blocks", level);
    const int64_t width = channels[size_t(level)], depth = spec.depths[size_t(level)];
    for (int64_t i = 0; i < spec.resnets; ++i, in = width, skips.push_back(width)) {
      c.resnet(at(name + ".resnets", i), in, width, time);
      if (depth) c.transformer(at(name + ".attentions", i), width, depth, context);
    }
    if (level + 1 == levels) break;
    c.conv(name + ".downsamplers.0.conv", width, width, 3);
    skips.push_back(width);
  }
  c.resnet("mid_block.resnets.0", last, last, time);
  c.transformer("mid_block.attentions.0", last, spec.depths.back(), context);
  c.resnet("mid_block.resnets.1", last, last, time);
  for (int64_t block = 0; block < levels; ++block) {
    const std::string name = at("up_blocks", block);
    const int64_t width = channels[size_t(levels - 1 - block)], depth = spec.depths[size_t(levels - 1 - block)];
    for (int64_t i = 0; i <= spec.resnets; ++i, in = width, skips.pop_back()) {
      c.resnet(at(name + ".resnets", i), in + skips.back(), width, time);
      if (depth) c.transformer(at(name + ".attentions", i), width, depth, context);
    }
    if (block + 1 < levels) c.conv(name + ".upsamplers.0.conv", width, width, 3);
  }
  c.norm("conv_norm_out", channels[0]);
  c.conv("conv_out", channels[0], kLatents, 3);
}

void add_text(Collector c, const CheckpointSpec::Text& text) {
  c.add("text_model.embeddings.token_embedding.weight", {kVocabulary, text.width});
  c.add("text_model.embeddings.position_embedding.weight", {kPositions, text.width});
  for (int64_t i = 0; i < text.layers; ++i) {
    const std::string layer = at("text_model.encoder.layers", i);
    c.norm(layer + ".layer_norm1", text.width);
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "out_proj"}) c.linear(layer + ".self_attn." + projection, text.width, text.width);
    c.norm(layer + ".layer_norm2", text.width);
    c.linear(layer + ".mlp.fc1", text.width, text.mlp);
    c.linear(layer + ".mlp.fc2", text.mlp, text.width);
  }
  c.norm("text_model.final_layer_norm", text.width);
}

void add_vae(Collector c, const CheckpointSpec& spec) {
  const auto& channels = spec.vae_channels;
  const int64_t levels = int64_t(channels.size()), last = channels.back();
  const auto middle = [&](const std::string& name) {
    c.resnet(name + ".resnets.0", last, last);
    c.norm(name + ".attentions.0.group_norm", last);
    for (const char* projection : {"to_q", "to_k", "to_v", "to_out.0"}) c.linear(name + ".attentions.0." + projection, last, last);
    c.resnet(name + ".resnets.1", last, last);
  };
  c.conv("encoder.conv_in", 3, channels[0], 3);
  int64_t in = channels[0];
  for (int64_t level = 0; level < levels; ++level) {
    const std::string name = at("encoder.down_blocks", level);
    const int64_t width = channels[size_t(level)];
    for (int64_t i = 0; i < spec.vae_resnets; ++i, in = width) c.resnet(at(name + ".resnets", i), in, width);
    if (level + 1 < levels) c.conv(name + ".downsamplers.0.conv", width, width, 3);
  }
  middle("encoder.mid_block");
  c.norm("encoder.conv_norm_out", last);
  c.conv("encoder.conv_out", last, 2 * kLatents, 3);  // mean and log-variance
  c.conv("quant_conv", 2 * kLatents, 2 * kLatents, 1);

  c.conv("post_quant_conv", kLatents, kLatents, 1);
  c.conv("decoder.conv_in", kLatents, last, 3);
  middle("decoder.mid_block");
  in = last;
  for (int64_t block = 0; block < levels; ++block) {
    const std::string name = at("decoder.up_blocks", block);
    const int64_t width = channels[size_t(levels - 1 - block)];
    for (int64_t i = 0; i <= spec.vae_resnets; ++i, in = width) c.resnet(at(name + ".resnets", i), in, width);
    if (block + 1 < levels) c.conv(name + ".upsamplers.0.conv", width, width, 3);
  }
  c.norm("decoder.conv_norm_out", channels[0]);
  c.conv("decoder.conv_out", channels[0], 3, 3);
}

weights::Checkpoint checkpoint_of(const CheckpointSpec& spec) {
  weights::Checkpoint checkpoint;
  add_unet(Collector(checkpoint.unet), spec);
  add_text(Collector(checkpoint.text_encoder), spec.text);
  add_text(Collector(checkpoint.text_encoder_2), spec.text_2);
  Collector(checkpoint.text_encoder_2).add("text_projection.weight", {spec.projection, spec.text_2.width});
  add_vae(Collector(checkpoint.vae), spec);
  return checkpoint;
}

// A tensor's values are uniform in mean ± amplitude. Weights of ±√3/√fan-in and norms near 1 keep activations near unit variance, which is
// finite in fp16; queries and keys are larger, so that attention is far from uniform.
struct Distribution {
  double mean, amplitude;
};
Distribution distribution_of(const SourceTensor& tensor) {
  const auto ends = [&](const char* end) { return tensor.name.ends_with(end); };
  if (ends("token_embedding.weight")) return {0, 0.5};
  if (ends("position_embedding.weight")) return {0, 0.25};
  if (ends(".bias")) return {0, 0.125};
  if (tensor.shape.size() == 1) return {1, 0.25};
  const double gain = ends(".to_q.weight") || ends(".to_k.weight") || ends(".q_proj.weight") || ends(".k_proj.weight") ? 1.5 : 1;
  return {0, gain * std::sqrt(3 / double(tensor.elements() / tensor.shape[0]))};
}

uint32_t hash(const std::string& text) {  // 32-bit FNV-1a
  uint32_t h = 0x811c9dc5;
  for (const char c : text) h = (h ^ uint8_t(c)) * 0x01000193;
  return h;
}

// The value of each index in turn, with the constants of Wellons' "lowbias32" search.
class Values {
 public:
  explicit Values(const SourceTensor& tensor) : state_(hash(tensor.name)), distribution_(distribution_of(tensor)) {}
  uint16_t operator()(int64_t index) const {
    uint32_t x = state_ + uint32_t(index) * 0x9e3779b9u;
    x = (x ^ (x >> 16)) * 0x21f0aaadu;
    x = (x ^ (x >> 15)) * 0x735a2d97u;
    x ^= x >> 15;
    return f32_to_f16(float(distribution_.mean + double(int32_t(x) >> 8) * (distribution_.amplitude / 0x800000)));
  }

 private:
  uint32_t state_;
  Distribution distribution_;
};

class File {
 public:
  explicit File(const std::string& path) : path_(path), handle_(open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644)) {
    if (handle_ < 0) throw write_error(path, errno);
  }
  ~File() { close(handle_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(int64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t some = pwrite(handle_, bytes.data(), bytes.size(), offset);
      if (some < 0 && errno == EINTR) continue;
      if (some <= 0) throw write_error(path_, errno);
      offset += some;
      bytes = bytes.subspan(size_t(some));
    }
  }

 private:
  std::string path_;
  int handle_;
};

// Some of a tensor's elements that go to one place, one behind the other.
struct Piece {
  const SourceTensor* tensor;
  bool transposed;
  int64_t offset;
};

void write_piece(File& file, const Piece& piece, int64_t period) {
  constexpr int64_t kMost = int64_t(1) << 20;  // elements written at a time
  const Values values(*piece.tensor);
  const int64_t count = piece.tensor->elements(), rows = piece.tensor->shape[0], columns = count / rows;
  const int64_t every = period ? period : count;
  const auto value = [&](int64_t i) { return values((piece.transposed ? i % rows * columns + i / rows : i) % every); };
  // What repeats is computed once and written in whole periods.
  const bool repeats = !piece.transposed && count > every;
  const int64_t step = std::min(count, repeats ? std::max<int64_t>(kMost / every, 1) * every : kMost);
  std::vector<uint16_t> some(static_cast<size_t>(step));
  const auto fill = [&](int64_t first) {
    for (int64_t i = 0; i < std::min(step, count - first); ++i) some[size_t(i)] = value(first + i);
  };
  if (repeats) {
    for (int64_t i = 0; i < step; ++i) some[size_t(i)] = i < every ? value(i) : some[size_t(i - every)];
  }
  for (int64_t first = 0; first < count; first += step) {
    if (!repeats) fill(first);
    file.write(piece.offset + 2 * first, std::as_bytes(std::span(some).first(size_t(std::min(step, count - first)))));
  }
}

}  // namespace

CheckpointSpec full_spec() {
  return {.name = "full",
          .channels = {320, 640, 1280},
          .resnets = 2,
          .depths = {0, 2, 10},
          .text = {768, 12, 3072},
          .text_2 = {1280, 32, 5120},
          .projection = 1280,
          .vae_channels = {128, 256, 512, 512},
          .vae_resnets = 2,
          .period = 262139};
}

CheckpointSpec smallest_spec() {
  return {.name = "smallest",
          .channels = {32, 64},
          .resnets = 1,
          .depths = {0, 1},
          .text = {64, 2, 96},
          .text_2 = {64, 2, 128},
          .projection = 64,
          .vae_channels = {32, 32, 32, 64},
          .vae_resnets = 1,
          .period = 0};
}

int64_t write_checkpoint(const CheckpointSpec& spec, const std::string& path, int threads) {
  const weights::Checkpoint checkpoint = checkpoint_of(spec);
  std::vector<convert::FileTensor> tensors = convert::single_file_tensors(checkpoint, std::nullopt);
  // What real files carry beside the weights. Wider elements come first.
  std::array<int64_t, kPositions> positions;
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = int64_t(i);
  const float logit_scale = 4.6052f;  // ln 100, where CLIP clamps it
  tensors.insert(tensors.begin(), {{.name = "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
                                    .dtype = DType::i64,
                                    .shape = {1, kPositions},
                                    .parts = {},
                                    .phase = ""},
                                   {.name = "conditioner.embedders.1.model.logit_scale", .dtype = DType::f32, .shape = {}, .parts = {}, .phase = ""}});
  const std::string header = convert::safetensors_header(
      tensors, {{"modelspec.architecture", "stable-diffusion-xl-v1-base"}, {"modelspec.title", std::string("synthetic ") + spec.name}});

  File file(path);
  int64_t offset = int64_t(header.size());
  file.write(0, std::as_bytes(std::span(header)));
  file.write(offset, std::as_bytes(std::span(positions)));
  file.write(offset + int64_t(sizeof positions), std::as_bytes(std::span(&logit_scale, 1)));
  std::vector<Piece> pieces;
  for (const convert::FileTensor& tensor : tensors) {
    int64_t inside = offset;
    for (const SourceTensor* part : tensor.parts) {
      pieces.push_back({part, tensor.transposed, inside});
      inside += part->bytes();
    }
    offset += tensor.bytes();
  }
  // The largest first, so that the threads end together.
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.tensor->elements() > b.tensor->elements(); });
  ThreadPool(threads).parallel(int64_t(pieces.size()), [&](int64_t i) { write_piece(file, pieces[size_t(i)], spec.period); });
  return offset;
}

}  // namespace sdxl::cuda::bench
