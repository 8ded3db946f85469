// From token ids to what the UNet is conditioned on.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/prompt_cache.h"
#include "model/clip.h"

namespace sdxl::engine {

struct Chunk {
  static constexpr size_t kLength = model::Clip::kLength;
  std::array<int32_t, kLength> ids, ids2;  // first and second encoder; start and end tokens included
  std::array<float, kLength> weights, weights2;
};

// How weights act on hidden states Z with weights w, per encoder and chunk.
enum class Emphasis {
  a1111,    // w·Z, then scaled so that the mean over the chunk is what it was
  no_norm,  // w·Z
  comfy,    // E + w·(Z − E), E the states of the empty prompt
  ignore,   // Z
};

struct Prompt {
  std::vector<Chunk> chunks;
  Emphasis emphasis = Emphasis::a1111;
  int clip_skip = 1;  // 1: all layers of the first encoder but the last, SDXL's own choice; each more leaves one more away
};

struct Conditioning {
  int64_t tokens = 0;
  std::vector<float> context;         // [tokens, both encoders' widths]
  std::vector<float> pooled;          // [projection]
  std::vector<std::string> warnings;  // means that could not be restored
};

Conditioning encode(const model::Run& run, const model::Clip& first, const model::Clip& second, const Prompt& prompt, PromptCache& cache);

}  // namespace sdxl::engine
