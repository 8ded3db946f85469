#include "convert/diffusers_configs.h"

#include <algorithm>

#include "core/json_writer.h"

namespace sdxl::convert {

namespace {

using json::Array;
using json::Object;
using json::Value;
using weights::Component;
using weights::WeightReader;

constexpr int64_t kHeadWidth = 64, kSizeWidth = 256;
constexpr double kLatentScale = 0.13025;
// Any that knows SDXL: readers take the field to tell older models from newer ones.
constexpr const char* kDiffusersVersion = "0.27.0";

std::string numbered(const std::string& name, int64_t i) { return name + std::to_string(i); }

Value list_of(const std::vector<int64_t>& numbers) {
  Array items;
  for (const int64_t n : numbers) items.emplace_back(n);
  return Value(std::move(items));
}
Value repeated(const std::string& text, size_t count) { return Value(Array(count, Value(text))); }

// Widths and depths of one way through the UNet.
struct Way {
  std::vector<int64_t> widths, resnets;
  std::vector<std::vector<int64_t>> depths;  // transformer blocks behind each ResNet of a level; all 0: no attention there
  bool attends(size_t level) const { return depths[level][0] > 0; }
};

Way way_of(const Component& unet, const std::string& side) {
  WeightReader reader(unet);
  Way way;
  for (int i = 0; i < reader.count(side); ++i) {
    const std::string level = numbered(side, i);
    way.widths.push_back(reader.dim(level + ".resnets.0.conv1.weight", 0));
    way.resnets.push_back(reader.count(level + ".resnets."));
    auto& depths = way.depths.emplace_back();
    for (int j = 0; j < way.resnets.back(); ++j) depths.push_back(reader.count(numbered(level + ".attentions.", j) + ".transformer_blocks."));
  }
  return way;
}

bool uniform(const std::vector<int64_t>& numbers) { return std::equal(numbers.begin() + 1, numbers.end(), numbers.begin()); }

class Configs {
 public:
  Configs(const weights::Checkpoint& checkpoint, const engine::Parts& parts) : checkpoint_(checkpoint), parts_(parts) {}

  std::map<std::string, Value> all() const {
    std::map<std::string, Value> files = {
        {"model_index.json", model_index()}, {"scheduler/scheduler_config.json", scheduler()},
        {"unet/config.json", unet()},        {"text_encoder_2/config.json", text_encoder(checkpoint_.text_encoder_2, true)},
        {"vae/config.json", vae()},
    };
    if (parts_.text_encoder) files.emplace("text_encoder/config.json", text_encoder(checkpoint_.text_encoder, false));
    return files;
  }

 private:
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(Code::model_unsupported, checkpoint_.path + ": Diffusers has no configuration for " + what, {{"path", checkpoint_.path}, {"found", what}});
  }
  bool marked(const char* name) const { return std::find(checkpoint_.markers.begin(), checkpoint_.markers.end(), name) != checkpoint_.markers.end(); }

  Value model_index() const {
    const bool refiner = !parts_.text_encoder;
    const int64_t beside = parts_.unet->in_channels() - parts_.unet->out_channels();
    const char* pipeline = refiner       ? "StableDiffusionXLImg2ImgPipeline"
                           : beside == 5 ? "StableDiffusionXLInpaintPipeline"
                           : beside == 4 ? "StableDiffusionXLInstructPix2PixPipeline"
                                         : "StableDiffusionXLPipeline";
    const Value none(Array{Value(), Value()}), clip_tokenizer = json::array_of({"transformers", "CLIPTokenizer"});
    Object index = {
        {"_class_name", Value(pipeline)},
        {"_diffusers_version", Value(kDiffusersVersion)},
        {"force_zeros_for_empty_prompt", Value(!refiner)},
    };
    if (refiner || beside == 5) index.push_back({"requires_aesthetics_score", Value(refiner)});
    index.push_back({"scheduler", json::array_of({"diffusers", "EulerDiscreteScheduler"})});
    index.push_back({"text_encoder", refiner ? none : json::array_of({"transformers", "CLIPTextModel"})});
    index.push_back({"text_encoder_2", json::array_of({"transformers", "CLIPTextModelWithProjection"})});
    index.push_back({"tokenizer", refiner ? none : clip_tokenizer});
    index.push_back({"tokenizer_2", clip_tokenizer});
    index.push_back({"unet", json::array_of({"diffusers", "UNet2DConditionModel"})});
    index.push_back({"vae", json::array_of({"diffusers", "AutoencoderKL"})});
    return Value(std::move(index));
  }

