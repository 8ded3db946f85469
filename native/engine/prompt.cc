#include "engine/prompt.h"

#include <algorithm>
#include <cmath>

namespace sdxl::engine {

namespace {

constexpr int32_t kStart = 49406, kEnd = 49407;
constexpr int kRefinersEncoder = 3;  // for the cache, beside the base model's 1 and 2

double mean(const float* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  return sum / double(count);
}

// states [77, width] → E + amount of each row · (Z − E), in place; rows of the amount 1 stay to the last bit.
template <class Amount>
void move_from(const float* empty, float* states, int64_t width, Amount amount) {
  for (size_t t = 0; t < Chunk::kLength; ++t) {
    const float w = amount(t);
    if (w == 1) continue;
    float* row = states + int64_t(t) * width;
    const float* none = empty + int64_t(t) * width;
    for (int64_t i = 0; i < width; ++i) row[i] = none[i] + w * (row[i] - none[i]);
  }
}

// states [77, width] of one chunk, in place. `empty`: the same of the empty prompt, where the emphasis asks for it.
void weigh(float* states, int64_t width, const std::array<float, Chunk::kLength>& weights, Emphasis emphasis, const float* empty,
           std::vector<Warning>& warnings) {
  if (emphasis == Emphasis::comfy || emphasis == Emphasis::compel) return move_from(empty, states, width, [&](size_t t) { return weights[t]; });
  const int64_t count = int64_t(Chunk::kLength) * width;
  const double before = mean(states, count);
  for (int64_t i = 0; i < count; ++i) states[i] *= weights[size_t(i / width)];
  if (emphasis != Emphasis::a1111) return;
  const double ratio = before / mean(states, count);
  if (!(ratio >= 0.5 && ratio <= 2)) {
    warnings.push_back({"W_RENORM", "restoring the mean after weighting scales a chunk by " + std::to_string(ratio) +
                                        "; SDXL's means lie near zero, so this can distort the picture: emphasis 'no-norm' leaves it out"});
    if (!std::isfinite(ratio)) return;
  }
  for (int64_t i = 0; i < count; ++i) states[i] = float(states[i] * ratio);
}

struct Encoder {
  const model::Clip& clip;
  int index, known_as, skip, text_state;  // index: 1 or 2; known_as: in the cache
  ChunkIds Chunk::*ids;
  std::array<float, Chunk::kLength> Chunk::*weights;
  bool pools;  // the pooled vector comes from this encoder

