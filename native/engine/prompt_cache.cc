#include "engine/prompt_cache.h"

#include <utility>

namespace sdxl::engine {

namespace {

size_t bytes_of(const EncodedChunk& chunk) { return sizeof(ChunkKey) + (chunk.states.size() + chunk.pooled.size()) * sizeof(float); }

}  // namespace

EncodedChunkPtr PromptCache::find(const ChunkKey& key) {
  const auto place = places_.find(key);
  if (place == places_.end()) {
    ++missed_;
    return nullptr;
  }
  ++found_;
  order_.splice(order_.begin(), order_, place->second);
  return place->second->second;
}

void PromptCache::add(const ChunkKey& key, EncodedChunkPtr chunk) {
  if (places_.count(key)) return;
  bytes_ += bytes_of(*chunk);
  order_.emplace_front(key, std::move(chunk));
  places_[key] = order_.begin();
  while (bytes_ > limit_) {
    const auto& [oldest, dropped] = order_.back();
    bytes_ -= bytes_of(*dropped);
    places_.erase(oldest);
    order_.pop_back();
  }
}

}  // namespace sdxl::engine
