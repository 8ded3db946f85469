#include "weights/lora/targets.h"

#include <algorithm>

#include "weights/lora/module_names.h"

namespace sdxl::lora {

namespace {

struct Stack {
  std::string_view name;
  std::vector<std::string_view> members;
};
const Stack kStacks[] = {
    {"attn1.to_qkv", {"attn1.to_q", "attn1.to_k", "attn1.to_v"}},
    {"attn2.to_kv", {"attn2.to_k", "attn2.to_v"}},
    {"self_attn.in_proj", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
};

}  // namespace

std::string flattened(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '.', '_');
  return out;
}

Targets::Targets(std::span<const weights::Component* const> components) {
  for (const weights::Component* component : components) {
    if (component->name != "unet" && component->name != "text_encoder" && component->name != "text_encoder_2") continue;
    std::map<std::string, Module> modules;
    for (const auto& [name, tensor] : component->tensors) {
      const size_t dot = name.rfind('.');
      const bool weight = name.ends_with(".weight");
      if ((!weight && !name.ends_with(".bias")) || tensor.shape.empty()) continue;
      Module& module = modules[name.substr(0, dot)];
      module.component = component->name;
      module.name = name.substr(0, dot);
      module.pieces.resize(1);
      (weight ? module.pieces[0].weight : module.pieces[0].bias) = {name, tensor.shape};
    }
    add_stacks(modules);
    owned_.push_back(std::move(modules));
    add_names(component->name, owned_.back());
  }
}

void Targets::add_stacks(std::map<std::string, Module>& modules) {
  std::vector<Module> found;
  for (const Stack& stack : kStacks)
    for (const auto& [name, first] : modules) {
      if (!name.ends_with(stack.members[0])) continue;
      const std::string before = name.substr(0, name.size() - stack.members[0].size());
      Module module{first.component, before + std::string(stack.name), {}};
      for (const std::string_view member : stack.members) {
        const auto at = modules.find(before + std::string(member));
        if (at == modules.end()) break;
        const Module::Piece& piece = at->second.pieces[0];
        const auto &a = piece.weight.shape, &b = first.pieces[0].weight.shape;
        if (a.size() != 2 || b.size() != 2 || a[1] != b[1]) break;
        module.pieces.push_back(piece);
      }
      if (module.pieces.size() == stack.members.size()) found.push_back(std::move(module));
    }
  for (Module& module : found) {
    std::string name = module.name;
    modules.emplace(std::move(name), std::move(module));
  }
}

void Targets::add_names(const std::string& component, const std::map<std::string, Module>& modules) {
  std::set<std::string> list;
  for (const auto& [name, module] : modules) list.insert(name);
  const ModuleNames names(component, list);
  Part& part = parts_.emplace_back();
  part.prefixes = module_prefixes(component);
  for (const auto& [name, module] : modules) {
    if (module.pieces.size() == 1) all_.push_back(&module);
    for (const std::string& other : names.of(name)) {
      const auto [at, is_new] = part.by_name.try_emplace(flattened(other), &module);
      if (!is_new && at->second != &module) at->second = nullptr;
    }
  }
}

const Module* Targets::find(std::string_view name) const {
  const std::string flat = flattened(name);
  for (const Part& part : parts_)
    for (const std::string& prefix : part.prefixes) {
      if (!flat.starts_with(prefix)) continue;
      const auto at = part.by_name.find(flat.substr(prefix.size()));
      if (at != part.by_name.end() && at->second) return at->second;
    }
  return nullptr;
}

}  // namespace sdxl::lora