  ChunkKey key(const ChunkIds& of, bool pooled = false) const {
    return {.encoder = known_as, .skip = skip, .pooled = pooled, .ids = of, .text_state = text_state};
  }
};

// What each key encodes to. What is not in the cache is encoded together, each distinct one once. Only the first key may be pooled.
std::vector<EncodedChunkPtr> encode_states(const model::Run& run, const Encoder& encoder, const std::vector<ChunkKey>& keys, PromptCache& cache) {
  std::vector<EncodedChunkPtr> result;
  std::vector<ChunkKey> missing;
  for (const ChunkKey& key : keys) {
    result.push_back(cache.find(key));
    if (!result.back() && std::find(missing.begin(), missing.end(), key) == missing.end()) missing.push_back(key);
  }
  if (missing.empty()) return result;

  model::Clip::Input input;
  for (const ChunkKey& key : missing) {
    input.ids.insert(input.ids.end(), key.ids.begin(), key.ids.end());
    for (int t = 0; t < int(Chunk::kLength); ++t) input.hidden.push_back(t >= key.hidden_from && t < key.hidden_to);
  }
  Array last;
  const Array encoded = encoder.clip.encode(run, input, encoder.skip, missing[0].pooled ? &last : nullptr);
  const ops::HostView states = run.backend.view(encoded);
  const int64_t size = int64_t(Chunk::kLength) * encoder.clip.width();
  for (size_t m = 0; m < missing.size(); ++m) {
    auto chunk = std::make_shared<EncodedChunk>();
    chunk->states.assign(states.values.data() + int64_t(m) * size, states.values.data() + int64_t(m + 1) * size);
    if (missing[m].pooled) {
      // The state at the first end token, which a chunk always has.
      const auto end = std::find(missing[m].ids.begin(), missing[m].ids.end() - 1, kEnd);
      const Array pooled = run.backend.to_host(encoder.clip.pool(run, last, end - missing[m].ids.begin()));
      chunk->pooled.assign(pooled.data(), pooled.data() + pooled.elements());
    }
    for (size_t k = 0; k < keys.size(); ++k)
      if (keys[k] == missing[m]) result[k] = chunk;
    cache.add(missing[m], std::move(chunk));
  }
  return result;
}

struct EncodedText {
  std::vector<float> states;  // [chunks · 77, width], weighted
  std::vector<float> pooled;
};

// One encoder's view of a text.
class TextEncoding {
 public:
  TextEncoding(const Encoder& encoder, const Text& text, Emphasis emphasis) : encoder_(encoder), text_(text), emphasis_(emphasis) {
    const auto differs = [](float w) { return w != 1; };
    for (const Chunk& chunk : text.chunks) {
      weighted_ |= emphasis != Emphasis::ignore && std::any_of((chunk.*encoder.weights).begin(), (chunk.*encoder.weights).end(), differs);
      against_empty_ |= chunk.strength != 1;
    }
    against_empty_ |= weighted_ && (emphasis == Emphasis::comfy || emphasis == Emphasis::compel);
    if (emphasis == Emphasis::compel)
      for (const Hidden& h : text.hidden)
        if (h.encoder == encoder.index) hidden_.push_back(&h);
  }

  EncodedText run(const model::Run& run, PromptCache& cache, std::vector<Warning>& warnings) {
    const size_t chunks = text_.chunks.size();
    const bool pools_apart = encoder_.pools && text_.pooled;
    std::vector<ChunkKey> keys;
    if (pools_apart) keys.push_back(encoder_.key(*text_.pooled, true));
    const size_t first = keys.size(), empty = first + chunks, hidden = empty + against_empty_;
    for (size_t c = 0; c < chunks; ++c) keys.push_back(encoder_.key(text_.chunks[c].*encoder_.ids, encoder_.pools && !pools_apart && c == 0));
    if (against_empty_) keys.push_back(encoder_.key(chunk_of({}).*encoder_.ids));
    for (const Hidden* h : hidden_) {
      keys.push_back(encoder_.key(text_.chunks[h->chunk].*encoder_.ids));
      keys.back().hidden_from = h->from, keys.back().hidden_to = h->to;
    }
    const std::vector<EncodedChunkPtr> encoded = encode_states(run, encoder_, keys, cache);
    empty_ = against_empty_ ? encoded[empty]->states.data() : nullptr;

    EncodedText result{.states = {}, .pooled = encoded[0]->pooled};
    for (size_t c = 0; c < chunks; ++c) {
      const std::vector<float> states = weighed(encoded[first + c]->states, c, warnings);
      result.states.insert(result.states.end(), states.begin(), states.end());
    }
    if (!hidden_.empty()) mix(result.states, {encoded.begin() + long(hidden), encoded.end()}, warnings);
    const int64_t width = encoder_.clip.width();
    for (size_t c = 0; c < chunks; ++c)
      if (const float strength = text_.chunks[c].strength; strength != 1)
        move_from(empty_, result.states.data() + int64_t(c * Chunk::kLength) * width, width, [&](size_t) { return strength; });
    return result;
  }

 private:
  std::vector<float> weighed(std::vector<float> states, size_t chunk, std::vector<Warning>& warnings) const {
    if (weighted_) weigh(states.data(), encoder_.clip.width(), text_.chunks[chunk].*encoder_.weights, emphasis_, empty_, warnings);
    return states;
  }

