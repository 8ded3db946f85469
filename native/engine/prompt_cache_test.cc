#include "engine/prompt_cache.h"

#include "test/check.h"

namespace sdxl::engine {

namespace {

ChunkKey key(int32_t token, int skip = 1, bool pooled = false) {
  ChunkKey k{.encoder = 1, .skip = skip, .pooled = pooled, .ids = {}};
  k.ids[3] = token;
  return k;
}
EncodedChunkPtr chunk(float value) { return std::make_shared<EncodedChunk>(EncodedChunk{{value, value, value, value}, {}}); }

}  // namespace

TEST("prompt cache: finds by everything that states depend on") {
  PromptCache cache;
  CHECK(!cache.find(key(1)));
  cache.add(key(1), chunk(1));
  cache.add(key(1), chunk(2));  // the first stays
  CHECK(cache.find(key(1)) && cache.find(key(1))->states[0] == 1);
  CHECK(!cache.find(key(2)) && !cache.find(key(1, 2)) && !cache.find(key(1, 1, true)));
  ChunkKey other = key(1);
  other.encoder = 2;
  CHECK(!cache.find(other));
  CHECK(cache.found() == 2 && cache.missed() == 5);
}

TEST("prompt cache: the least recently used goes when the limit is passed") {
  const size_t each = sizeof(ChunkKey) + 4 * sizeof(float);
  PromptCache cache(3 * each);
  for (const int token : {1, 2, 3}) cache.add(key(token), chunk(float(token)));
  CHECK(cache.bytes() == 3 * each && cache.find(key(1)));
  cache.add(key(4), chunk(4));
  CHECK(cache.bytes() == 3 * each && !cache.find(key(2)) && cache.find(key(1)) && cache.find(key(3)) && cache.find(key(4)));
  PromptCache tiny(each / 2);  // nothing fits, nothing stays
  tiny.add(key(1), chunk(1));
  CHECK(tiny.bytes() == 0 && !tiny.find(key(1)));
}

}  // namespace sdxl::engine
