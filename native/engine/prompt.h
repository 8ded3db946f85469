// From token ids to what the UNet is conditioned on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/prompt_cache.h"
#include "engine/warning.h"
#include "model/clip.h"

namespace sdxl::engine {

struct Chunk {
  static constexpr size_t kLength = model::Clip::kLength;
  ChunkIds ids, ids2;  // first and second encoder; start and end tokens included
  std::array<float, kLength> weights, weights2;
  float strength = 1;  // behind the weights: E + strength · (Z − E), E the states of the empty prompt
};
// Start, these tokens, no more than 75, and end; of the weight 1 in both encoders. Without tokens it is the empty prompt's.
Chunk chunk_of(const std::vector<int32_t>& tokens);

// Tokens of a weight below 1, for Emphasis::compel: `share` of the mixture is an encoding in which nothing attends to them. What all shares
// leave of 1 is the one with all tokens. A fragment that goes on in the next chunk has one of these in either.
struct Hidden {
  int encoder;  // 1 or 2
  size_t chunk;
  int from, to;  // tokens of the chunk, start token included
  double share;
};

// How weights act on hidden states Z with weights w, per encoder and chunk. E: the states of the empty prompt.
enum class Emphasis {
  a1111,    // w·Z, then scaled so that the mean over the chunk is what it was
  no_norm,  // w·Z
  comfy,    // E + w·(Z − E)
  compel,   // the same, mixed with encodings from which light fragments are hidden
  ignore,   // Z
};

struct Text {
  std::vector<Chunk> chunks;
  std::vector<Hidden> hidden = {};
  // The second encoder's tokens that the whole prompt's pooled vector is made of; else it is the sum of all texts' first chunks.
  std::optional<ChunkIds> pooled = {};
};

struct Prompt {
  // A sum of texts with weights, of as many chunks each; nearly always one text with the weight 1.
  std::vector<std::pair<double, Text>> texts;
  Emphasis emphasis = Emphasis::a1111;
  int clip_skip = 1;  // 1: all layers of the first encoder but the last, SDXL's own choice; each more leaves one more away
};

struct Conditioning {
  int64_t tokens = 0;
  std::vector<float> context;     // [tokens, widths of the encoders together]
  std::vector<float> pooled;      // [projection]
  std::vector<Warning> warnings;  // means that could not be restored
};

struct TextEncoders {
  const model::Clip* first;  // null: a refiner's, which reads the second one's states alone
  const model::Clip& second;
  int text_state = 0;  // what they work with; see Loras
};

Conditioning encode(const model::Run& run, const TextEncoders& encoders, const Prompt& prompt, PromptCache& cache);

}  // namespace sdxl::engine
