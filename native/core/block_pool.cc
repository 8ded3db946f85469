#include "core/block_pool.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace sdxl {

namespace {

// Large regions hold many small blocks; a block above this gets a region of its own size.
constexpr size_t kRegion = size_t(32) << 20;

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

BlockPool::~BlockPool() {
  for (const auto& [address, block] : blocks_)
    if (block.first) source_.free(address);
}

BlockPool::Blocks::iterator BlockPool::add_region(size_t wanted) {
  // A small limit has small regions, and the last of it is given out without any rounding up.
  size_t size = std::max(wanted, limit_ ? std::min(kRegion, round_up(limit_ / 16, align_)) : kRegion);
  const auto exceeds = [&] { return limit_ && reserved_ + outside_ + size > limit_; };
  if (exceeds()) trim();
  if (exceeds()) size = wanted;
  if (exceeds() && reclaim_) {
    reclaim_();
    trim();  // it may have given blocks of this pool back
  }
  if (exceeds())
    throw Error(Code::out_of_memory,
                "out of memory: " + std::to_string(wanted) + " bytes wanted for activations, " + std::to_string(reserved_ + outside_) +
                    " in use, and the memory budget does not allow more",
                {{"wanted", int64_t(wanted)}, {"used", int64_t(reserved_ + outside_)}, {"limit", int64_t(limit_)}});
  std::byte* memory = source_.allocate(size);
  if (!memory) {  // regions of other sizes may be all that is left
    trim();
    memory = source_.allocate(size = wanted);
  }
  if (!memory) throw source_.exhausted(wanted, reserved_ + outside_);
  reserved_ += size;
  const auto block = blocks_.insert({memory, {size, true, true}}).first;
  remember_free(block);
  return block;
}

std::byte* BlockPool::take(size_t bytes) {
  const size_t size = round_up(std::max<size_t>(bytes, 1), align_);
  const auto fit = free_.lower_bound({size, nullptr});
  auto block = fit != free_.end() ? blocks_.find(fit->second) : add_region(size);
  forget_free(block);
  if (const size_t rest = block->second.size - size; rest > 0) {
    block->second.size = size;
    remember_free(blocks_.insert({block->first + size, {rest, true, false}}).first);
  }
  block->second.free = false;
  used_ += size;
  peak_ = std::max(peak_, used_ + outside_);
  return block->first;
}

void BlockPool::give_back(std::byte* address) {
  auto block = blocks_.find(address);
  used_ -= block->second.size;
  block->second.free = true;
  if (const auto next = std::next(block); next != blocks_.end() && next->second.free && !next->second.first) {
    forget_free(next);
    block->second.size += next->second.size;
    blocks_.erase(next);
  }
  if (!block->second.first)
    if (const auto previous = std::prev(block); previous->second.free) {
      forget_free(previous);
      previous->second.size += block->second.size;
      blocks_.erase(block);
      block = previous;
    }
  remember_free(block);
}

void BlockPool::set_outside(size_t bytes) {
  outside_ = bytes;
  peak_ = std::max(peak_, used_ + outside_);
}

size_t BlockPool::room(size_t wanted) {
  const auto left = [&] { return limit_ - std::min(limit_, used_ + outside_); };
  if (left() < wanted && reclaim_) reclaim_();
  return left();
}

void BlockPool::trim() {
  for (auto block = blocks_.begin(); block != blocks_.end();) {
    const auto next = std::next(block);
    const bool whole_region = block->second.first && (next == blocks_.end() || next->second.first);
    if (block->second.free && whole_region) {
      forget_free(block);
      reserved_ -= block->second.size;
      source_.free(block->first);
      blocks_.erase(block);
    }
    block = next;
  }
}

}  // namespace sdxl
