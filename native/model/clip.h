// A CLIP text encoder. Radford et al. 2021; CLIP-L and OpenCLIP bigG differ in size, activation and projection only.
#pragma once

#include "model/layers.h"

namespace sdxl::model {

class Clip {
 public:
  static constexpr int64_t kLength = 77;         // tokens of a chunk, start and end included
  static constexpr int32_t kFirstAdded = 49408;  // behind the ids of CLIP's vocabulary

  Clip(const weights::Component& component, ops::Activation activation);

  struct Input {
    std::vector<int32_t> ids;     // [chunks, 77]; from kFirstAdded on they count the tokens that were added
    std::vector<uint8_t> hidden;  // [chunks, 77]: tokens that no token attends to are not 0; never the first of a chunk
  };
  // Hidden states behind all but the last `skip` layers, without the final norm: [chunks, 77, width].
  // `last`, if given, receives the first chunk behind all layers: [1, 77, width].
  Array encode(const Run& run, const Input& input, int skip, Array* last) const;

  // The vector of one chunk: final norm and projection of the state at `position`. last [1, 77, width] → [1, projection].
  Array pool(const Run& run, ConstTensor last, int64_t position) const;

  // Tokens beyond the vocabulary, as textual inversion learns them: rows [n, width] behind those added before.
  void add_tokens(const std::vector<float>& rows) { added_.insert(added_.end(), rows.begin(), rows.end()); }

  int64_t width() const { return width_; }
  int64_t vocabulary() const { return vocabulary_; }
  int64_t projection() const { return projection_ ? projection_->out : 0; }  // 0: none in the file
  int depth() const { return int(blocks_.size()); }
  Layers layers;

 private:
  struct Block {
    const Norm *norm1, *norm2;
    const Linear *qkv, *out, *fc1, *fc2;
  };
  void embed(const Run& run, const std::vector<int32_t>& ids, Tensor y) const;
  void run_block(const Run& run, const Block& block, const std::vector<uint8_t>& hidden, Tensor states) const;

  ops::Activation activation_;
  int64_t width_ = 0, vocabulary_ = 0;
  const Table *tokens_ = nullptr, *positions_ = nullptr;
  const Norm* norm_ = nullptr;
  const Linear* projection_ = nullptr;
  std::vector<Block> blocks_;
  std::vector<float> added_;  // [added tokens, width]
};

}  // namespace sdxl::model
