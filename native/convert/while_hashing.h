// Hashing takes as long as writing the same bytes or looking through them, so both are done at the same time.
#pragma once

#include <future>
#include <span>

#include "core/sha256.h"

namespace sdxl::convert {

// Adds the bytes to the hash, and does the work meanwhile.
template <class Work>
void while_hashing(Sha256& sha, std::span<const std::byte> bytes, const Work& work) {
  constexpr size_t kLarge = 1 << 18;  // from here on a thread of its own pays
  const auto hashed = std::async(bytes.size() < kLarge ? std::launch::deferred : std::launch::async, [&] { sha.add(bytes); });
  work();
  hashed.wait();
}

}  // namespace sdxl::convert
