// Tells files that are often taken for safetensors files by their first bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace sdxl::weights {

// What the file is and what to do about it, such as "is a PyTorch pickle, …"; "" when nothing is recognised. Call it only for bytes that do
// not start like a safetensors file: every 32nd of those starts with the byte of a pickle.
std::string foreign_kind(std::span<const std::byte> bytes, const std::string& path);

}  // namespace sdxl::weights
