#include "weights/checkpoint.h"

#include <random>

#include "test/check.h"
#include "weights/test_model.h"

namespace sdxl::weights {
namespace {

using namespace test;

// All of `wanted`, with these shapes and bytes, and nothing else.
void check_component(const Component& component, const Tensors& wanted) {
  CHECK(component.tensors.size() == wanted.size());
  for (const TestTensor& t : wanted) {
    const auto found = component.tensors.find(t.name);
    if (found == component.tensors.end()) {
      sdxl::test::check(false, __FILE__, __LINE__, component.name + " lacks " + t.name);
      continue;
    }
    const SourceTensor& tensor = found->second;
    if (tensor.shape != t.shape) sdxl::test::check(false, __FILE__, __LINE__, "shape of " + t.name);
    CHECK(std::memcmp(tensor.data, t.bytes.data(), t.bytes.size()) == 0);
    CHECK(tensor.dtype == DType::f16);
  }
}

const UnetShape kUnet{.widths = {2, 3, 5}, .depths = {0, 1, 2}};
const std::vector<int64_t> kVae = {2, 3, 5, 5};

struct Model {
  Tensors unet = unet_tensors(kUnet), vae = vae_tensors(kVae), clip_l = text_tensors(3, 2, 7, 4, 0), clip_g = text_tensors(4, 3, 7, 5, 6);

