// The buffers that kernels may touch. Anything else is out of bounds.
#pragma once

#include <cstddef>
#include <vector>

namespace sdxl::emulator {

void add_buffer(const void* data, size_t bytes, bool writable);
void remove_buffer(const void* data);
// Whether the bytes lie in one buffer, a writable one for writing.
bool in_buffer(const void* p, size_t bytes, bool write);
// Makes the address sanitizer, where there is one, stop at these bytes.
void hide(const void* p, size_t bytes);
void reveal(const void* p, size_t bytes);

// Memory of a test that kernels see while it lives.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::vector<T> values, bool writable = true) : values_(std::move(values)) {
    values_.reserve(values_.size() + kGap / sizeof(T));  // the next buffer must not begin where this one ends
    add_buffer(values_.data(), values_.size() * sizeof(T), writable);
    hide(values_.data() + values_.size(), kGap);
  }
  explicit Buffer(size_t size, T value = {}) : Buffer(std::vector<T>(size, value)) {}
  ~Buffer() {
    reveal(values_.data() + values_.size(), kGap);
    remove_buffer(values_.data());
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() { return values_.data(); }
  const T* data() const { return values_.data(); }
  const std::vector<T>& values() const { return values_; }
  size_t size() const { return values_.size(); }

 private:
  static constexpr size_t kGap = 64;
  std::vector<T> values_;
};

}  // namespace sdxl::emulator
