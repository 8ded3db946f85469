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
// kept as they were prepared: switching back to one of them costs nothing. They count towards the arena's limit, unless they lie in other memory
// than it, and those that are not at work go with drop_unused, when it is reached.
class Loras {
 public:
  // `checkpoint` is only read here; the arena has to outlive the object. `offloaded`: packed weights do not lie in the arena's memory.
  Loras(const weights::Checkpoint& checkpoint, Arena& arena, bool offloaded) : targets_(checkpoint.components()), arena_(arena), offloaded_(offloaded) {}
  ~Loras() { arena_.set_outside(0); }

  // Makes the parts work with these LoRAs in place of those before; order does not matter. When it throws, they work with those before or,
  // where memory was short, with none.
  // Throws what lora::read_lora throws, and Error(out_of_memory).
  void use(const model::Run& run, const LoraRequest& request, Parts& parts, std::vector<Warning>& warnings);

  // Gives up all sets but the one at work.
  void drop_unused() { drop_behind(0); }
  // Another number for all that was prepared anew, 0 for none: the weights that the parts work with.
  uint64_t weights() const { return current_ ? current_->number : 0; }
  // Stands for what the text encoders work with: the same number, the same states of a text.
  int text_state() const { return current_ ? current_->text_state : 0; }

 private:
  struct Set {
    std::string key;
    model::AdaptationPtr unet, text_encoder, text_encoder_2;
    int text_state = 0;
    uint64_t number = 0;
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
  bool offloaded_;
  std::list<Set> recent_;  // most recently used first
  const Set* current_ = nullptr;
  uint64_t prepared_ = 0;  // sets ever
  std::map<std::string, int> text_states_;
};

}  // namespace sdxl::engine