  Tensors single_file() const {
    return prefixed("model.diffusion_model.", sgm_unet(unet, kUnet)) + prefixed("first_stage_model.", sgm_vae(vae, int(kVae.size()))) +
           prefixed("conditioner.embedders.0.transformer.", clip_l) + prefixed("conditioner.embedders.1.model.", open_clip_text(clip_g));
  }
  void write_folder(const TempFolder& folder) const {
    folder.write("unet/diffusion_pytorch_model.safetensors", safetensors_bytes(unet));
    folder.write("vae/diffusion_pytorch_model.safetensors", safetensors_bytes(vae));
    folder.write("text_encoder/model.safetensors", safetensors_bytes(clip_l));
    folder.write("text_encoder_2/model.safetensors", safetensors_bytes(clip_g));
  }
};

void check_model(const Checkpoint& checkpoint, const Model& model) {
  check_component(checkpoint.unet, model.unet);
  check_component(checkpoint.vae, model.vae);
  check_component(checkpoint.text_encoder, model.clip_l);
  check_component(checkpoint.text_encoder_2, model.clip_g);
}

bool contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  std::printf("  \"%s\" is not in: %s\n", part.c_str(), text.c_str());
  return false;
}
std::vector<std::string> problems_in(const Error& error) {
  for (const auto& [key, value] : error.details)
    if (const auto* list = std::get_if<std::vector<std::string>>(&value); list && key == "problems") return *list;
  return {};
}

TEST("checkpoint: single file, every tensor under its internal name") {
  const Model model;
  const TempFolder folder;
  const Tensors others = {{"model_ema.decay", {}, "ab"},
                          {"denoiser.sigmas", {2}, "abcd"},
                          {"first_stage_model.loss.logvar", {}, "ab"},
                          {"conditioner.embedders.1.model.logit_scale", {}, "ab"},
                          {"conditioner.embedders.1.model.visual.conv1.weight", {1}, "ab"},
                          {"conditioner.embedders.0.transformer.text_model.embeddings.position_ids", {1, 1}, "abcdefgh", "I64"},
                          {"conditioner.embedders.0.transformer.text_projection.weight", {1, 1}, "ab"}};
  const std::string path = folder.write("model.safetensors", safetensors_bytes(model.single_file() + others, {{"modelspec.title", "small"}}));
  const Checkpoint checkpoint = open_checkpoint(path, "");
  check_model(checkpoint, model);
  CHECK(checkpoint.layout == "single-file");
  CHECK(checkpoint.path == path);
  CHECK(checkpoint.ignored == int64_t(others.size()));
  CHECK(checkpoint.files.size() == 1);
  CHECK(checkpoint.metadata.at("modelspec.title") == "small");
  CHECK(checkpoint.markers.empty() && checkpoint.prediction.empty());

  const SourceTensor& conv = checkpoint.unet.tensors.at("down_blocks.0.resnets.0.conv1.weight");
  CHECK(conv.name == "model.diffusion_model.input_blocks.1.0.in_layers.2.weight" && conv.file == path && !conv.transposed);
  CHECK(checkpoint.text_encoder_2.tensors.at("text_projection.weight").transposed);
  CHECK(checkpoint.text_encoder_2.tensors.at("text_model.encoder.layers.1.self_attn.v_proj.bias").name ==
        "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_bias");
}

TEST("checkpoint: UNets of other depths") {
  for (const UnetShape& shape : {UnetShape{.widths = {2, 3, 3, 5}, .depths = {0, 1, 1, 0}}, UnetShape{.widths = {2, 3, 4}, .depths = {0, 1, 1}, .resnets = 1},
                                 UnetShape{.widths = {2, 3}, .depths = {1, 2}, .resnets = 3}, UnetShape{.widths = {3}, .depths = {1}}}) {
    const TempFolder folder;
    const Tensors unet = unet_tensors(shape);
    check_component(open_checkpoint(folder.write("a.safetensors", safetensors_bytes(prefixed("model.diffusion_model.", sgm_unet(unet, shape)))), "").unet,
                    unet);
    check_component(open_checkpoint(folder.write("b.safetensors", safetensors_bytes(sgm_unet(unet, shape))), "").unet, unet);
    check_component(open_checkpoint(folder.write("c.safetensors", safetensors_bytes(unet)), "").unet, unet);
    check_component(open_checkpoint(folder.write("d.safetensors", safetensors_bytes(prefixed("model.diffusion_model.", unet))), "").unet, unet);
  }
}

TEST("checkpoint: Diffusers folder") {
  const Model model;
  const TempFolder folder;
  model.write_folder(folder);
  const Checkpoint checkpoint = open_checkpoint(folder.path(), "");
  check_model(checkpoint, model);
  CHECK(checkpoint.layout == "diffusers");
  CHECK(checkpoint.files.size() == 4);
  CHECK(checkpoint.ignored == 0);
  CHECK(!checkpoint.text_encoder_2.tensors.at("text_projection.weight").transposed);
  CHECK(checkpoint.prediction.empty());
}

TEST("checkpoint: Diffusers folder with variants, shards, early names, names without prefix") {
  const Model model;
  const TempFolder folder;
  Tensors vae = model.vae;
  for (TestTensor& t : vae) t.name = rewritten(t.name, {{".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}});
  Tensors clip_l = model.clip_l;
  for (TestTensor& t : clip_l) t.name = rewritten(t.name, {{"text_model.", ""}});
  Tensors unet = model.unet;
  for (TestTensor& t : unet)
    if (t.name.ends_with("proj_in.weight") || t.name.ends_with("proj_out.weight")) t.shape = {t.shape[0], t.shape[1], 1, 1};
  const auto half = unet.begin() + std::ptrdiff_t(unet.size() / 2);
  std::string map;
  for (auto t = unet.begin(); t != unet.end(); ++t) map += (map.empty() ? "\"" : ",\"") + t->name + "\":\"part-" + (t < half ? "1" : "2") + ".safetensors\"";
  folder.write("unet/diffusion_pytorch_model.safetensors.index.json", "{\"metadata\":{\"total_size\":1},\"weight_map\":{" + map + "}}");
  folder.write("unet/part-1.safetensors", safetensors_bytes(Tensors(unet.begin(), half)));
  folder.write("unet/part-2.safetensors", safetensors_bytes(Tensors(half, unet.end()) + Tensors{{"not.listed", {1}, "ab"}}));
  folder.write("vae/diffusion_pytorch_model.fp16.safetensors", safetensors_bytes(vae));
  folder.write("text_encoder/model.fp16.safetensors", safetensors_bytes(clip_l));
  folder.write("text_encoder_2/model.bf16.safetensors", safetensors_bytes(model.clip_g));
  const Checkpoint checkpoint = open_checkpoint(folder.path(), "");
  check_model(checkpoint, model);
  CHECK(checkpoint.files.size() == 5);
  CHECK(checkpoint.ignored == 1);

  folder.write("unet/diffusion_pytorch_model.safetensors.index.json",
               "{\"weight_map\":{" + map + ",\"lost\":\"part-2.safetensors\",\"gone\":\"part-3.safetensors\",\"out\":\"../part-1.safetensors\",\"odd\":7}}");
  const Error error = ERROR_OF(open_checkpoint(folder.path(), ""));
  CHECK(error.code == Code::model_format);
  CHECK(contains(error.message, "diffusion_pytorch_model.safetensors.index.json"));
  const auto problems = problems_in(error);
  CHECK(problems.size() == 4);
  for (const char* part : {"\"part-3.safetensors\" with 1 tensors is missing", "does not hold \"lost\"", "\"out\" names no file", "\"odd\" names no file"})
    CHECK(std::any_of(problems.begin(), problems.end(), [&](const std::string& p) { return p.find(part) != std::string::npos; }));
}

TEST("checkpoint: refiner, and bigG with the names of transformers") {
  const Model model;
  const TempFolder folder;
  const Checkpoint refiner =
      open_checkpoint(folder.write("refiner.safetensors", safetensors_bytes(prefixed("conditioner.embedders.0.model.", open_clip_text(model.clip_g)))), "");
  check_component(refiner.text_encoder_2, model.clip_g);
  CHECK(refiner.text_encoder.tensors.empty() && refiner.unet.tensors.empty() && refiner.vae.tensors.empty());
  check_component(
      open_checkpoint(folder.write("hf.safetensors", safetensors_bytes(prefixed("conditioner.embedders.1.transformer.", model.clip_g))), "").text_encoder_2,
      model.clip_g);
}

TEST("checkpoint: another VAE, as file or folder, in both namings") {
  const Model model;
  const TempFolder folder;
  const std::string path = folder.write("model.safetensors", safetensors_bytes(model.single_file()));
  const Tensors vae = vae_tensors({3, 4, 7}), sgm = sgm_vae(vae, 3);
  folder.write("alone/diffusion_pytorch_model.safetensors", safetensors_bytes(vae));
  folder.write("model/vae/diffusion_pytorch_model.safetensors", safetensors_bytes(vae));
  const std::vector<std::string> places = {folder.write("a.safetensors", safetensors_bytes(vae)),
                                           folder.write("b.safetensors", safetensors_bytes(sgm)),
                                           folder.write("c.safetensors", safetensors_bytes(prefixed("first_stage_model.", sgm))),
                                           folder.write("d.safetensors", safetensors_bytes(prefixed("first_stage_model.", vae))),
                                           folder / "alone",
                                           folder / "model",
                                           folder / "model/vae"};
  for (const std::string& place : places) {
    const Checkpoint checkpoint = open_checkpoint(path, place);
    check_component(checkpoint.vae, vae);
    check_component(checkpoint.unet, model.unet);
    CHECK(checkpoint.files.size() == 2);
  }
  const Error none = ERROR_OF(open_checkpoint(path, folder.write("unet.safetensors", safetensors_bytes(model.unet))));
  CHECK(none.code == Code::model_format && contains(none.message, "unet.safetensors") && contains(none.message, "looked for a VAE"));
  CHECK(ERROR_OF(open_checkpoint(path, folder / "absent.safetensors")).code == Code::model_not_found);
  std::filesystem::create_directories(folder / "empty");
  CHECK(contains(ERROR_OF(open_checkpoint(path, folder / "empty")).message, "found nothing"));
}

TEST("checkpoint: prediction type and markers") {
  const Model model;
  const TempFolder folder;
  const auto open = [&](const Tensors& more, const std::map<std::string, std::string>& metadata) {
    return open_checkpoint(folder.write("m.safetensors", safetensors_bytes(prefixed("model.diffusion_model.", model.unet) + more, metadata)), "");
  };
  const Checkpoint v = open({{"v_pred", {0}, ""}, {"ztsnr", {}, "ab"}}, {{"modelspec.prediction_type", "epsilon"}});
  CHECK(v.prediction == "v" && v.ignored == 0);
  CHECK((v.markers == std::vector<std::string>{"v_pred", "ztsnr"}));
  CHECK(open({}, {{"modelspec.prediction_type", "v"}}).prediction == "v");
  CHECK(open({}, {{"modelspec.prediction_type", "epsilon"}}).prediction == "epsilon");
  CHECK(open({}, {{"modelspec.prediction_type", "unknown"}}).prediction.empty());

  model.write_folder(folder);
  const auto with_config = [&](const std::string& config) {
    folder.write("scheduler/scheduler_config.json", config);
    return open_checkpoint(folder.path(), "");
  };
  CHECK(with_config(R"({"prediction_type":"epsilon"})").prediction == "epsilon");
  const Checkpoint zero = with_config(R"({"prediction_type":"v_prediction","rescale_betas_zero_snr":true})");
  CHECK(zero.prediction == "v" && zero.markers == std::vector<std::string>{"ztsnr"});
  CHECK(with_config("{}").prediction.empty());
  const Error sample = ERROR_OF(with_config(R"({"prediction_type":"sample"})"));
  CHECK(sample.code == Code::model_unsupported && contains(sample.message, "\"sample\""));
  const Error broken = ERROR_OF(with_config("{"));
  CHECK(broken.code == Code::model_format && contains(broken.message, "scheduler_config.json") && contains(broken.message, "byte 1"));
}

TEST("checkpoint: tensors that cannot be a model's") {
  const TempFolder folder;
  const Error error = ERROR_OF(open_checkpoint(
      folder.write("bad.safetensors", safetensors_bytes({{"model.diffusion_model.input_blocks.0.0.weight", {2}, "ab", "I8"},
                                                         {"model.diffusion_model.out.2.weight", {1}, "abcdefgh", "F64"},
                                                         {"model.diffusion_model.out.0.weight", {1}, "ab"},
                                                         {"model.diffusion_model.conv_norm_out.weight", {1}, "ab"},
                                                         {"conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_bias", {4}, "abcdefgh"},
                                                         {"conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight", {}, "ab"}})),
      ""));
  CHECK(error.code == Code::model_format && contains(error.message, "bad.safetensors"));
  const auto problems = problems_in(error);
  CHECK(problems.size() == 5);
  if (problems.size() != 5) return;
  CHECK(problems[0] == "unet: conv_in.weight (model.diffusion_model.input_blocks.0.0.weight) has dtype I8, wanted F32, F16, BF16, F8_E4M3 or F8_E5M2");
  CHECK(contains(problems[1], "conv_out.weight") && contains(problems[1], "F64"));
  CHECK(contains(problems[2], "is there already, as model.diffusion_model.out.0.weight"));
  CHECK(contains(problems[3], "in_proj_bias has rows that cannot be divided") && contains(problems[4], "in_proj_weight"));
}

TEST("checkpoint: unknown names stay, for the model's own check") {
  const TempFolder folder;
  const char* const names[] = {"input_blocks.1000000.0.op.weight", "input_blocks.x.y", "output_blocks.", "middle_block.9",
                               "input_blocks.01.0.op.weight",      "mystery"};
  Tensors tensors;
  for (const char* name : names) tensors.push_back({std::string("model.diffusion_model.") + name, {1}, "ab"});
  const Checkpoint checkpoint = open_checkpoint(
      folder.write("odd.safetensors", safetensors_bytes(tensors + Tensors{{"first_stage_model.decoder.up.5000.block.0.norm1.weight", {1}, "ab"}})), "");
  for (const char* name : names) CHECK(checkpoint.unet.tensors.count(name) == 1);
  CHECK(checkpoint.vae.tensors.count("decoder.up.5000.block.0.norm1.weight") == 1);
}

TEST("checkpoint: files and folders that are no model") {
  const TempFolder folder;
  const Error absent = ERROR_OF(open_checkpoint(folder / "absent.safetensors", ""));
  CHECK(absent.code == Code::model_not_found && contains(absent.message, "absent.safetensors") && contains(absent.message, "does not exist"));
  const Error lora = ERROR_OF(open_checkpoint(folder.write("lora.safetensors", safetensors_bytes({{"lora_unet_x.lora_down.weight", {1}, "ab"}})), ""));
  CHECK(lora.code == Code::model_format && contains(lora.message, "looks like a LoRA") && contains(lora.message, "lora_unet_x"));
  CHECK(contains(ERROR_OF(open_checkpoint(folder.write("none.safetensors", safetensors_bytes({})), "")).message, "holds no tensors"));
  const Error other = ERROR_OF(open_checkpoint(folder.path(), ""));
  CHECK(other.code == Code::model_format && contains(other.message, "looked for the folders unet") && contains(other.message, "lora.safetensors"));
  folder.write("unet/diffusion_pytorch_model.bin", "x");
  const Error pickled = ERROR_OF(open_checkpoint(folder.path(), ""));
  CHECK(pickled.code == Code::model_format && contains(pickled.message, "found diffusion_pytorch_model.bin"));
}

TEST("checkpoint: the tiny model, all tensors and no others") {
  const std::string path = std::string(SDXL_TEST_MODELS) + "/tiny-shapes.safetensors";
  const Checkpoint checkpoint = open_checkpoint(path, "");
  const auto check_names = [](const Component& component, const Tensors& wanted) {
    CHECK(component.tensors.size() == wanted.size());
    for (const TestTensor& t : wanted) {
      const auto found = component.tensors.find(t.name);
      sdxl::test::check(found != component.tensors.end() && found->second.shape == t.shape, __FILE__, __LINE__, component.name + ": " + t.name);
    }
  };
  check_names(checkpoint.unet, unet_tensors({.widths = {64, 64, 128}, .depths = {0, 1, 1}, .cross = 192, .pooled = 128}));
  check_names(checkpoint.vae, vae_tensors({64, 64, 64, 64}));
  check_names(checkpoint.text_encoder, text_tensors(64, 3, 49408, 77, 0));
  check_names(checkpoint.text_encoder_2, text_tensors(128, 3, 49408, 77, 128));
  CHECK(checkpoint.ignored == 1);  // logit_scale
  CHECK(checkpoint.metadata.at("modelspec.title") == "tiny shapes");
}

TEST("checkpoint: damaged files never crash it") {
  const TempFolder folder;
  const std::string good = safetensors_bytes(
      prefixed("model.diffusion_model.", {{"input_blocks.3.0.op.weight", {1}, "ab"}, {"output_blocks.2.2.conv.weight", {1}, "ab"}}) +
          prefixed("first_stage_model.", {{"decoder.up.2.block.0.norm1.weight", {1}, "ab"}, {"encoder.mid.attn_1.q.weight", {1, 1, 1, 1}, "ab"}}) +
          prefixed("conditioner.embedders.1.model.", {{"transformer.resblocks.0.attn.in_proj_bias", {3}, "abcdef"}, {"text_projection", {1, 1}, "ab"}}),
      {{"a", "b"}});
  std::mt19937 random(1);
  int opened = 0, refused = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = good;
    const size_t header = bytes.size() - 16;
    for (unsigned i = random() % 2; i < 2; ++i) {
      // A character of a name by another, mostly: these files still parse, so that the name maps see them.
      char& byte = bytes[8 + random() % (header - 8)];
      byte = random() % 4 == 0 ? char(random()) : ".0123456789abcdefghijklmnopqrstuvwxyz"[random() % 37];
    }
    const std::string path = folder.write("fuzz.safetensors", bytes);
    try {
      open_checkpoint(path, "");
      ++opened;
    } catch (const Error& error) {
      ++refused;
      if (error.message.find("fuzz.safetensors") == std::string::npos || error.code != Code::model_format)
        sdxl::test::check(false, __FILE__, __LINE__, error.message);
    }
  }
  CHECK(opened > 100 && refused > 100);
}

}  // namespace
}  // namespace sdxl::weights
