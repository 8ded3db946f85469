#include "weights/taesd_names.h"

#include <algorithm>

#include "weights/name_parts.h"

namespace sdxl::weights {

namespace {

bool has(std::span<const std::string_view> names, std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); }

// The first convolution and the first block of a half in a file of its own.
bool is_bare_decoder(std::span<const std::string_view> names) { return has(names, "1.weight") && has(names, "3.conv.0.weight"); }
bool is_bare_encoder(std::span<const std::string_view> names) { return has(names, "0.weight") && has(names, "1.conv.0.weight"); }

// "decoder.3.…" of the original's state; a VAE has a word there.
bool is_numbered_half(std::string_view name) { return (consume(name, "decoder.") || consume(name, "encoder.")) && consume_index(name) >= 0; }

}  // namespace

TaesdNames::TaesdNames(std::span<const std::string_view> names) : bare_decoder_(is_bare_decoder(names)) {}

bool TaesdNames::fit(std::span<const std::string_view> names) {
  const auto known = [](std::string_view name) {
    return name.starts_with("taesd_decoder.") || name.starts_with("taesd_encoder.") || name.starts_with("decoder.layers.") ||
           name.starts_with("encoder.layers.") || is_numbered_half(name);
  };
  return is_bare_decoder(names) || is_bare_encoder(names) || std::any_of(names.begin(), names.end(), known);
}

std::optional<std::string> TaesdNames::operator()(std::string_view name) const {
  if (name == "vae_scale" || name == "vae_shift") return std::nullopt;
  std::string_view rest = name;
  consume(rest, "taesd_");
  bool decoder = consume(rest, "decoder.");
  const bool encoder = !decoder && consume(rest, "encoder.");
  if ((decoder || encoder) && rest.starts_with("layers.")) return std::string(name);
  if (!decoder && !encoder) decoder = bare_decoder_;
  const int index = consume_index(rest);
  if (index < 0 || (decoder && index == 0)) return std::string(name);
  return (decoder ? "decoder.layers." + std::to_string(index - 1) : "encoder.layers." + std::to_string(index)) + "." + std::string(rest);
}

}  // namespace sdxl::weights
