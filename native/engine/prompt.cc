#include "engine/prompt.h"

#include <algorithm>
#include <cmath>

namespace sdxl::engine {

namespace {

constexpr int32_t kStart = 49406, kEnd = 49407;

Chunk empty_chunk() {
  Chunk chunk;
  chunk.ids.fill(kEnd), chunk.ids2.fill(0);
  chunk.ids[0] = chunk.ids2[0] = kStart;
  chunk.ids2[1] = kEnd;
  chunk.weights.fill(1), chunk.weights2.fill(1);
  return chunk;
}

double mean(const float* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  return sum / double(count);
}

// states [77, width] of one chunk, in place. `empty`: the same of the empty prompt, for comfy only.
void weigh(float* states, int64_t width, const std::array<float, Chunk::kLength>& weights, Emphasis emphasis, const float* empty,
           std::vector<std::string>& warnings) {
  const int64_t count = int64_t(Chunk::kLength) * width;
  const double before = mean(states, count);
  for (size_t t = 0; t < Chunk::kLength; ++t) {
    const float w = weights[t];
    float* row = states + int64_t(t) * width;
    if (emphasis != Emphasis::comfy)
      for (int64_t i = 0; i < width; ++i) row[i] *= w;
    else if (w != 1)
      for (int64_t i = 0; i < width; ++i) row[i] = empty[int64_t(t) * width + i] + w * (row[i] - empty[int64_t(t) * width + i]);
  }
  if (emphasis != Emphasis::a1111) return;
  const double ratio = before / mean(states, count);
  if (!(ratio >= 0.5 && ratio <= 2)) {
    warnings.push_back("restoring the mean after weighting scales a chunk by " + std::to_string(ratio) +
                       "; SDXL's means lie near zero, so this can distort the picture: emphasis 'no-norm' leaves it out");
    if (!std::isfinite(ratio)) return;
  }
  for (int64_t i = 0; i < count; ++i) states[i] = float(states[i] * ratio);
}

struct Encoder {
  const model::Clip& clip;
  int index, skip;
  ChunkIds Chunk::*ids;
  std::array<float, Chunk::kLength> Chunk::*weights;
  bool pools;  // the pooled vector comes from this encoder's first chunk
};

// What each chunk encodes to. Chunks that are not in the cache are encoded together, each distinct one once.
std::vector<EncodedChunkPtr> encode_states(const model::Run& run, const Encoder& encoder, const std::vector<const Chunk*>& chunks, PromptCache& cache) {
  std::vector<EncodedChunkPtr> result;
  std::vector<ChunkKey> missing;
  std::vector<size_t> open;  // where in `result` something is missing
  for (size_t c = 0; c < chunks.size(); ++c) {
    const ChunkKey key{encoder.index, encoder.skip, encoder.pools && c == 0, chunks[c]->*encoder.ids};
    result.push_back(cache.find(key));
    if (result.back()) continue;
    open.push_back(c);
    if (std::find(missing.begin(), missing.end(), key) == missing.end()) missing.push_back(key);
  }
  if (missing.empty()) return result;

  // The chunk to pool, if it is missing, is the first one, as Clip::encode wants it.
  std::vector<int32_t> ids;
  for (const ChunkKey& key : missing) ids.insert(ids.end(), key.ids.begin(), key.ids.end());
  Array last;
  const Array states = encoder.clip.encode(run, ids, encoder.skip, missing[0].pooled ? &last : nullptr);
  const int64_t size = int64_t(Chunk::kLength) * encoder.clip.width();
  for (size_t m = 0; m < missing.size(); ++m) {
    auto chunk = std::make_shared<EncodedChunk>();
    chunk->states.assign(states.data() + int64_t(m) * size, states.data() + int64_t(m + 1) * size);
    if (missing[m].pooled) {
      // The state at the first end token, which a chunk always has.
      const auto end = std::find(missing[m].ids.begin(), missing[m].ids.end() - 1, kEnd);
      const Array pooled = encoder.clip.pool(run, last, end - missing[m].ids.begin());
      chunk->pooled.assign(pooled.data(), pooled.data() + pooled.elements());
    }
    for (const size_t c : open)
      if (missing[m].pooled == (encoder.pools && c == 0) && missing[m].ids == chunks[c]->*encoder.ids) result[c] = chunk;
    cache.add(missing[m], std::move(chunk));
  }
  return result;
}

struct EncodedText {
  std::vector<float> states;  // [chunks · 77, width], weighted
  std::vector<float> pooled;
};

EncodedText encode_text(const model::Run& run, const Encoder& encoder, const Prompt& prompt, PromptCache& cache, std::vector<std::string>& warnings) {
  std::vector<const Chunk*> chunks;
  for (const Chunk& chunk : prompt.chunks) chunks.push_back(&chunk);
  const bool weighted = prompt.emphasis != Emphasis::ignore && std::any_of(chunks.begin(), chunks.end(), [&](const Chunk* c) {
                          return std::any_of((c->*encoder.weights).begin(), (c->*encoder.weights).end(), [](float w) { return w != 1; });
                        });
  const Chunk nothing = empty_chunk();
  const bool against_empty = weighted && prompt.emphasis == Emphasis::comfy;
  if (against_empty) chunks.push_back(&nothing);

  const std::vector<EncodedChunkPtr> encoded = encode_states(run, encoder, chunks, cache);
  EncodedText text{.states = {}, .pooled = encoded[0]->pooled};
  for (size_t c = 0; c < prompt.chunks.size(); ++c) text.states.insert(text.states.end(), encoded[c]->states.begin(), encoded[c]->states.end());
  if (!weighted) return text;
  const int64_t width = encoder.clip.width();
  for (size_t c = 0; c < prompt.chunks.size(); ++c)
    weigh(text.states.data() + int64_t(c * Chunk::kLength) * width, width, prompt.chunks[c].*encoder.weights, prompt.emphasis,
          against_empty ? encoded.back()->states.data() : nullptr, warnings);
  return text;
}

}  // namespace

Conditioning encode(const model::Run& run, const model::Clip& first, const model::Clip& second, const Prompt& prompt, PromptCache& cache) {
  if (prompt.clip_skip > first.depth())
    throw Error(Code::invalid_argument,
                "prompting.clipSkip is " + std::to_string(prompt.clip_skip) + "; the first text encoder has " + std::to_string(first.depth()) +
                    " layers, so it can be no more than that",
                {{"field", std::string("prompting.clipSkip")}, {"layers", int64_t(first.depth())}});
  Conditioning result;
  result.tokens = int64_t(prompt.chunks.size() * Chunk::kLength);
  const EncodedText a = encode_text(run, {first, 1, prompt.clip_skip, &Chunk::ids, &Chunk::weights, false}, prompt, cache, result.warnings);
  EncodedText b = encode_text(run, {second, 2, 1, &Chunk::ids2, &Chunk::weights2, true}, prompt, cache, result.warnings);

  const int64_t width = first.width() + second.width();
  result.context.resize(size_t(result.tokens * width));
  run.backend.run(ops::Concat{ConstTensor(a.states.data(), {result.tokens, first.width()}), ConstTensor(b.states.data(), {result.tokens, second.width()}),
                              Tensor(result.context.data(), {result.tokens, width})});
  result.pooled = std::move(b.pooled);
  return result;
}

}  // namespace sdxl::engine
