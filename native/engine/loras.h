// The LoRAs of a model: read, prepared, switched between jobs.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "engine/parts.h"
#include "engine/warning.h"
#include "model/run.h"
#include "weights/lora/lora_use.h"
#include "weights/lora/targets.h"

namespace sdxl::engine {

// Either a path, or "" and a name to be found in the directory.
struct NamedLora {
  std::string name;
  lora::LoraUse use;
};

struct LoraRequest {
  std::vector<NamedLora> loras;
  std::string directory;  // "": none
};

// Every job says what it works with, an empty list included, so that nothing of a job is left for the next. Sets that were used lately are
// kept as they were prepared: switching back to one of them costs nothing. They count towards the arena's limit, and those that are not at
// work go when it is reached.
class Loras {
 public:
  // `checkpoint` is only read here; the arena has to outlive the object.
  Loras(const weights::Checkpoint& checkpoint, Arena& arena);
  ~Loras();

  // Makes the parts work with these LoRAs in place of those before; order does not matter. When it throws, they work with those before or,
  // where memory was short, with none.
  // Throws what lora::read_lora throws, and Error(out_of_memory).
  void use(const model::Run& run, const LoraRequest& request, Parts& parts, std::vector<Warning>& warnings);

  // Stands for what the text encoders work with: the same number, the same states of a text.
  int text_state() const { return current_ ? current_->text_state : 0; }

 private:
  struct Set {
    std::string key;
    model::AdaptationPtr unet, text_encoder, text_encoder_2;
    int text_state = 0;
    std::vector<Warning> warnings;
    int64_t bytes() const { return unet->bytes() + text_encoder->bytes() + text_encoder_2->bytes(); }
  };
  struct IdentifiedUse {
    lora::LoraUse use;
    std::string file;  // what the file is known by
  };
  Set prepare(const model::Run& run, const std::string& key, const std::vector<IdentifiedUse>& uses, const Parts& parts);
  void install(const Set* set, Parts& parts);
  int64_t bytes() const;  // of all sets that are kept
  // Keeps the first `count` sets, and the one at work.
  void drop_behind(size_t count);

  lora::Targets targets_;
  Arena& arena_;
  std::list<Set> recent_;  // most recently used first
  const Set* current_ = nullptr;
  std::map<std::string, int> text_states_;
};

}  // namespace sdxl::engine
