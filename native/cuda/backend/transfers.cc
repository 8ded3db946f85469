#include "cuda/backend/transfers.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace sdxl::cuda {

void Transfers::upload(void* to, size_t bytes, size_t unit, const std::function<void(size_t, size_t, std::byte*)>& fill) {
  const size_t piece = kBuffer / unit * unit;
  if (piece == 0) throw Error(Code::internal, "a row of " + std::to_string(unit) + " bytes does not fit a buffer for uploads");
  for (size_t first = 0; first < bytes; first += piece) {
    const size_t some = std::min(piece, bytes - first);
    Staging::Buffer buffer = staging_.take();
    fill(first, some, buffer.data());
    staging_.upload(std::move(buffer), some, static_cast<std::byte*>(to) + first, stream_);
  }
}

void Transfers::upload(void* to, const void* from, size_t bytes) {
  upload(to, bytes, 1, [&](size_t first, size_t some, std::byte* buffer) { std::memcpy(buffer, static_cast<const std::byte*>(from) + first, some); });
}

void Transfers::download(const void* from, size_t bytes, const std::function<void(size_t, size_t, const std::byte*)>& take) {
  const std::lock_guard lock(downloads_);
  const Staging::Buffer buffer = staging_.take();
  for (size_t first = 0; first < bytes; first += kBuffer) {
    const size_t some = std::min(kBuffer, bytes - first);
    stream_.download(buffer.data(), static_cast<const std::byte*>(from) + first, some);
    end_.record(stream_);
    end_.wait();
    take(first, some, buffer.data());
  }
}

}  // namespace sdxl::cuda
