#include "convert/single_file_names.h"

#include "convert/layout.h"
#include "test/check.h"
#include "weights/test_model.h"

namespace sdxl::convert {
namespace {

using namespace weights::test;

// A component with these names; nothing reads what the tensors hold.
weights::Component component(const Tensors& tensors) {
  weights::Component c{"unet", {}};
  for (const TestTensor& t : tensors) c.tensors[t.name] = {nullptr, DType::f16, t.shape, false, "", t.name};
  return c;
}

void check_same(const std::string& found, const std::string& wanted) { sdxl::test::check(found == wanted, __FILE__, __LINE__, found + ", not " + wanted); }

TEST("single file names: of UNets of any depth") {
  for (const UnetShape& shape : {UnetShape{.widths = {2, 3, 5}, .depths = {0, 1, 2}}, UnetShape{.widths = {2, 3, 3, 5}, .depths = {0, 1, 1, 0}},
                                 UnetShape{.widths = {2, 3, 4}, .depths = {0, 1, 1}, .resnets = 1}, UnetShape{.widths = {2, 3}, .depths = {1, 2}, .resnets = 3},
                                 UnetShape{.widths = {3}, .depths = {1}}}) {
    const Tensors tensors = unet_tensors(shape);
    const UnetFileNames names(component(tensors));
    for (const TestTensor& t : tensors) check_same(names(t.name), sgm_unet_name(t.name, shape));
  }
}

TEST("single file names: of VAEs of any depth") {
  for (const std::vector<int64_t>& widths : {std::vector<int64_t>{2, 3, 5, 5}, {2, 3}, {4}}) {
    const Tensors tensors = vae_tensors(widths);
    const VaeFileNames names(component(tensors));
    for (const TestTensor& t : tensors) check_same(names(t.name), sgm_vae_name(t.name, int(widths.size())));
  }
}

// A checkpoint of these parts, whose tensors lie in the tests' own strings.
struct Model {
  UnetShape shape{.widths = {2, 3, 5}, .depths = {0, 1, 2}};
  Tensors unet = unet_tensors(shape), vae = vae_tensors({2, 3, 5}), clip_l = text_tensors(3, 2, 7, 4, 0), clip_g = text_tensors(4, 3, 7, 5, 6);

  weights::Checkpoint checkpoint() const {
    weights::Checkpoint c;
    const auto fill = [](weights::Component& part, const Tensors& tensors) {
      for (const TestTensor& t : tensors) part.tensors[t.name] = {reinterpret_cast<const std::byte*>(t.bytes.data()), DType::f16, t.shape, false, "", t.name};
    };
    fill(c.unet, unet), fill(c.vae, vae), fill(c.text_encoder, clip_l), fill(c.text_encoder_2, clip_g);
    return c;
  }
};

TEST("single file names: a whole file, with fused attention and a transposed projection") {
  const Model model;
  const weights::Checkpoint checkpoint = model.checkpoint();
  const Tensors wanted = prefixed("model.diffusion_model.", sgm_unet(model.unet, model.shape)) + prefixed("first_stage_model.", sgm_vae(model.vae, 3)) +
                         prefixed("conditioner.embedders.0.transformer.", model.clip_l) +
                         prefixed("conditioner.embedders.1.model.", open_clip_text(model.clip_g));
  const std::vector<FileTensor> found = single_file_tensors(checkpoint, {});
  CHECK(found.size() == wanted.size());
  for (const TestTensor& t : wanted) {
    const auto file = std::find_if(found.begin(), found.end(), [&](const FileTensor& f) { return f.name == t.name; });
    if (file == found.end()) {
      sdxl::test::check(false, __FILE__, __LINE__, t.name + " is missing");
      continue;
    }
    sdxl::test::check(file->shape == t.shape, __FILE__, __LINE__, "shape of " + t.name);
    CHECK(file->transposed == t.name.ends_with("text_projection"));
    std::string bytes;
    for (const weights::SourceTensor* part : file->parts) bytes.append(reinterpret_cast<const char*>(part->data), size_t(part->bytes()));
    sdxl::test::check(bytes == t.bytes, __FILE__, __LINE__, "bytes of " + t.name);
  }
}

TEST("single file names: a refiner's only encoder is number 0, markers hold nothing, formats are as asked for") {
  const Model model;
  weights::Checkpoint checkpoint = model.checkpoint();
  checkpoint.text_encoder.tensors.clear();
  checkpoint.prediction = "v", checkpoint.markers = {"ztsnr"};
  int encoders = 0, marked = 0;
  for (const FileTensor& f : single_file_tensors(checkpoint, DType::bf16)) {
    encoders += f.name.starts_with("conditioner.embedders.0.model.");
    CHECK(!f.name.starts_with("conditioner.embedders.1."));
    const bool marker = f.name == "v_pred" || f.name == "ztsnr";
    marked += marker;
    CHECK(f.dtype == (marker ? DType::f32 : DType::bf16) && (f.bytes() == 0) == marker);
  }
  CHECK(encoders > 20 && marked == 2);
}

}  // namespace
}  // namespace sdxl::convert
