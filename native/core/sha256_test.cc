#include "core/sha256.h"

#include "test/check.h"

namespace sdxl {
namespace {

std::string digest(std::string_view text, bool accelerated) {
  Sha256 sha(accelerated);
  sha.add(text);
  return sha.hex();
}

// FIPS 180-4's examples; the others by sha256sum.
TEST("sha256: known digests, on both paths") {
  for (const bool accelerated : {false, true}) {
    CHECK(digest("", accelerated) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(digest("abc", accelerated) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", accelerated) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(digest(std::string(1'000'000, 'a'), accelerated) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST("sha256: any length in any pieces, on both paths alike") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += char(i * 7 + i / 13);
  for (size_t length = 0; length < 200; ++length) {
    const std::string_view part(text.data(), length);
    const std::string wanted = digest(part, false);
    CHECK(digest(part, true) == wanted);
    for (const size_t piece : {1, 3, 63, 64, 65}) {
      Sha256 sha;
      for (size_t at = 0; at < length; at += piece) sha.add(part.substr(at, piece));
      CHECK(sha.hex() == wanted);
    }
  }
}

}  // namespace
}  // namespace sdxl
