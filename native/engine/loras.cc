#include "engine/loras.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "core/file_identity.h"
#include "engine/lora_directory.h"
#include "weights/lora/lora_file.h"
#include "weights/lora/peft_scale.h"

namespace sdxl::engine {

namespace {

constexpr size_t kKept = 4;
constexpr int64_t kKeptBytes = int64_t(2) << 30;

std::string stamp(const std::string& path) {
  std::error_code error;
  std::string text = file_identity(path, error);
  if (error) throw Error(Code::model_not_found, "cannot open the LoRA \"" + path + "\": " + error.message(), {{"path", path}});
  return text;
}

// What a file is known by: another file of that name is another LoRA, and so is one whose strength another configuration tells.
std::string identity(const std::string& path) {
  const std::string config = lora::peft_config_beside(path);
  return config.empty() ? stamp(path) : stamp(path) + '\n' + stamp(config);
}

// Files in the place of names; what is not found is left out.
std::vector<lora::LoraUse> resolved(const LoraRequest& request, std::vector<Warning>& warnings) {
  std::optional<LoraDirectory> directory;  // read once, and only for names
  std::vector<lora::LoraUse> uses;
  for (const auto& [name, asked] : request.loras) {
    lora::LoraUse use = asked;
    if (use.path.empty()) {
      if (!directory && !request.directory.empty()) directory.emplace(request.directory);
      const FoundLora found = directory ? directory->find(name) : FoundLora{};
      if (found.path.empty()) {
        const std::string where = directory ? "it is not in " + request.directory : "no loraDirectory was given";
        warnings.push_back({"E_LORA_MISSING", "The LoRA \"" + name + "\" is not applied: " + where + "."});
        continue;
      }
      if (found.candidates > 1)
        warnings.push_back({"W_LORA_AMBIGUOUS", std::to_string(found.candidates) + " files are called \"" + name + "\"; used is " + found.path + "."});
      use.path = found.path;
    }
    if (use.unet != 0 || use.text_encoder != 0) uses.push_back(std::move(use));
  }
  std::sort(uses.begin(), uses.end());
  return uses;
}

}  // namespace

int64_t Loras::bytes() const {
  int64_t n = 0;
  for (const Set& set : recent_) n += set.bytes();
  return n;
}

void Loras::drop_behind(size_t count) {
  for (auto set = recent_.begin(); set != recent_.end();) {
    if (count > 0) --count, ++set;
    else if (&*set == current_) ++set;
    else set = recent_.erase(set);
  }
  arena_.set_outside(offloaded_ ? 0 : size_t(bytes()));
}

void Loras::install(const Set* set, Parts& parts) {
  parts.unet->layers.install(set ? set->unet : nullptr);
  parts.text_encoder->layers.install(set ? set->text_encoder : nullptr);
  parts.text_encoder_2->layers.install(set ? set->text_encoder_2 : nullptr);
  current_ = set;
}

void Loras::use(const model::Run& run, const LoraRequest& request, Parts& parts, std::vector<Warning>& warnings) {
  std::vector<IdentifiedUse> uses;
  std::string key;
  for (lora::LoraUse& use : resolved(request, warnings)) {
    std::string file = identity(use.path);
    key += file + '\n' + lora::key_of(use.unet) + '\n' + lora::key_of(use.text_encoder) + '\n';
    uses.push_back({std::move(use), std::move(file)});
  }
  if (uses.empty()) return install(nullptr, parts);

  auto known = std::find_if(recent_.begin(), recent_.end(), [&](const Set& set) { return set.key == key; });
  if (known != recent_.end()) recent_.splice(recent_.begin(), recent_, known);
  else {
    Set set;
    try {
      set = prepare(run, key, uses, parts);
    } catch (const Error& error) {
      if (error.code != Code::out_of_memory || !current_) throw;
      install(nullptr, parts);
      drop_behind(0);
      set = prepare(run, key, uses, parts);
    }
    recent_.push_front(std::move(set));
  }
  install(&recent_.front(), parts);
  size_t kept = std::min(kKept, recent_.size());
  for (drop_behind(kept); kept > 1 && bytes() > kKeptBytes;) drop_behind(--kept);
  warnings.insert(warnings.end(), current_->warnings.begin(), current_->warnings.end());
}

Loras::Set Loras::prepare(const model::Run& run, const std::string& key, const std::vector<IdentifiedUse>& uses, const Parts& parts) {
  Set set{.key = key, .unet = {}, .text_encoder = {}, .text_encoder_2 = {}, .text_state = 0, .number = ++prepared_, .warnings = {}};
  std::vector<lora::LoraFile> files;
  for (const auto& [use, identity] : uses) {
    run.check();
    files.push_back(lora::read_lora(use.path, targets_));
    if (!files.back().unmatched.empty()) set.warnings.push_back({"W_LORA_UNMATCHED", lora::unmatched_text(files.back())});
  }
  std::map<std::string, model::Changes> changes;
  std::string text_key;
  for (size_t i = 0; i < uses.size(); ++i) {
    bool text = false;
    for (const lora::LoraDelta& delta : files[i].deltas) {
      const float strength = uses[i].use.strength(delta.component);
      if (strength == 0) continue;
      changes[delta.component][delta.parameter].emplace_back(&delta, strength);
      text |= delta.component != "unet";
    }
    if (text) text_key += uses[i].file + '\n' + lora::key_of(uses[i].use.text_encoder) + '\n';
  }
  if (!text_key.empty()) set.text_state = text_states_.try_emplace(text_key, int(text_states_.size()) + 1).first->second;

  // The weights that are merged lie beside the model's own. How many bytes they take is known when they are there.
  const bool limited = arena_.limit() > 0 && !offloaded_;
  const int64_t room = limited ? int64_t(arena_.room(size_t(kKeptBytes))) : 0;
  std::atomic<int64_t> taken = 0;
  const auto check = [&](int64_t bytes) {
    run.check();
    const int64_t total = taken += bytes;
    if (limited && total > room)
      throw Error(Code::out_of_memory, "the LoRAs need more than " + std::to_string(total) + " bytes beside the model; " + std::to_string(room) + " are left",
                  {{"wanted", total}, {"limit", room}});
  };
  set.unet = parts.unet->layers.adapted(run.backend, changes["unet"], check);
  set.text_encoder = parts.text_encoder->layers.adapted(run.backend, changes["text_encoder"], check);
  set.text_encoder_2 = parts.text_encoder_2->layers.adapted(run.backend, changes["text_encoder_2"], check);
  return set;
}

}  // namespace sdxl::engine
