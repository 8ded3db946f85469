#include "weights/components.h"

#include <algorithm>
#include <optional>

#include "core/json.h"
#include "weights/taesd_names.h"
#include "weights/text_encoder_names.h"
#include "weights/unet_names.h"
#include "weights/vae_names.h"

namespace sdxl::weights {

std::vector<std::string_view> names_of(std::span<const PartEntry> entries) {
  std::vector<std::string_view> names;
  for (const PartEntry& e : entries) names.push_back(e.name);
  return names;
}

namespace {

// Attention projections are linear layers; some files hold them as 1×1 convolutions [out, in, 1, 1].
void drop_kernel_dimensions(const std::string& name, std::vector<int64_t>& shape) {
  if (name.find(".attentions.") != std::string::npos && shape.size() == 4 && shape[2] == 1 && shape[3] == 1) shape.resize(2);
}

void add(Component& component, std::string name, const PartEntry& from, std::vector<int64_t> shape, std::span<const std::byte> data, bool transposed,
         Problems& problems) {
  const auto note = [&](const std::string& text) {
    problems.add(component.name + ": " + json::printable(name) + " (" + json::printable(from.entry->name) + ") " + text);
  };
  if (!from.entry->type || !is_weight(*from.entry->type))
    return note("has dtype " + std::string(from.entry->dtype) + ", wanted F32, F16, BF16, F8_E4M3 or F8_E5M2");
  drop_kernel_dimensions(name, shape);
  const auto [other, is_new] =
      component.tensors.try_emplace(name, SourceTensor{data.data(), *from.entry->type, std::move(shape), transposed, *from.file, from.entry->name});
  if (!is_new) note("is there already, as " + json::printable(other->second.name));
}

void add_whole(Component& component, std::string name, const PartEntry& from, Problems& problems) {
  add(component, std::move(name), from, from.entry->shape, from.entry->data, false, problems);
}

// `name`: from what the file says; nothing for a tensor that is left out. Returns how many are.
template <class Name>
int64_t add_known(Component& component, std::span<const PartEntry> entries, const Name& name, Problems& problems) {
  int64_t ignored = 0;
  for (const PartEntry& e : entries) {
    if (std::optional<std::string> known = name(e.name)) add_whole(component, std::move(*known), e, problems);
    else ++ignored;
  }
  return ignored;
}

}  // namespace

int64_t add_unet(Component& component, std::span<const PartEntry> entries, Problems& problems) {
  const UnetNames name(names_of(entries));
  for (const PartEntry& e : entries) add_whole(component, name(e.name), e, problems);
  return 0;
}

int64_t add_vae(Component& component, std::span<const PartEntry> entries, Problems& problems) {
  if (TaesdNames::fit(names_of(entries))) return add_taesd(component, entries, problems);
  const VaeNames name(names_of(entries));
  int64_t ignored = 0;
  for (const PartEntry& e : entries) {
    if (e.name.starts_with("loss.")) ++ignored;  // the discriminator of its training
    else add_whole(component, name(e.name), e, problems);
  }
  return ignored;
}

int64_t add_taesd(Component& component, std::span<const PartEntry> entries, Problems& problems) {
  return add_known(component, entries, TaesdNames(names_of(entries)), problems);
}

int64_t add_transformers_text(Component& component, std::span<const PartEntry> entries, Problems& problems) {
  return add_known(component, entries, transformers_name, problems);
}

int64_t add_open_clip_text(Component& component, std::span<const PartEntry> entries, Problems& problems) {
  int64_t ignored = 0;
  for (const PartEntry& e : entries) {
    const OpenClipName known = open_clip_name(e.name);
    const size_t count = known.names.size();
    std::vector<int64_t> shape = e.entry->shape;
    if (count == 0) {
      ++ignored;
      continue;
    }
    if (count > 1) {
      if (shape.empty() || shape[0] % int64_t(count) != 0) {
        problems.add(component.name + ": " + json::printable(e.entry->name) + " has rows that cannot be divided into q, k and v");
        continue;
      }
      shape[0] /= int64_t(count);
    }
    if (known.transposed) std::reverse(shape.begin(), shape.end());
    const size_t bytes = e.entry->data.size() / count;
    for (size_t i = 0; i < count; ++i) add(component, known.names[i], e, shape, e.entry->data.subspan(i * bytes, bytes), known.transposed, problems);
  }
  return ignored;
}

}  // namespace sdxl::weights
