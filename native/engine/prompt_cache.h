// Encoded chunks of recent prompts: text is encoded once, however often and wherever it comes back. The least recently used goes first.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "model/clip.h"

namespace sdxl::engine {

using ChunkIds = std::array<int32_t, size_t(model::Clip::kLength)>;

// Everything that the states of a chunk depend on.
struct ChunkKey {
  int encoder, skip;  // encoder: 1 and 2 are the base model's, 3 is a refiner's
  bool pooled;        // asked for with the pooled vector, which takes all layers
  ChunkIds ids;
  int hidden_from = 0, hidden_to = 0;  // tokens that no token attends to: [from, to)
  int text_state = 0;                  // see Loras
  auto operator<=>(const ChunkKey&) const = default;
};

struct EncodedChunk {
  std::vector<float> states;  // [77, width], unweighted
  std::vector<float> pooled;  // [projection], or empty
};
using EncodedChunkPtr = std::shared_ptr<const EncodedChunk>;

class PromptCache {
 public:
  // `limit`: bytes. SDXL's two encoders give 0.6 MB for a chunk.
  explicit PromptCache(size_t limit = size_t(64) << 20) : limit_(limit) {}

  EncodedChunkPtr find(const ChunkKey& key);  // null when it is not there
  void add(const ChunkKey& key, EncodedChunkPtr chunk);

  size_t bytes() const { return bytes_; }
  int64_t found() const { return found_; }
  int64_t missed() const { return missed_; }

 private:
  using Order = std::list<std::pair<ChunkKey, EncodedChunkPtr>>;  // most recently used first

  Order order_;
  std::map<ChunkKey, Order::iterator> places_;
  size_t limit_, bytes_ = 0;
  int64_t found_ = 0, missed_ = 0;
};

}  // namespace sdxl::engine
