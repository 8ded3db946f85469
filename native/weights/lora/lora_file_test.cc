#include "weights/lora/lora_file.h"

#include <algorithm>

#include "weights/lora/test_lora.h"

namespace sdxl::lora {
namespace {

using namespace test;

std::vector<std::string> parameters(const LoraFile& lora) {
  std::vector<std::string> names;
  for (const LoraDelta& d : lora.deltas) names.push_back(d.component + "." + d.parameter);
  return names;
}
std::string flat(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
std::string without_leaf(const std::string& name) { return name.substr(0, name.rfind('.')); }

// Every layer of the model with a matrix or a convolution, named by `name`; all of them must be found, each as itself.
template <class Name>
void check_names(const std::string& component, const weights::test::Tensors& model, const std::string& up, const std::string& down, const Name& name) {
  std::vector<TestTensor> tensors;
  std::vector<std::string> wanted;
  for (const TestTensor& t : model) {
    if (!t.name.ends_with(".weight") || t.shape.size() < 2) continue;
    const std::string module = name(without_leaf(t.name));
    if (module.empty()) continue;
    add_layer(tensors, module, t.shape, up, down);
    wanted.push_back(component + "." + t.name);
  }
  std::sort(wanted.begin(), wanted.end());
  CHECK(wanted.size() >= 12);
  const LoraFile lora = read(tensors);
  const std::string example = tensors[0].name + (lora.unmatched.empty() ? "" : ", unmatched " + lora.unmatched[0]);
  sdxl::test::check(lora.unmatched.empty() && parameters(lora) == wanted, __FILE__, __LINE__, "names like " + example);
}

TEST("lora: names of all layers in every naming") {
  const auto unet = tiny_unet(), text = tiny_text(), text2 = tiny_text_2();
  const auto sgm = [](const std::string& module) { return without_leaf(weights::test::sgm_unet_name(module + ".weight", kTinyUnet)); };
  const std::string kohya_up = ".lora_up.weight", kohya_down = ".lora_down.weight", peft_up = ".lora_B.weight", peft_down = ".lora_A.weight";

  check_names("unet", unet, kohya_up, kohya_down, [&](const std::string& m) { return "lora_unet_" + flat(sgm(m)); });
  check_names("unet", unet, kohya_up, kohya_down, [](const std::string& m) { return "lora_unet_" + flat(m); });
  check_names("unet", unet, kohya_up, kohya_down, [](const std::string& m) { return "lora_unet." + m; });
  check_names("unet", unet, kohya_up, kohya_down, [](const std::string& m) { return "lycoris_" + flat(m); });
  check_names("unet", unet, kohya_up, kohya_down, [](const std::string& m) { return "unet_" + flat(m); });
  check_names("unet", unet, peft_up, peft_down, [](const std::string& m) { return "unet." + m; });
  check_names("unet", unet, ".lora_B.default.weight", ".lora_A.default.weight", [](const std::string& m) { return "unet." + m; });
  check_names("unet", unet, ".lora_B.my_style.weight", ".lora_A.my_style.weight", [](const std::string& m) { return "base_model.model." + m; });
  check_names("unet", unet, peft_up, peft_down, [](const std::string& m) { return "unet.base_model.model." + m; });
  check_names("unet", unet, peft_up, peft_down, [](const std::string& m) { return m; });
  check_names("unet", unet, peft_up, peft_down, [&](const std::string& m) { return "diffusion_model." + sgm(m); });
  check_names("unet", unet, kohya_up, kohya_down, [&](const std::string& m) { return "model.diffusion_model." + sgm(m); });
  check_names("unet", unet, ".lora.up.weight", ".lora.down.weight", [](const std::string& m) { return "unet." + m; });
  for (const std::string prefix : {"unet.", ""})
    check_names("unet", unet, "_lora.up.weight", "_lora.down.weight", [&](std::string m) -> std::string {
      const size_t at = m.find(".to_");
      if (at == std::string::npos) return "";
      m.replace(at, 4, ".processor.to_");
      return prefix + (m.ends_with(".to_out.0") ? m.substr(0, m.size() - 2) : m);
    });

  for (const std::string prefix : {"lora_te1_", "lora_te_", "lycoris_te1_"})
    check_names("text_encoder", text, kohya_up, kohya_down, [&](const std::string& m) { return prefix + flat(m); });
  check_names("text_encoder", text, peft_up, peft_down, [](const std::string& m) { return "text_encoder." + m; });
  check_names("text_encoder", text, kohya_up, kohya_down, [](const std::string& m) { return "text_encoders.clip_l.transformer." + m; });
  check_names("text_encoder", text, ".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight", [](const std::string& m) { return "text_encoder." + m; });
  check_names("text_encoder", text, "_lora.up.weight", "_lora.down.weight", [](std::string m) -> std::string {
    const size_t at = m.find("_proj");
    if (at == std::string::npos) return "";
    const size_t dot = m.rfind('.');
    return "text_encoder." + m.substr(0, dot) + ".to_" + m.substr(dot + 1, at - dot - 1);
  });

  check_names("text_encoder_2", text2, kohya_up, kohya_down, [](const std::string& m) { return "lora_te2_" + flat(m); });
  check_names("text_encoder_2", text2, kohya_up, kohya_down, [](const std::string& m) { return "lora_te2." + m; });
  check_names("text_encoder_2", text2, peft_up, peft_down, [](const std::string& m) { return "text_encoder_2." + m; });
  check_names("text_encoder_2", text2, peft_up, peft_down, [](const std::string& m) { return "text_encoder_2.base_model.model." + m; });
  check_names("text_encoder_2", text2, kohya_up, kohya_down, [](const std::string& m) { return "text_encoders.clip_g.transformer." + m; });
}

TEST("lora: a refiner's and a pruned model's blocks have SGM's numbers") {
  const weights::test::UnetShape shapes[] = {{.widths = {2, 3, 5, 7}, .depths = {0, 1, 2, 0}}, {.widths = {2, 3}, .depths = {1, 2}, .resnets = 1}};
  for (const auto& shape : shapes) {
    auto model = weights::test::unet_tensors(shape);
    const weights::Component unet = component_of("unet", model);
    const weights::Component* const list[] = {&unet};
    const Targets targets(list);
    std::vector<TestTensor> tensors;
    std::vector<std::string> wanted;
    for (const TestTensor& t : model) {
      if (!t.name.ends_with(".weight") || t.shape.size() < 2) continue;
      add_layer(tensors, "lora_unet_" + flat(without_leaf(weights::test::sgm_unet_name(t.name, shape))), t.shape);
      wanted.push_back("unet." + t.name);
    }
    std::sort(wanted.begin(), wanted.end());
    const LoraFile lora = read(tensors, {}, targets);
    CHECK(lora.unmatched.empty() && parameters(lora) == wanted);
  }
}

TEST("lora: q, k and v as one layer") {
  std::vector<TestTensor> tensors;
  const std::string block = "down_blocks.1.attentions.0.transformer_blocks.0.";
  add_layer(tensors, "lora_unet_" + flat(block) + "attn1_to_qkv", {192, 64});
  add_layer(tensors, "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_kv", {128, 192});
  add_layer(tensors, "lora_te2_transformer_resblocks_1_attn_in_proj", {384, 128});
  add_layer(tensors, "lora_te2_text_model_encoder_layers_2_self_attn_qkv_proj", {384, 128});
  add_layer(tensors, "conditioner.embedders.1.model.transformer.resblocks.3.attn.in_proj_weight", {384, 128});
  const LoraFile lora = read(tensors);
  std::vector<std::string> wanted;
  for (const char* part : {"1.to_k", "1.to_q", "1.to_v", "2.to_k", "2.to_v"}) wanted.push_back("unet." + block + "attn" + part + ".weight");
  for (const char* layer : {"1", "2", "3"})
    for (const char* part : {"k", "q", "v"})
      wanted.push_back("text_encoder_2.text_model.encoder.layers." + std::string(layer) + ".self_attn." + part + "_proj.weight");
  std::sort(wanted.begin(), wanted.end());
  CHECK(lora.unmatched.empty() && parameters(lora) == wanted);
  const std::map<std::string, int64_t> order = {{"attn1.to_q", 0}, {"attn1.to_k", 1},  {"attn1.to_v", 2},  {"attn2.to_k", 0},
                                                {"attn2.to_v", 1}, {"attn.q_proj", 0}, {"attn.k_proj", 1}, {"attn.v_proj", 2}};
  for (const LoraDelta& d : lora.deltas)
    for (const auto& [name, place] : order)
      if (without_leaf(d.parameter).ends_with(name)) CHECK(d.first_row == place * d.rows());
}

TEST("lora: the same layer twice") {
  std::vector<TestTensor> tensors;
  add_layer(tensors, "lora_unet_conv_out", {4, 32, 3, 3});
  const size_t one = tensors.size();
  for (size_t i = 0; i < one; ++i) {
    TestTensor copy = tensors[i];
    copy.name.replace(0, std::string("lora_unet_conv_out").size(), "lora_unet_out_2");
    tensors.push_back(std::move(copy));
  }
  CHECK(read(tensors).deltas.size() == 1 && read(tensors).unmatched.empty());
  tensors.back().bytes[0] ^= 1;
  const Error error = ERROR_OF(read(tensors));
  CHECK(error.code == Code::lora_format && error.message.find("are the same part of one layer and differ") != std::string::npos);
}

// The scale of the file's first delta.
double scale_of(const std::vector<TestTensor>& tensors, const std::map<std::string, std::string>& metadata = {}) {
  return read(tensors, metadata).deltas.at(0).scale;
}

TEST("lora: alpha, rank and metadata give the scale") {
  std::vector<TestTensor> tensors;
  add_layer(tensors, "lora_unet_conv_out", {4, 32, 3, 3});
  CHECK(scale_of(tensors) == 1);
  const auto with = [&](TestTensor t) {
    auto more = tensors;
    more.push_back(std::move(t));
    return more;
  };
  CHECK(scale_of(with(number("lora_unet_conv_out.alpha", 3))) == 1.5);
  CHECK(scale_of(with({"lora_unet_conv_out.alpha", {1}, std::string("\3\0\0\0\0\0\0\0", 8), "I64"})) == 1.5);
  CHECK(scale_of(with({"lora_unet_conv_out.alpha", {1, 1}, std::string("\0\x42", 2), "F16"})) == 1.5);
  CHECK(scale_of(with(number("lora_unet_conv_out.alpha", -1))) == -0.5);
  CHECK(scale_of(with(number("lora_unet_conv_out.alpha", 0))) == 0);
  CHECK(scale_of(with(number("lora_unet_conv_out.scale", 0.75f))) == 0.75);
  CHECK(ERROR_OF(scale_of(with({"lora_unet_conv_out.alpha", {2}, std::string(8, '\0'), "F32"}))).code == Code::lora_format);
  CHECK(ERROR_OF(scale_of(with({"lora_unet_conv_out.alpha", {}, std::string("\0\0\x80\x7f", 4), "F32"}))).code == Code::lora_format);

  std::vector<TestTensor> peft;
  add_layer(peft, "unet.conv_out", {4, 32, 3, 3}, ".lora_B.weight", ".lora_A.weight");
  const auto metadata = [](std::string json) {
    for (size_t i = 0; (i = json.find('\'', i)) != std::string::npos; i += 2) json.replace(i, 1, "\\\"");
    return std::map<std::string, std::string>{{"lora_adapter_metadata", json}};
  };
  CHECK(scale_of(peft, metadata("{'unet.lora_alpha': 8, 'unet.r': 4}")) == 4);
  CHECK(scale_of(peft, metadata("{'unet.lora_alpha': 8, 'unet.use_rslora': true}")) == 8 / std::sqrt(2.0));
  CHECK(scale_of(peft, metadata("{'unet.lora_alpha': 8, 'unet.alpha_pattern': {'conv_in': 1, 'conv_out': 3}}")) == 1.5);
  CHECK(scale_of(peft, metadata("{'unet.lora_alpha': 8, 'unet.alpha_pattern': {'^out': 1, 'v_out': 1}}")) == 4);
  CHECK(scale_of(peft, metadata("{'text_encoder.lora_alpha': 8, 'unet.lora_alpha': null}")) == 1);
  CHECK(scale_of(peft, metadata("{}")) == 1);
  for (const char* bad : {"{", "[]", "{'unet.lora_alpha': 'x'}", "{'unet.alpha_pattern': {'conv_.*': 3}}", "{'unet.alpha_pattern': {'conv_out': 'x'}}"})
    CHECK(ERROR_OF(scale_of(peft, metadata(bad))).code == Code::lora_format);

  // Without a factored side LoKr has no rank, and alpha no meaning, unless PEFT says both.
  const std::vector<TestTensor> lokr = {numbers("unet.conv_out.lokr_w1", {2, 2}), numbers("unet.conv_out.lokr_w2", {2, 16, 3, 3})};
  CHECK(scale_of(lokr) == 1 && scale_of(lokr, metadata("{'unet.alpha': 6, 'unet.r': 4}")) == 1.5);
  auto with_alpha = lokr;
  with_alpha.push_back(number("unet.conv_out.alpha", 1e9f));
  CHECK(scale_of(with_alpha) == 1);
}

void check_damaged(const std::vector<TestTensor>& tensors, const std::string& key, const std::string& text) {
  const Error error = ERROR_OF(read(tensors));
  const bool right = error.code == Code::lora_format && error.message.find("some.safetensors") != std::string::npos &&
                     error.message.find("\"" + key + "\"") != std::string::npos && error.message.find(text) != std::string::npos &&
                     detail(error, "key") == key && !detail(error, "wanted").empty() && !detail(error, "found").empty();
  sdxl::test::check(right, __FILE__, __LINE__, text + ", got " + error.message);
}

TEST("lora: keys and shapes that make no sense") {
  const std::string m = "lora_unet_conv_out";
  check_damaged({numbers(m + ".lora_down.weight", {2, 32, 3, 3})}, m + ".lora_down.weight", "without its up");
  check_damaged({numbers(m + ".lora_up.weight", {4, 2, 1, 1})}, m + ".lora_up.weight", "without its down");
  check_damaged({numbers(m + ".lora_mid.weight", {2, 2, 3, 3})}, m + ".lora_mid.weight", "without its up");
  check_damaged({numbers(m + ".lora_up.weight", {4, 3, 1, 1}), numbers(m + ".lora_down.weight", {2, 32, 3, 3})}, m + ".lora_up.weight", "wanted rank 2");
  check_damaged({numbers(m + ".lora_up.weight", {4, 2, 3, 3}), numbers(m + ".lora_down.weight", {2, 32, 1, 1})}, m + ".lora_up.weight", "wanted [out, rank]");
  check_damaged({numbers(m + ".lora_up.weight", {4}), numbers(m + ".lora_down.weight", {2, 32, 3, 3})}, m + ".lora_up.weight", "wanted [out, rank]");
  check_damaged({numbers(m + ".lora_up.weight", {}), numbers(m + ".lora_down.weight", {2, 32, 3, 3})}, m + ".lora_up.weight", "at least one dimension");
  check_damaged({numbers(m + ".lora_up.weight", {4, 0}), numbers(m + ".lora_down.weight", {0, 32, 3, 3})}, m + ".lora_up.weight", "none of them 0");
  check_damaged({numbers(m + ".lora_up.weight", {4, 2}), numbers(m + ".lora_down.weight", {2, 32, 9})}, m + ".lora_down.weight", "height, width");
  check_damaged({numbers(m + ".lora_up.weight", {4, 2}), numbers(m + ".lora_down.weight", {2, 32}), numbers(m + ".lora_mid.weight", {2, 3, 3, 3})},
                m + ".lora_mid.weight", "wanted [2, 2, height, width]");
  TestTensor whole_numbers = numbers(m + ".lora_up.weight", {4, 2});
  whole_numbers.dtype = "I32";
  check_damaged({whole_numbers, numbers(m + ".lora_down.weight", {2, 32, 3, 3})}, m + ".lora_up.weight", "has dtype I32");
  check_damaged({numbers(m + ".dora_scale", {4, 1, 1, 1})}, m + ".dora_scale", "belongs to nothing else");
  check_damaged({numbers(m + ".lora_up.weight", {4, 2}), numbers(m + ".lora_down.weight", {2, 32, 3, 3}), numbers(m + ".dora_scale", {5, 1, 1, 1})},
                m + ".dora_scale", "one number for each row or each input of [4, 32, 3, 3]");

  check_damaged({numbers(m + ".hada_w1_a", {4, 2}), numbers(m + ".hada_w1_b", {2, 288}), numbers(m + ".hada_w2_a", {4, 2})}, m + ".hada_w1_a",
                "without hada_w2_b");
  check_damaged({numbers(m + ".hada_w1_a", {4, 2}), numbers(m + ".hada_w1_b", {2, 288}), numbers(m + ".hada_w2_a", {4, 3}), numbers(m + ".hada_w2_b", {3, 32})},
                m + ".hada_w2_b", "the factors of [4, 288]");
  check_damaged({numbers(m + ".lokr_w1", {2, 2})}, m + ".lokr_w1", "without lokr_w2");
  check_damaged({numbers(m + ".lokr_w2_a", {2, 2}), numbers(m + ".lokr_w1", {2, 2})}, m + ".lokr_w2_a", "without lokr_w2_b");
  check_damaged({numbers(m + ".lokr_w1", {2, 2, 3, 3}), numbers(m + ".lokr_w2", {2, 16})}, m + ".lokr_w1", "wanted a matrix");
  check_damaged({numbers(m + ".a1.weight", {32, 2}), numbers(m + ".a2.weight", {2, 32}), numbers(m + ".b1.weight", {4, 2})}, m + ".a1.weight", "without b2");
  check_damaged(
      {numbers(m + ".a1.weight", {8, 2}), numbers(m + ".a2.weight", {2, 8}), numbers(m + ".b1.weight", {4, 2}), numbers(m + ".b2.weight", {2, 32, 3, 3})},
      m + ".a1.weight", "wanted [32, rank]");
  check_damaged({numbers(m + ".oft_blocks", {2, 2, 3})}, m + ".oft_blocks", "wanted [blocks, size, size]");
  check_damaged({numbers(m + ".oft_blocks", {3, 2, 2, 2})}, m + ".oft_blocks", "an even size");
  check_damaged({numbers(m + ".oft_blocks", {2, 2, 2}), numbers(m + ".rescale", {5, 1, 1, 1})}, m + ".rescale", "wanted [4]");
  check_damaged({number(m + ".on_input", 1)}, m + ".on_input", "without its weight");
  check_damaged({number(m + ".on_input", 1), numbers(m + ".weight", {2, 16})}, m + ".weight", "wanted [n]");
  const std::string fused = "lora_te1_transformer_resblocks_0_attn_in_proj";
  check_damaged({numbers(fused + ".oft_blocks", {48, 4, 4})}, fused + ".oft_blocks", "q, k and v apart");
  check_damaged({numbers(fused + ".lora_up.weight", {192, 2}), numbers(fused + ".lora_down.weight", {2, 64}), numbers(fused + ".dora_scale", {1, 64})},
                fused + ".dora_scale", "q, k and v apart");

  const Error empty = ERROR_OF(read({}));
  CHECK(empty.code == Code::lora_format && empty.message.find("holds no tensors") != std::string::npos);
  const TempFolder folder;
  CHECK(ERROR_OF(read_lora(folder.write("a.safetensors", "12345678{"), tiny())).code == Code::lora_format);
  CHECK(ERROR_OF(read_lora(folder.write("a.pt", "anything"), tiny())).code == Code::lora_format);
  CHECK(ERROR_OF(read_lora(folder / "absent.safetensors", tiny())).code == Code::model_not_found);
}

TEST("lora: families that are not supported say so") {
  for (const char* key : {"lora_unet_conv_out.oft_diag", "base_model.model.conv_out.oft_R.weight", "unet.conv_out.ia3_l", "unet.conv_out.boft_R"}) {
    const Error error = ERROR_OF(read({numbers(key, {2, 2, 2})}));
    CHECK(error.code == Code::lora_format && error.message.find("not supported") != std::string::npos && !detail(error, "family").empty());
  }
}

TEST("lora: what changes nothing is listed") {
  std::vector<TestTensor> tensors;
  add_layer(tensors, "lora_unet_conv_out", {4, 32, 3, 3});
  add_layer(tensors, "lora_unet_input_blocks_7_1_transformer_blocks_9_attn1_to_q", {192, 192});  // deeper than this model
  const std::string query = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q";
  tensors.push_back(numbers(query + ".diff_b", {64}));  // has no bias
  tensors.push_back(number(query + ".alpha", 2));
  tensors.push_back(numbers("unet.conv_in.weight", {32, 4, 3, 3}));
  tensors.push_back(numbers("lora_unet_conv_out.something", {1}));
  tensors.push_back(numbers("bundle_emb.word.clip_g", {1, 128}));
  const LoraFile lora = read(tensors, {{"ss_output_name", "style"}});
  CHECK(parameters(lora) == std::vector<std::string>{"unet.conv_out.weight"});
  CHECK((lora.unmatched == std::vector<std::string>{"bundle_emb.word.clip_g", "lora_unet_conv_out.something",
                                                    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.alpha",
                                                    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.diff_b",
                                                    "lora_unet_input_blocks_7_1_transformer_blocks_9_attn1_to_q.lora_down.weight",
                                                    "lora_unet_input_blocks_7_1_transformer_blocks_9_attn1_to_q.lora_up.weight", "unet.conv_in.weight"}));
  CHECK(lora.metadata.at("ss_output_name") == "style" && lora.path.ends_with("some.safetensors"));
}

}  // namespace
}  // namespace sdxl::lora
