#include "weights/lora/lora_file.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "core/error.h"
#include "core/json.h"
#include "weights/lora/architecture.h"
#include "weights/lora/assemble.h"
#include "weights/shape_text.h"

namespace sdxl::lora {

namespace {

using weights::Safetensors;
using weights::SafetensorsEntry;
using weights::text_of;

Safetensors open(const std::string& path) {
  try {
    return weights::open_safetensors(path);
  } catch (const Error& error) {
    if (error.code != Code::model_format) throw;
    throw Error(Code::lora_format, error.message, error.details);
  }
}

[[noreturn]] void throw_mismatch(const std::string& path, const std::string& family, const std::string& key, const std::string& wanted,
                                 const std::string& found) {
  throw Error(Code::lora_mismatch, path + " was made for " + family + ", not for this model: \"" + json::printable(key) + "\" " + found + ", " + wanted,
              {{"path", path}, {"family", family}, {"key", key}, {"wanted", wanted}, {"found", found}});
}

// A layer of the model to compare with: an attention's keys, whose width tells architectures apart.
std::string example(const Targets& targets) {
  const Module* best = nullptr;
  for (const Module* module : targets.modules())
    if (!module->pieces[0].weight.shape.empty() && (!best || (module->name.ends_with("attn2.to_k") && !best->name.ends_with("attn2.to_k")))) best = module;
  return best ? "a layer of this model is " + best->component + " " + best->name + " with shape " + text_of(best->pieces[0].weight.shape)
              : "this model has no layers";
}

struct Layer {
  const Module* module = nullptr;
  LayerTensors tensors;
};

// The tensors of a file by the layer of the model that they belong to.
struct SortedTensors {
  std::map<std::pair<std::string, std::string>, Layer> layers;  // by component and name
  std::vector<Stranger> strangers;                              // belong to none
};

SortedTensors sorted(const Safetensors& file, const std::string& path, const Targets& targets) {
  SortedTensors sorted;
  for (const SafetensorsEntry& entry : file.entries) {
    const KeyParts key = key_parts(entry.name);
    const Module* module = key.part == Part::count ? nullptr : targets.find(key.module);
    if (!module) {
      sorted.strangers.push_back({&entry, flattened(entry.name)});
      continue;
    }
    if (key.part == Part::unsupported)
      throw Error(Code::lora_format, path + ": \"" + json::printable(entry.name) + "\" is of a kind that is not supported: " + std::string(key.family),
                  {{"path", path}, {"key", entry.name}, {"family", std::string(key.family)}});
    Layer& layer = sorted.layers[{module->component, module->name}];
    if (!layer.module) layer.module = module, layer.tensors.key = std::string(key.module);
    const SafetensorsEntry*& place = layer.tensors.parts[size_t(key.part)];
    // Some files hold everything twice, under two namings.
    const auto same = [&](const SafetensorsEntry& other) {
      return other.dtype == entry.dtype && std::equal(other.data.begin(), other.data.end(), entry.data.begin(), entry.data.end());
    };
    if (place && !same(*place))
      throw Error(Code::lora_format,
                  path + ": \"" + json::printable(entry.name) + "\" and \"" + json::printable(place->name) + "\" are the same part of one layer and differ",
                  {{"path", path}, {"key", entry.name}, {"wanted", "one of them"}, {"found", place->name}});
    place = &entry;
  }
  return sorted;
}

}  // namespace

LoraFile read_lora(const std::string& path, const Targets& targets) {
  Safetensors file = open(path);
  if (file.entries.empty()) throw Error(Code::lora_format, path + " holds no tensors", {{"path", path}});
  const auto [layers, strangers] = sorted(file, path, targets);
  for (const Stranger& stranger : strangers)
    if (const std::string family = foreign_family(stranger); !family.empty())
      throw_mismatch(path, family, stranger.entry->name, example(targets), "has shape " + text_of(stranger.entry->shape));

  const PeftScale peft(path, file.metadata);
  LoraFile lora{.path = path, .deltas = {}, .metadata = {}, .unmatched = {}};
  for (const auto& [name, layer] : layers) {
    Assembled assembled = assemble(file.file, *layer.module, layer.tensors, peft);
    if (!assembled.mismatches.empty()) {
      const Mismatch& m = assembled.mismatches.front();
      throw_mismatch(path, family_of(file.entries, file.metadata), m.key, name.first + " " + m.parameter + " has shape " + text_of(m.wanted),
                     "changes a shape of " + text_of(m.found));
    }
    std::move(assembled.deltas.begin(), assembled.deltas.end(), std::back_inserter(lora.deltas));
    std::move(assembled.unused.begin(), assembled.unused.end(), std::back_inserter(lora.unmatched));
  }
  if (lora.deltas.empty()) {
    const SafetensorsEntry& first = file.entries.front();
    throw_mismatch(path, family_of(file.entries, file.metadata), first.name, example(targets), "has shape " + text_of(first.shape));
  }
  for (const Stranger& stranger : strangers) lora.unmatched.push_back(stranger.entry->name);
  std::sort(lora.unmatched.begin(), lora.unmatched.end());
  std::stable_sort(lora.deltas.begin(), lora.deltas.end(),
                   [](const LoraDelta& a, const LoraDelta& b) { return std::tie(a.component, a.parameter) < std::tie(b.component, b.parameter); });
  lora.metadata = std::move(file.metadata);
  return lora;
}

std::string unmatched_text(const LoraFile& file) {
  std::string text = file.path + ": " + std::to_string(file.unmatched.size()) + " of its tensors change nothing in this model: ";
  for (size_t i = 0; i < std::min<size_t>(file.unmatched.size(), 5); ++i) text += (i ? ", " : "") + file.unmatched[i];
  return file.unmatched.size() > 5 ? text + ", …" : text;
}

}  // namespace sdxl::lora