  Value scheduler() const {
    const bool zero_terminal = marked("ztsnr");
    return Value(Object{
        {"_class_name", Value("EulerDiscreteScheduler")},
        {"_diffusers_version", Value(kDiffusersVersion)},
        {"beta_end", Value(0.012)},
        {"beta_schedule", Value("scaled_linear")},
        {"beta_start", Value(0.00085)},
        {"clip_sample", Value(false)},
        {"interpolation_type", Value("linear")},
        {"num_train_timesteps", Value(1000)},
        {"prediction_type", Value(checkpoint_.prediction == "v" ? "v_prediction" : "epsilon")},
        {"rescale_betas_zero_snr", Value(zero_terminal)},
        {"sample_max_value", Value(1.0)},
        {"set_alpha_to_one", Value(false)},
        {"skip_prk_steps", Value(true)},
        {"steps_offset", Value(1)},
        // Only spacing from the end begins where the signal is zero. Lin et al. 2023.
        {"timestep_spacing", Value(zero_terminal ? "trailing" : "leading")},
        {"trained_betas", Value()},
        {"use_karras_sigmas", Value(false)},
    });
  }

  Value unet() const {
    const Component& component = checkpoint_.unet;
    WeightReader reader(component);
    const Way down = way_of(component, "down_blocks."), up = way_of(component, "up_blocks.");
    const size_t levels = down.widths.size();
    if (up.widths.size() != levels) unsupported("a UNet with " + std::to_string(levels) + " levels down and " + std::to_string(up.widths.size()) + " up");
    for (size_t i = 0; i < levels; ++i)
      if (up.resnets[i] != down.resnets[levels - 1 - i] + 1 || up.widths[i] != down.widths[levels - 1 - i])
        unsupported("a UNet whose way up is no mirror of its way down");

    const bool middle = reader.has_any("mid_block.attentions.");
    if (middle != reader.has_any("mid_block.resnets.1.")) unsupported("a middle block of two ResNets without attention between them");
    const int64_t middle_depth = middle ? reader.count("mid_block.attentions.0.transformer_blocks.") : 0;

    Array down_types, up_types, depths, heads;
    bool mirrored = true;
    for (size_t i = 0; i < levels; ++i) {
      const auto& here = down.depths[i];
      const auto& above = up.depths[levels - 1 - i];
      down_types.emplace_back(down.attends(i) ? "CrossAttnDownBlock2D" : "DownBlock2D");
      up_types.emplace_back(up.attends(i) ? "CrossAttnUpBlock2D" : "UpBlock2D");
      heads.emplace_back(std::max<int64_t>(1, down.widths[i] / kHeadWidth));
      mirrored = mirrored && uniform(here) && uniform(above) && here[0] == above[0];
      // Of a level without attention the entry is not read.
      depths.push_back(!down.attends(i) ? Value(1) : uniform(here) ? Value(here[0]) : list_of(here));
    }
    // The middle block takes its depth from the last level's entry.
    if (middle && !down.attends(levels - 1)) depths.back() = Value(middle_depth);
    else if (middle && middle_depth != down.depths[levels - 1][0])
      unsupported("a middle block " + std::to_string(middle_depth) + " transformers deep beside a last level of " + std::to_string(down.depths[levels - 1][0]));

    Object config = {
        {"_class_name", Value("UNet2DConditionModel")},
        {"_diffusers_version", Value(kDiffusersVersion)},
        {"act_fn", Value("silu")},
        {"addition_embed_type", Value("text_time")},
        {"addition_time_embed_dim", Value(kSizeWidth)},
        {"attention_head_dim", Value(std::move(heads))},  // the number of heads, despite its name
        {"block_out_channels", list_of(down.widths)},
        {"center_input_sample", Value(false)},
        {"cross_attention_dim", Value(parts_.unet->context_width())},
        {"down_block_types", Value(std::move(down_types))},
        {"downsample_padding", Value(1)},
        {"flip_sin_to_cos", Value(true)},
        {"freq_shift", Value(0)},
        {"in_channels", Value(parts_.unet->in_channels())},
        {"layers_per_block", uniform(down.resnets) ? Value(down.resnets[0]) : list_of(down.resnets)},
        {"mid_block_type", Value(middle ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D")},
        {"norm_eps", Value(1e-05)},
        {"norm_num_groups", Value(32)},
        {"out_channels", Value(parts_.unet->out_channels())},
        {"projection_class_embeddings_input_dim", Value(reader.dim("add_embedding.linear_1.weight", 1))},
        {"resnet_time_scale_shift", Value("default")},
        {"sample_size", Value(128)},
        {"transformer_layers_per_block", Value(std::move(depths))},
        {"up_block_types", Value(std::move(up_types))},
        {"use_linear_projection", Value(true)},
    };
    if (!mirrored) {
      Array reverse;
      for (size_t i = 0; i < levels; ++i) reverse.push_back(up.attends(i) ? list_of(up.depths[i]) : Value(1));
      config.push_back({"reverse_transformer_layers_per_block", Value(std::move(reverse))});
    }
    return Value(std::move(config));
  }

  Value text_encoder(const Component& component, bool second) const {
    WeightReader reader(component);
    const std::string embeddings = "text_model.embeddings.", layers = "text_model.encoder.layers.";
    const int64_t width = reader.dim(embeddings + "token_embedding.weight", 1);
    const std::string& said = second ? checkpoint_.activation_2 : checkpoint_.activation;
    return Value(Object{
        {"architectures", json::array_of({second ? "CLIPTextModelWithProjection" : "CLIPTextModel"})},
        {"attention_dropout", Value(0.0)},
        {"bos_token_id", Value(49406)},
        {"dropout", Value(0.0)},
        {"eos_token_id", Value(49407)},
        {"hidden_act", Value(!said.empty() ? said
                             : second      ? "gelu"
                                           : "quick_gelu")},
        {"hidden_size", Value(width)},
        {"initializer_factor", Value(1.0)},
        {"initializer_range", Value(0.02)},
        {"intermediate_size", Value(reader.dim(layers + "0.mlp.fc1.weight", 0))},
        {"layer_norm_eps", Value(1e-05)},
        {"max_position_embeddings", Value(reader.dim(embeddings + "position_embedding.weight", 0))},
        {"model_type", Value("clip_text_model")},
        {"num_attention_heads", Value(width / kHeadWidth)},
        {"num_hidden_layers", Value(reader.count(layers))},
        {"pad_token_id", Value(second ? 0 : 49407)},
        {"projection_dim", Value(second ? parts_.text_encoder_2->projection() : width)},
        {"vocab_size", Value(reader.dim(embeddings + "token_embedding.weight", 0))},
    });
  }

  Value vae() const {
    WeightReader reader(checkpoint_.vae);
    std::vector<int64_t> widths, resnets;
    const int levels = reader.count("encoder.down_blocks.");
    for (int i = 0; i < levels; ++i) {
      widths.push_back(reader.dim(numbered("encoder.down_blocks.", i) + ".resnets.0.conv1.weight", 0));
      resnets.push_back(reader.count(numbered("encoder.down_blocks.", i) + ".resnets."));
    }
    bool mirrored = reader.count("decoder.up_blocks.") == levels && uniform(resnets);
    for (int i = 0; mirrored && i < levels; ++i) {
      const std::string level = numbered("decoder.up_blocks.", i);
      mirrored = reader.count(level + ".resnets.") == resnets[0] + 1 && reader.dim(level + ".resnets.0.conv1.weight", 0) == widths[size_t(levels - 1 - i)];
    }
    if (!mirrored) unsupported("a VAE whose decoder is no mirror of its encoder");
    return Value(Object{
        {"_class_name", Value("AutoencoderKL")},
        {"_diffusers_version", Value(kDiffusersVersion)},
        {"act_fn", Value("silu")},
        {"block_out_channels", list_of(widths)},
        {"down_block_types", repeated("DownEncoderBlock2D", widths.size())},
        {"force_upcast", Value(true)},
        {"in_channels", Value(3)},
        {"latent_channels", Value(parts_.vae->latent_channels())},
        {"layers_per_block", Value(resnets[0])},
        {"norm_num_groups", Value(32)},
        {"out_channels", Value(3)},
        {"sample_size", Value(1024)},
        {"scaling_factor", Value(checkpoint_.latent_scale > 0 ? checkpoint_.latent_scale : kLatentScale)},
        {"up_block_types", repeated("UpDecoderBlock2D", widths.size())},
    });
  }

  const weights::Checkpoint& checkpoint_;
  const engine::Parts& parts_;
};

}  // namespace

std::map<std::string, Value> diffusers_configs(const weights::Checkpoint& checkpoint, const engine::Parts& parts) { return Configs(checkpoint, parts).all(); }

}  // namespace sdxl::convert
