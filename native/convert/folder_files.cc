#include "convert/folder_files.h"

#include <algorithm>
#include <filesystem>

#include "convert/diffusers_configs.h"
#include "convert/tokenizer_files.h"
#include "core/json_writer.h"
#include "weights/diffusers_folder.h"

namespace sdxl::convert {

namespace {

using json::Value;

constexpr const char* kConfigs[] = {"scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder_2/config.json", "unet/config.json",
                                    "vae/config.json"};
constexpr const char* kTokenizer[] = {"vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json", "added_tokens.json", "tokenizer.json"};

void read_into(Texts& texts, const std::string& folder, const std::string& name) {
  const std::string path = weights::inside(folder, name);
  std::error_code error;
  if (!std::filesystem::is_regular_file(system_path(path), error)) return;
  texts.emplace(name, MappedFile(path).text());
}

Value parsed(const std::string& folder, const std::string& name, const std::string& text) {
  const std::string path = weights::inside(folder, name);
  try {
    Value value = json::parse(text);
    if (value.object()) return value;
  } catch (const Error& error) {
    throw Error(error.code, path + ": " + error.message, {{"path", path}});
  }
  throw Error(Code::model_format, path + " is no JSON object", {{"path", path}});
}

// The pipeline of the source, with the parts that are there and no others.
Value model_index(Value index, const Value& source) {
  for (const char* name : {"_class_name", "force_zeros_for_empty_prompt", "requires_aesthetics_score", "scheduler"})
    if (const Value* said = source.find(name)) json::set(*index.object(), name, *said);
  return index;
}

// A text encoder's says which format its weights are in.
Value without_dtype(Value config) {
  std::erase_if(*config.object(), [](const json::Member& m) { return m.name == "torch_dtype" || m.name == "dtype"; });
  return config;
}

}  // namespace

Texts read_small_files(const weights::Checkpoint& checkpoint) {
  Texts texts;
  if (checkpoint.layout != "diffusers") return texts;
  read_into(texts, checkpoint.path, "model_index.json");
  for (const char* name : kConfigs) read_into(texts, checkpoint.path, name);
  for (const std::string folder : {"tokenizer/", "tokenizer_2/"})
    for (const char* name : kTokenizer) read_into(texts, checkpoint.path, folder + name);
  return texts;
}

Texts folder_texts(const weights::Checkpoint& checkpoint, const engine::Parts& parts, const Texts& source, TargetType dtype, const std::string& merges) {
  Texts texts;
  for (auto& [name, derived] : diffusers_configs(checkpoint, parts)) {
    const auto said = source.find(name);
    if (said == source.end()) {
      texts.emplace(name, json::text(derived));
      continue;
    }
    Value value = parsed(checkpoint.path, name, said->second);
    if (name == "model_index.json") value = model_index(std::move(derived), value);
    else if (dtype && name.starts_with("text_encoder")) value = without_dtype(std::move(value));
    texts.emplace(name, json::text(value));
  }
  const auto add_tokenizer = [&](const std::string& folder, const char* padding) {
    if (source.count(folder + "vocab.json") && source.count(folder + "merges.txt")) {
      for (const char* name : kTokenizer)
        if (const auto said = source.find(folder + name); said != source.end()) texts.insert(*said);
    } else {
      for (const auto& [name, text] : tokenizer_files(merges, padding)) texts.emplace(folder + name, text);
    }
  };
  if (parts.text_encoder) add_tokenizer("tokenizer/", "<|endoftext|>");
  add_tokenizer("tokenizer_2/", "!");
  return texts;
}

}  // namespace sdxl::convert
