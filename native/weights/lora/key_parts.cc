#include "weights/lora/key_parts.h"

namespace sdxl::lora {

namespace {

struct Suffix {
  std::string_view text;
  Part part;
  std::string_view family = {};
};

// None is the end of another, so their order does not matter.
constexpr Suffix kSuffixes[] = {
    {".lora_up.weight", Part::up},
    {".lora_down.weight", Part::down},
    {".lora_mid.weight", Part::mid},
    {".lora_B.weight", Part::up},
    {".lora_A.weight", Part::down},
    {".lora_B.bias", Part::up_bias},
    {".lora.up.weight", Part::up},
    {".lora.down.weight", Part::down},
    {".lora_linear_layer.up.weight", Part::up},
    {".lora_linear_layer.down.weight", Part::down},
    {"_lora.up.weight", Part::up},
    {"_lora.down.weight", Part::down},
    {".alpha", Part::alpha},
    {".scale", Part::scale},
    {".dora_scale", Part::dora_scale},
    {".lora_magnitude_vector", Part::magnitude},
    {".lora_magnitude_vector.weight", Part::magnitude},
    {".hada_w1_a", Part::hada_w1_a},
    {".hada_w1_b", Part::hada_w1_b},
    {".hada_w2_a", Part::hada_w2_a},
    {".hada_w2_b", Part::hada_w2_b},
    {".hada_t1", Part::hada_t1},
    {".hada_t2", Part::hada_t2},
    {".lokr_w1", Part::lokr_w1},
    {".lokr_w1_a", Part::lokr_w1_a},
    {".lokr_w1_b", Part::lokr_w1_b},
    {".lokr_w2", Part::lokr_w2},
    {".lokr_w2_a", Part::lokr_w2_a},
    {".lokr_w2_b", Part::lokr_w2_b},
    {".lokr_t2", Part::lokr_t2},
    {".diff", Part::diff},
    {".diff_b", Part::diff_b},
    {".w_norm", Part::w_norm},
    {".b_norm", Part::b_norm},
    {".on_input", Part::on_input},
    {".a1.weight", Part::a1},
    {".a2.weight", Part::a2},
    {".b1.weight", Part::b1},
    {".b2.weight", Part::b2},
    {".oft_blocks", Part::oft_blocks},
    {".rescale", Part::rescale},
    // Versions of PEFT and LyCORIS mean different things by these, and the files do not say which.
    {".oft_diag", Part::unsupported, "OFT as the first LyCORIS versions wrote it (oft_diag)"},
    {".oft_r", Part::unsupported, "OFT as PEFT writes it (oft_r)"},
    {".oft_R.weight", Part::unsupported, "OFT as PEFT writes it (oft_R)"},
    {".boft_R", Part::unsupported, "BOFT as PEFT writes it (boft_R)"},
    {".boft_s", Part::unsupported, "BOFT as PEFT writes it (boft_s)"},
    {".bm.weight", Part::unsupported, "GLoRA in Tucker form (bm)"},
    {".ia3_l", Part::unsupported, "(IA)³ as PEFT writes it (ia3_l)"},
    {".lora_embedding_A", Part::unsupported, "LoRA of an embedding (lora_embedding_A)"},
    {".lora_embedding_B", Part::unsupported, "LoRA of an embedding (lora_embedding_B)"},
    {".vera_lambda_b", Part::unsupported, "VeRA (vera_lambda_b)"},
    {".vera_lambda_d", Part::unsupported, "VeRA (vera_lambda_d)"},
    {".hra_u", Part::unsupported, "HRA (hra_u)"},
    {".set_weight", Part::unsupported, "a replaced weight (set_weight)"},
    {".reshape_weight", Part::unsupported, "a weight of another shape (reshape_weight)"},
    {".bias_values", Part::unsupported, "LoCon with a sparse remainder (bias_values)"},
};

// PEFT puts the adapter's name behind the part: ".lora_A.default.weight".
constexpr Suffix kAdapterParts[] = {
    {".lora_A.", Part::down},
    {".lora_B.", Part::up},
    {".lora_magnitude_vector.", Part::magnitude},
};

}  // namespace

KeyParts key_parts(std::string_view key) {
  for (const Suffix& s : kSuffixes)
    if (key.size() > s.text.size() && key.ends_with(s.text)) return {key.substr(0, key.size() - s.text.size()), s.part, s.family};

  for (const Suffix& s : kAdapterParts) {
    const size_t at = key.rfind(s.text);
    if (at == std::string_view::npos || at == 0) continue;
    std::string_view adapter = key.substr(at + s.text.size());
    Part part = s.part;
    if (adapter.ends_with(".weight")) adapter.remove_suffix(7);
    else if (part == Part::up && adapter.ends_with(".bias")) adapter.remove_suffix(5), part = Part::up_bias;
    else if (part != Part::magnitude) continue;
    if (!adapter.empty() && adapter.find('.') == std::string_view::npos) return {key.substr(0, at), part, {}};
  }
  // (IA)³, or a tensor of a whole model.
  if (key.size() > 7 && key.ends_with(".weight")) return {key.substr(0, key.size() - 7), Part::weight, {}};
  return {key};
}

}  // namespace sdxl::lora
