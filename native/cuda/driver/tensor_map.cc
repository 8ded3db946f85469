#include "cuda/driver/tensor_map.h"

namespace sdxl::cuda {

TensorMap encode_tensor_map(const Context& context, const TensorBox& box) {
  uint64_t sizes[TensorBox::kMost], strides[TensorBox::kMost];
  uint32_t copied[TensorBox::kMost], steps[TensorBox::kMost];
  for (int i = 0; i < box.dimensions; ++i) {
    sizes[i] = uint64_t(box.sizes[i]);
    copied[i] = uint32_t(box.box[i]);
    steps[i] = 1;
    if (i > 0) strides[i - 1] = uint64_t(box.strides[i]);  // the first is the element's size
  }
  TensorMap map;
  context.check(context.functions().cuTensorMapEncodeTiled(&map, kElements16, uint32_t(box.dimensions), const_cast<void*>(box.data), sizes, strides, copied,
                                                           steps, kNoInterleave, kSwizzle128Bytes, kPromote128Bytes, kFillZeros),
                "cuTensorMapEncodeTiled");
  return map;
}

}  // namespace sdxl::cuda
