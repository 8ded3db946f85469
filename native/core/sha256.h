// SHA-256 (FIPS 180-4), with the processor's own instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sdxl {

class Sha256 {
 public:
  // `accelerated` false: the plain path, which is there for processors without the instructions; for tests.
  explicit Sha256(bool accelerated = true);

  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  // 64 hexadecimal digits, lower case. The object has had its day then.
  std::string hex();

  using State = std::array<uint32_t, 8>;
  using Blocks = void (*)(State& state, const std::byte* data, size_t blocks);

 private:
  Blocks blocks_;
  State state_;
  std::array<std::byte, 64> waiting_;  // less than a block
  uint64_t length_ = 0;                // bytes added
};

}  // namespace sdxl
