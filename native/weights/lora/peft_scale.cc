#include "weights/lora/peft_scale.h"

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/mapped_file.h"

namespace sdxl::lora {

namespace {

json::Value parsed(std::string_view text, const std::string& where) {
  json::Value value;
  try {
    value = json::parse(text);
  } catch (const Error& error) {
    throw Error(Code::lora_format, where + ": " + error.message, {{"path", where}});
  }
  if (!value.object()) throw Error(Code::lora_format, where + ": is no JSON object", {{"path", where}});
  return value;
}

}  // namespace

std::string peft_config_beside(const std::string& path) {
  const std::filesystem::path file = system_path(path);
  std::error_code error;
  const std::filesystem::path config = file.parent_path() / "adapter_config.json";
  return utf8_path(file.filename()) == "adapter_model.safetensors" && std::filesystem::exists(config, error) ? utf8_path(config) : "";
}

PeftScale::PeftScale(const std::string& path, const std::map<std::string, std::string>& metadata) : where_(path) {
  if (const auto entry = metadata.find("lora_adapter_metadata"); entry != metadata.end()) {
    where_ += ": lora_adapter_metadata";
    config_ = parsed(entry->second, where_);
    by_component_ = true;
    return;
  }
  const std::string config = peft_config_beside(path);
  if (config.empty()) return;
  where_ = config;
  config_ = parsed(MappedFile(where_).text(), where_);
}

std::optional<double> PeftScale::number(const std::string& prefix, const char* name) const {
  const json::Value* value = config_.find(prefix + name);
  if (!value || value->is_null()) return {};
  const auto found = value->number();
  if (!found || !std::isfinite(*found))
    throw Error(Code::lora_format, where_ + ": " + prefix + name + " is no number", {{"path", where_}, {"field", prefix + name}});
  return found;
}

// PEFT's patterns are regular expressions for the end of a name, from a dot on. Names are all that anyone writes there; a true expression
// is refused rather than misread.
std::optional<double> PeftScale::pattern(const std::string& prefix, const char* name, const std::string& module) const {
  const json::Value* patterns = config_.find(prefix + name);
  if (!patterns || !patterns->object()) return {};
  for (const auto& [text, value] : *patterns->object()) {
    std::string_view end = text;
    const bool whole = end.starts_with('^');
    if (whole) end.remove_prefix(1);
    if (end.find_first_of("^$*+?()[]{}|\\") != std::string_view::npos)
      throw Error(Code::lora_format,
                  where_ + ": " + prefix + name + " holds the regular expression \"" + json::printable(text) + "\", only names are supported",
                  {{"path", where_}, {"field", prefix + name}, {"found", text}});
    if (module != end && (whole || !module.ends_with("." + std::string(end)))) continue;
    const auto found = value.number();
    if (!found || !std::isfinite(*found))
      throw Error(Code::lora_format, where_ + ": " + prefix + name + "[\"" + json::printable(text) + "\"] is no number",
                  {{"path", where_}, {"field", prefix + name}});
    return found;
  }
  return {};
}

std::optional<double> PeftScale::operator()(const std::string& component, const std::string& module, int64_t rank) const {
  const std::string prefix = by_component_ ? component + "." : "";
  if (!config_.object()) return {};
  std::optional<double> alpha = pattern(prefix, "alpha_pattern", module);
  if (!alpha) alpha = number(prefix, "lora_alpha");
  if (!alpha) alpha = number(prefix, "alpha");  // of LoHa and LoKr
  if (!alpha) return {};
  double divisor = double(rank);
  if (rank == 0) {
    const auto said = pattern(prefix, "rank_pattern", module);
    divisor = said ? *said : number(prefix, "r").value_or(0);
  }
  if (!(divisor > 0)) return {};
  const json::Value* root = config_.find(prefix + "use_rslora");
  return *alpha / (root && root->boolean().value_or(false) ? std::sqrt(divisor) : divisor);
}

}  // namespace sdxl::lora