  // B + Σ shareᵢ·(Mᵢ − B): B all tokens, Mᵢ with fragment i hidden, which in a chunk without the fragment is B too.
  void mix(std::vector<float>& states, const std::vector<EncodedChunkPtr>& without, std::vector<Warning>& warnings) const {
    std::vector<float> mixed = states;
    const int64_t size = int64_t(Chunk::kLength) * encoder_.clip.width();
    for (size_t i = 0; i < hidden_.size(); ++i) {
      const size_t chunk = hidden_[i]->chunk;
      const std::vector<float> one = weighed(without[i]->states, chunk, warnings);
      const float share = float(hidden_[i]->share);
      for (int64_t k = 0, at = int64_t(chunk) * size; k < size; ++k, ++at) mixed[size_t(at)] += share * (one[size_t(k)] - states[size_t(at)]);
    }
    states = std::move(mixed);
  }

  const Encoder& encoder_;
  const Text& text_;
  Emphasis emphasis_;
  bool weighted_ = false, against_empty_ = false;
  std::vector<const Hidden*> hidden_;
  const float* empty_ = nullptr;  // [77, width]
};

// Rows of a, each followed by that of b.
std::vector<float> side_by_side(const std::vector<float>& a, const std::vector<float>& b, int64_t rows) {
  const size_t left = a.size() / size_t(rows), right = b.size() / size_t(rows);
  std::vector<float> both(a.size() + b.size());
  for (size_t row = 0; row < size_t(rows); ++row) {
    float* to = both.data() + row * (left + right);
    std::copy_n(a.data() + row * left, left, to);
    std::copy_n(b.data() + row * right, right, to + left);
  }
  return both;
}

void add(std::vector<float>& sum, double weight, const std::vector<float>& values) {
  sum.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) sum[i] += float(weight) * values[i];
}

}  // namespace

Chunk chunk_of(const std::vector<int32_t>& tokens) {
  Chunk chunk;
  chunk.ids.fill(kEnd), chunk.ids2.fill(0);
  chunk.weights.fill(1), chunk.weights2.fill(1);
  chunk.ids[0] = chunk.ids2[0] = kStart;
  for (size_t i = 0; i < tokens.size(); ++i) chunk.ids[i + 1] = chunk.ids2[i + 1] = tokens[i];
  chunk.ids2[tokens.size() + 1] = kEnd;
  return chunk;
}

Conditioning encode(const model::Run& run, const TextEncoders& encoders, const Prompt& prompt, PromptCache& cache) {
  const auto& [first, second, text_state] = encoders;
  if (first && prompt.clip_skip > first->depth())
    throw Error(Code::invalid_argument,
                "prompting.clipSkip is " + std::to_string(prompt.clip_skip) + "; the first text encoder has " + std::to_string(first->depth()) +
                    " layers, so it can be no more than that",
                {{"field", std::string("prompting.clipSkip")}, {"layers", int64_t(first->depth())}});
  const Encoder encoder2{second, 2, first ? 2 : kRefinersEncoder, 1, text_state, &Chunk::ids2, &Chunk::weights2, true};

  Conditioning result;
  result.tokens = int64_t(prompt.texts[0].second.chunks.size() * Chunk::kLength);
  for (const auto& [weight, text] : prompt.texts) {
    std::vector<float> states;
    if (first) {
      const Encoder encoder1{*first, 1, 1, prompt.clip_skip, text_state, &Chunk::ids, &Chunk::weights, false};
      states = TextEncoding(encoder1, text, prompt.emphasis).run(run, cache, result.warnings).states;
    }
    EncodedText b = TextEncoding(encoder2, text, prompt.emphasis).run(run, cache, result.warnings);
    if (first) {
      b.states = side_by_side(states, b.states, result.tokens);
    }
    add(result.context, weight, b.states);
    if (text.pooled) result.pooled = b.pooled;
    else add(result.pooled, weight, b.pooled);
  }
  return result;
}

}  // namespace sdxl::engine
