// Weights that lie in pinned memory of the host and take turns on the GPU, in a ring of fixed size there. Copies have a stream of their own, so
// that the next weights travel while those before are at work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/arena.h"
#include "cuda/driver/stream.h"

namespace sdxl::cuda {

// One thread uses it and everything of it.
class WeightCache {
 public:
  // For the work of one stream, in `bytes` bytes of the GPU. The stream has to be done when it goes.
  WeightCache(const Context& context, const Stream& work, size_t bytes);
  ~WeightCache();
  WeightCache(const WeightCache&) = delete;
  WeightCache& operator=(const WeightCache&) = delete;

  struct Slot;

  // A weight that takes turns. The cache outlives it.
  class Entry {
   public:
    Entry(WeightCache& cache, const void* values, size_t bytes);
    ~Entry();  // waits until nothing reads the values any more
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    friend class WeightCache;
    WeightCache& cache_;
    const void* values_;  // pinned
    size_t bytes_;
    uint64_t id_, next_ = 0;  // next_: of what was used after it the last time; none has the id 0
    Slot* slot_ = nullptr;    // null: not on the GPU
    bool expected_ = false;
    Event uploaded_;
  };

  // The address of the weight on the GPU, for work that is put into the stream now. It stays there until `launched`. Throws Error(out_of_memory)
  // where what is in use at once does not fit the ring.
  const void* use(Entry& entry);
  // All work is in the stream that reads what was used since the last such call. Brings what came next the last time.
  void launched();

  int64_t bytes() const { return ring_.bytes(); }

 private:
  // Room in place of what came first. Null where what is in use leaves none or, unless `needed`, where something expected sooner is in the way.
  Slot* place(size_t bytes, bool needed);
  void remove_oldest();
  Slot& new_slot();
  void upload(Entry& entry, Slot& slot);
  void note_use(Entry& entry);
  void look_ahead();
  void expect_nothing();
  Entry* entry_of(uint64_t id) const;

  const Context& context_;
  const Stream& work_;
  Stream copies_;
  Arena memory_;
  Array ring_;
  size_t head_ = 0;                           // where the next slot begins if it fits there
  std::deque<std::unique_ptr<Slot>> slots_;   // oldest first, which is their order in the ring from the head on
  std::vector<std::unique_ptr<Slot>> spare_;  // kept for their events
  std::vector<Slot*> in_use_;
  std::unordered_map<uint64_t, Entry*> entries_;
  uint64_t last_id_ = 0;
  Entry* last_ = nullptr;        // used
  std::deque<Entry*> expected_;  // to be used next
  size_t expected_bytes_ = 0;
};

}  // namespace sdxl::cuda
