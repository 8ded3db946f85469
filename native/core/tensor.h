// Views of dense tensors. They own nothing: memory belongs to an Arena, a mapped file or the caller, and may be a GPU's.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "core/dtype.h"
#include "core/error.h"

namespace sdxl {

class Shape {
 public:
  static constexpr int kMaxRank = 4;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (const int64_t d : dims) dims_[size_t(rank_++)] = d;
  }
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[size_t(i)]; }
  int64_t last() const { return dims_[size_t(rank_ - 1)]; }
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[size_t(i)];
    return n;
  }
  bool operator==(const Shape&) const = default;
  std::string text() const {
    std::string s = "[";
    for (int i = 0; i < rank_; ++i) s += (i ? ", " : "") + std::to_string(dims_[size_t(i)]);
    return s + "]";
  }

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// T is float or const float; elements of other types are reached by address alone. The default is "no tensor", for optional operands.
template <class T>
class BasicTensor {
 public:
  using Address = std::conditional_t<std::is_const_v<T>, const void, void>*;

  BasicTensor() = default;
  BasicTensor(T* data, Shape shape) : address_(data), shape_(shape) {}
  BasicTensor(Address address, DType type, Shape shape) : address_(address), shape_(shape), type_(type) {}
  operator BasicTensor<const T>() const { return {address_, type_, shape_}; }

  explicit operator bool() const { return address_ != nullptr; }
  DType type() const { return type_; }
  Address address() const { return address_; }
  // Of one element, counted from the first.
  Address at(int64_t element) const {
    using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
    return static_cast<Byte*>(address_) + element * size_of(type_);
  }
  T* data() const {
    if (type_ != DType::f32) throw Error(Code::internal, std::string("expected a tensor of F32, got ") + name_of(type_));
    return static_cast<T*>(address_);
  }
  T& operator[](int64_t i) const { return static_cast<T*>(address_)[i]; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return shape_.elements(); }
  int64_t bytes() const { return elements() * size_of(type_); }

  template <size_t Rank>
  std::array<int64_t, Rank> dims() const {
    if (shape_.rank() != int(Rank)) throw Error(Code::internal, "expected a tensor of rank " + std::to_string(Rank) + ", got shape " + shape_.text());
    std::array<int64_t, Rank> d;
    for (size_t i = 0; i < Rank; ++i) d[i] = shape_[int(i)];
    return d;
  }

  // The same memory under another shape.
  BasicTensor as(Shape shape) const {
    if (shape.elements() != elements()) throw Error(Code::internal, "cannot view " + shape_.text() + " as " + shape.text());
    return {address_, type_, shape};
  }
  // Item i of the first dimension, the rank kept.
  BasicTensor item(int64_t i, int64_t count = 1) const {
    const int64_t each = elements() / shape_[0];
    Shape s = shape_.rank() == 1   ? Shape{count}
              : shape_.rank() == 2 ? Shape{count, shape_[1]}
              : shape_.rank() == 3 ? Shape{count, shape_[1], shape_[2]}
                                   : Shape{count, shape_[1], shape_[2], shape_[3]};
    return {at(i * each), type_, s};
  }

 private:
  Address address_ = nullptr;
  Shape shape_;
  DType type_ = DType::f32;
};

using Tensor = BasicTensor<float>;
using ConstTensor = BasicTensor<const float>;

}  // namespace sdxl
