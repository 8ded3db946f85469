// Files that are not for this model, or for none.
#include <algorithm>
#include <random>

#include "weights/lora/apply.h"
#include "weights/lora/test_lora.h"

namespace sdxl::lora {
namespace {

using namespace test;

void check_foreign(const std::vector<TestTensor>& tensors, const std::string& family, const std::string& key, const std::string& found,
                   const std::map<std::string, std::string>& metadata = {}) {
  const Error error = ERROR_OF(read(tensors, metadata));
  const bool right = error.code == Code::lora_mismatch && error.message.find("some.safetensors was made for " + family) != std::string::npos &&
                     error.message.find("\"" + key) != std::string::npos && detail(error, "family") == family &&
                     detail(error, "found").find(found) != std::string::npos && detail(error, "wanted").find("[") != std::string::npos;
  sdxl::test::check(right, __FILE__, __LINE__, family + ", got " + error.message + " | " + detail(error, "wanted") + " | " + detail(error, "found"));
}

TEST("lora: files of other architectures are told apart") {
  struct Foreign {
    std::string module, family;
    Shape shape;
  };
  const Foreign files[] = {
      {"lora_unet_double_blocks_0_img_attn_qkv", "Flux (or HunyuanVideo, Chroma)", {96, 32}},
      {"lora_unet_single_blocks_3_linear1", "Flux (or HunyuanVideo, Chroma)", {96, 32}},
      {"transformer.single_transformer_blocks.0.attn.to_q", "Flux", {32, 32}},
      {"transformer.transformer_blocks.0.attn.add_q_proj", "Stable Diffusion 3 or Flux", {32, 32}},
      {"lora_unet_joint_blocks_0_x_block_attn_qkv", "Stable Diffusion 3", {96, 32}},
      {"transformer_blocks.0.img_mod.1", "Qwen-Image", {96, 32}},
      {"diffusion_model.blocks.0.cross_attn.k", "Wan (or another video model)", {32, 32}},
      {"diffusion_model.layers.0.attention.to_q", "Lumina or Z-Image", {32, 32}},
      {"transformer.transformer_blocks.0.attn1.to_q", "a diffusion transformer (PixArt, LTX-Video or the like)", {32, 32}},
      {"lora_prior_unet_down_blocks_0_1_attention", "Stable Cascade", {32, 32}},
      {"model.layers.0.self_attn.q_proj", "a language model", {32, 32}},
      {"down_blocks.0.motion_modules.0.temporal_transformer.proj_in", "AnimateDiff (motion modules)", {32, 32}},
      {"lora_unet_down_blocks_0_attentions_0_proj_in", "Stable Diffusion 1.x or 2.x", {320, 320, 1, 1}},
      {"lora_unet_output_blocks_11_1_proj_in", "Stable Diffusion 1.x or 2.x", {320, 320, 1, 1}},
  };
  for (const Foreign& f : files) {
    // Text encoders that would fit do not make them any better.
    std::vector<TestTensor> tensors;
    add_layer(tensors, "lora_te1_text_model_encoder_layers_0_self_attn_q_proj", {64, 64});
    add_layer(tensors, f.module, f.shape);
    check_foreign(tensors, f.family, f.module, "has shape");
  }

  const std::string attention = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_";
  const std::pair<int64_t, const char*> widths[] = {
      {768, "Stable Diffusion 1.x"}, {1024, "Stable Diffusion 2.x"}, {1280, "the SDXL refiner"}, {2048, "SDXL base"}};
  for (const auto& [width, family] : widths) {
    std::vector<TestTensor> tensors;
    add_layer(tensors, attention + "attn1_to_q", {640, 640});
    add_layer(tensors, attention + "attn2_to_k", {640, width});
    check_foreign(tensors, family, attention + "attn1_to_q", "[640, 640]");
    const Error error = ERROR_OF(read(tensors));
    CHECK(detail(error, "wanted") == "unet down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight has shape [64, 64]");
  }
  std::vector<TestTensor> odd;
  add_layer(odd, attention + "attn2_to_k", {64, 100});
  check_foreign(odd, "a UNet that reads text of width 100", attention + "attn2_to_k.lora_down.weight", "[64, 100]");
  add_layer(odd = {}, attention + "attn1_to_q", {64, 65});
  check_foreign(odd, "another architecture", attention + "attn1_to_q", "[64, 65]");
  check_foreign(odd, "\"sd_v9\"", attention + "attn1_to_q", "[64, 65]", {{"ss_base_model_version", "sd_v9"}});

  // Where no name is known.
  check_foreign({numbers("model.diffusion_model.input_blocks.0.0.weight", {32, 4, 3, 3})}, "a whole model, no LoRA", "model.diffusion_model", "[32, 4, 3, 3]");
  check_foreign({numbers("model.diffusion_model.input_blocks.0.0.weight", {32, 4, 3, 3})}, "a whole model, no LoRA", "model.diffusion_model", "[32, 4, 3, 3]",
                {{"modelspec.architecture", "stable-diffusion-xl-v1-base"}});
  check_foreign({numbers("emb_params", {3, 64})}, "another purpose, no LoRA", "emb_params", "[3, 64]");
  check_foreign({numbers("lora_unet_who_knows.lora_up.weight", {3, 64})}, "another architecture", "lora_unet_who_knows", "[3, 64]");
}

TEST("lora: mutated files are read or refused, and what is read can be applied") {
  // A layer of every family, then names, shapes and presence changed at random.
  const std::string a = "lora_unet_out_2", b = "lora_unet_input_blocks_1_0_emb_layers_1", q = "lora_te1_transformer_resblocks_0_attn_in_proj";
  const std::vector<TestTensor> good = {numbers(a + ".lora_up.weight", {4, 2, 1, 1}),
                                        numbers(a + ".lora_down.weight", {2, 32, 1, 1}),
                                        numbers(a + ".lora_mid.weight", {2, 2, 3, 3}),
                                        number(a + ".alpha", 1),
                                        numbers(a + ".dora_scale", {4, 1, 1, 1}),
                                        numbers(a + ".diff_b", {4}),
                                        numbers(b + ".hada_w1_a", {32, 2}),
                                        numbers(b + ".hada_w1_b", {2, 128}),
                                        numbers(b + ".hada_w2_a", {32, 2}),
                                        numbers(b + ".hada_w2_b", {2, 128}),
                                        numbers(b + ".oft_blocks", {2, 8, 4, 4}),
                                        numbers(b + ".rescale", {32, 1}),
                                        numbers(b + ".a1.weight", {128, 2}),
                                        numbers(b + ".a2.weight", {2, 128}),
                                        numbers(b + ".b1.weight", {32, 2}),
                                        numbers(b + ".b2.weight", {2, 128}),
                                        number(b + ".on_input", 1),
                                        numbers(b + ".weight", {128}),
                                        numbers(q + ".lokr_w1", {8, 8}),
                                        numbers(q + ".lokr_w2_a", {24, 2}),
                                        numbers(q + ".lokr_w2_b", {2, 8}),
                                        numbers("unet.conv_in.lora_A.weight", {2, 4, 3, 3}),
                                        numbers("unet.conv_in.lora_B.weight", {32, 2}),
                                        numbers("unet.conv_in.lora_B.bias", {32}),
                                        numbers("lora_unet_out_0.w_norm", {32}),
                                        numbers("lora_unet_out_0.b_norm", {32})};
  CHECK(read(good).deltas.size() == 13 && read(good).unmatched.empty());
  const std::vector<int64_t> sizes = {0, 1, 2, 3, 4, 8, 32, 64, 128};
  std::mt19937 random(11);
  const auto below = [&](size_t n) { return size_t(random() % n); };
  int applied = 0, refused = 0;
  const TempFolder folder;
  for (int round = 0; round < 4000; ++round) {
    std::vector<TestTensor> tensors = good;
    for (size_t edits = 1 + below(3); edits > 0; --edits) {
      TestTensor& t = tensors[below(tensors.size())];
      switch (below(5)) {
        case 0:
          if (!t.shape.empty()) t.shape[below(t.shape.size())] = sizes[below(sizes.size())];
          break;
        case 1: t.shape.push_back(sizes[1 + below(3)]); break;
        case 2:
          if (!t.shape.empty()) t.shape.pop_back();
          break;
        case 3: t.name = tensors[below(tensors.size())].name + (below(4) ? "" : "x"); break;
        default: tensors.erase(tensors.begin() + long(below(tensors.size())));
      }
    }
    for (TestTensor& t : tensors) t = numbers(t.name, t.shape);
    std::stable_sort(tensors.begin(), tensors.end(), [](const auto& x, const auto& y) { return x.name < y.name; });
    tensors.erase(std::unique(tensors.begin(), tensors.end(), [](const auto& x, const auto& y) { return x.name == y.name; }), tensors.end());
    try {
      const LoraFile lora = read_lora(folder.write("some.safetensors", weights::test::safetensors_bytes(tensors)), tiny());
      for (const LoraDelta& d : lora.deltas) {
        const std::vector<float> base(size_t(d.rows() * d.row_stride()), 0.5f);
        std::vector<float> weight = base;
        add_delta(d, 0.5f, base.data(), weight.data());
        low_rank(d);
      }
      ++applied;
    } catch (const Error& error) {
      const bool typed = error.code == Code::lora_format || error.code == Code::lora_mismatch;
      if (!typed || error.message.find("some.safetensors") == std::string::npos) sdxl::test::check(false, __FILE__, __LINE__, error.message);
      ++refused;
    }
  }
  CHECK(applied > 300 && refused > 1000);
}

}  // namespace
}  // namespace sdxl::lora
