// The tensors of a model's files in either layout: which weights go where, under what name, in what shape.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weights/checkpoint.h"

namespace sdxl::convert {

// A tensor of a file to be written.
struct FileTensor {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::vector<const weights::SourceTensor*> parts;  // one below the other; none for a marker, which holds nothing
  bool transposed = false;                          // written as [in, out]
  std::string phase;                                // the part it belongs to, for progress

  int64_t elements() const;
  int64_t bytes() const { return elements() * size_of(dtype); }
};

// `dtype`: of all weights; nothing: each keeps its own.
using TargetType = std::optional<DType>;

// All tensors of a single file, with the names of the SGM code.
std::vector<FileTensor> single_file_tensors(const weights::Checkpoint& checkpoint, TargetType dtype);

// Those of one part of a Diffusers folder.
std::vector<FileTensor> component_tensors(const weights::Component& component, TargetType dtype);

}  // namespace sdxl::convert
