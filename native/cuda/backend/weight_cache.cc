#include "cuda/backend/weight_cache.h"

#include <algorithm>
#include <string>
#include <utility>

#include "cuda/driver/memory.h"

namespace sdxl::cuda {

namespace {

// How far to look ahead. What was guessed wrongly travels for nothing, and has thrown out something else.
constexpr size_t kMostAhead = size_t(256) << 20;

size_t aligned(size_t bytes) { return (bytes + kDeviceAlign - 1) / kDeviceAlign * kDeviceAlign; }

}  // namespace

struct WeightCache::Slot {
  explicit Slot(const Context& context) : used(context) {}
  size_t begin = 0, end = 0;
  Entry* entry = nullptr;  // null: it has gone
  bool in_use = false, awaited = false, was_used = false;
  Event used;  // behind the last work that reads it
};

WeightCache::WeightCache(const Context& context, const Stream& work, size_t bytes)
    : context_(context), work_(work), copies_(context), memory_(device_arena(context, bytes)), ring_(memory_.take({int64_t(bytes)}, DType::u8)) {}

WeightCache::~WeightCache() = default;

WeightCache::Entry::Entry(WeightCache& cache, const void* values, size_t bytes)
    : cache_(cache), values_(values), bytes_(bytes), id_(++cache.last_id_), uploaded_(cache.context_) {
  cache_.entries_[id_] = this;
}

WeightCache::Entry::~Entry() {
  cache_.expect_nothing();
  cache_.entries_.erase(id_);
  if (cache_.last_ == this) cache_.last_ = nullptr;
  if (slot_) slot_->entry = nullptr;
  try {
    uploaded_.wait();
  } catch (const Error&) {  // after a crash nothing is under way
  }
}

const void* WeightCache::use(Entry& entry) {
  note_use(entry);
  if (!entry.slot_) {
    Slot* const slot = place(entry.bytes_, true);
    if (!slot)
      throw Error(Code::out_of_memory,
                  "out of memory: " + std::to_string(entry.bytes_) + " bytes wanted for a layer's weights, beside what it has in use of the " +
                      std::to_string(bytes()) + " that weights take turns in",
                  {{"wanted", int64_t(entry.bytes_)}, {"limit", bytes()}});
    upload(entry, *slot);
  }
  Slot& slot = *entry.slot_;
  if (!slot.awaited) work_.wait_for(entry.uploaded_);
  slot.awaited = true;
  if (!slot.in_use) in_use_.push_back(&slot);
  slot.in_use = true;
  return static_cast<const std::byte*>(ring_.address()) + slot.begin;
}

void WeightCache::launched() {
  for (Slot* slot : in_use_) slot->in_use = false, slot->was_used = true;
  for (Slot* slot : std::exchange(in_use_, {})) slot->used.record(work_);
  look_ahead();
}

void WeightCache::note_use(Entry& entry) {
  if (last_) last_->next_ = entry.id_;
  last_ = &entry;
  if (expected_.empty() || expected_.front() != &entry) return expect_nothing();
  entry.expected_ = false;
  expected_bytes_ -= entry.bytes_;
  expected_.pop_front();
}

void WeightCache::expect_nothing() {
  for (Entry* entry : expected_) entry->expected_ = false;
  expected_.clear();
  expected_bytes_ = 0;
}

WeightCache::Entry* WeightCache::entry_of(uint64_t id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second;
}

// Half the ring is for what is at work, and for what was.
void WeightCache::look_ahead() {
  Entry* entry = expected_.empty() ? last_ : expected_.back();
  while (entry && (entry = entry_of(entry->next_))) {
    if (entry->expected_ || entry == last_ || expected_bytes_ + entry->bytes_ > std::min(kMostAhead, size_t(bytes()) / 2)) return;
    if (!entry->slot_) {
      Slot* const slot = place(entry->bytes_, false);
      if (!slot) return;
      upload(*entry, *slot);
    }
    entry->expected_ = true;
    expected_.push_back(entry);
    expected_bytes_ += entry->bytes_;
  }
}

WeightCache::Slot* WeightCache::place(size_t wanted, bool needed) {
  const size_t bytes = aligned(wanted), size = size_t(ring_.bytes());
  for (size_t passed = 0; bytes <= size && passed <= slots_.size();) {
    const bool wraps = head_ + bytes > size;
    const size_t begin = wraps ? 0 : head_, end = begin + bytes;
    // In the way are the oldest: to the end of the ring where that is passed over, then those that overlap.
    const auto in_the_way = [&](const Slot& slot) { return (wraps && slot.begin >= head_) || (slot.begin < end && begin < slot.end); };
    size_t count = 0;
    while (count < slots_.size() && in_the_way(*slots_[count]) && !slots_[count]->in_use) ++count;
    if (!needed && std::any_of(slots_.begin(), slots_.begin() + long(count), [](const auto& slot) { return slot->entry && slot->entry->expected_; }))
      return nullptr;
    if (count < slots_.size() && in_the_way(*slots_[count])) {  // the head passes what is in use
      if (!needed) return nullptr;
      for (size_t i = 0; i <= count; ++i, ++passed) {
        slots_.push_back(std::move(slots_.front()));
        slots_.pop_front();
      }
      head_ = slots_.back()->end;
      continue;
    }
    for (; count > 0; --count) remove_oldest();
    Slot& slot = new_slot();
    slot.begin = begin, slot.end = head_ = end;
    return &slot;
  }
  return nullptr;
}

void WeightCache::remove_oldest() {
  std::unique_ptr<Slot> slot = std::move(slots_.front());
  slots_.pop_front();
  if (slot->entry) slot->entry->slot_ = nullptr;
  if (slot->was_used) copies_.wait_for(slot->used);
  spare_.push_back(std::move(slot));
}

WeightCache::Slot& WeightCache::new_slot() {
  if (spare_.empty()) spare_.push_back(std::make_unique<Slot>(context_));
  slots_.push_back(std::move(spare_.back()));
  spare_.pop_back();
  Slot& slot = *slots_.back();
  slot.entry = nullptr;
  slot.in_use = slot.awaited = slot.was_used = false;
  return slot;
}

void WeightCache::upload(Entry& entry, Slot& slot) {
  copies_.upload(static_cast<std::byte*>(ring_.address()) + slot.begin, entry.values_, entry.bytes_);
  entry.uploaded_.record(copies_);
  entry.slot_ = &slot;
  slot.entry = &entry;
}

}  // namespace sdxl::cuda
