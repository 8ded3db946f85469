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
  std::array<int32_t, Chunk::kLength> Chunk::*ids;
  std::array<float, Chunk::kLength> Chunk::*weights;
};

// Hidden states of all chunks, weighted: [chunks, 77, width].
Array encode_chunks(const model::Run& run, const Encoder& encoder, const Prompt& prompt, int skip, Array* last, std::vector<std::string>& warnings) {
  const bool weighted = prompt.emphasis != Emphasis::ignore && std::any_of(prompt.chunks.begin(), prompt.chunks.end(), [&](const Chunk& c) {
                          return std::any_of((c.*encoder.weights).begin(), (c.*encoder.weights).end(), [](float w) { return w != 1; });
                        });
  std::vector<int32_t> ids;
  for (const Chunk& chunk : prompt.chunks) ids.insert(ids.end(), (chunk.*encoder.ids).begin(), (chunk.*encoder.ids).end());
  Array states = encoder.clip.encode(run, ids, skip, last);
  if (!weighted) return states;

  Array empty;
  if (prompt.emphasis == Emphasis::comfy) {
    const Chunk chunk = empty_chunk();
    empty = encoder.clip.encode(run, {(chunk.*encoder.ids).begin(), (chunk.*encoder.ids).end()}, skip, nullptr);
  }
  const int64_t width = encoder.clip.width();
  for (size_t c = 0; c < prompt.chunks.size(); ++c)
    weigh(states.data() + int64_t(c * Chunk::kLength) * width, width, prompt.chunks[c].*encoder.weights, prompt.emphasis, empty.data(), warnings);
  return states;
}

}  // namespace

Conditioning encode(const model::Run& run, const model::Clip& first, const model::Clip& second, const Prompt& prompt) {
  Conditioning result;
  result.tokens = int64_t(prompt.chunks.size() * Chunk::kLength);
  Array last;
  if (prompt.clip_skip > first.depth())
    throw Error(Code::invalid_argument,
                "prompting.clipSkip is " + std::to_string(prompt.clip_skip) + "; the first text encoder has " + std::to_string(first.depth()) +
                    " layers, so it can be no more than that",
                {{"field", std::string("prompting.clipSkip")}, {"layers", int64_t(first.depth())}});
  const Array a = encode_chunks(run, {first, &Chunk::ids, &Chunk::weights}, prompt, prompt.clip_skip, nullptr, result.warnings);
  const Array b = encode_chunks(run, {second, &Chunk::ids2, &Chunk::weights2}, prompt, 1, &last, result.warnings);

  result.context.resize(size_t(result.tokens * (first.width() + second.width())));
  run.backend.run(ops::Concat{a.as({result.tokens, first.width()}), b.as({result.tokens, second.width()}),
                              Tensor(result.context.data(), {result.tokens, first.width() + second.width()})});

  // The vector is the state at the first end token of the first chunk, unweighted.
  const auto& ids = prompt.chunks[0].ids2;
  const int64_t end = std::find(ids.begin(), ids.end(), kEnd) - ids.begin();
  const Array pooled = second.pool(run, last, std::min<int64_t>(end, int64_t(Chunk::kLength) - 1));
  result.pooled.assign(pooled.data(), pooled.data() + pooled.elements());
  return result;
}

}  // namespace sdxl::engine
