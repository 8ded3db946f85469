#include "cuda/emulator/shared_memory.h"

#include <cstring>
#include <string>

namespace sdxl::emulator {

namespace {

constexpr uint16_t kWarp = 32;

// Nothing orders the two: same stretch between barriers, other thread.
bool concurrent(const Access& a, const Access& b) {
  if (a.era != b.era || a.thread == b.thread) return false;
  return a.thread / kWarp != b.thread / kWarp || a.warp_era == b.warp_era;
}

std::string text(const Access& a) { return "thread " + std::to_string(a.thread); }

}  // namespace

SharedMemory::SharedMemory(size_t bytes) : bytes_(bytes), cells_((bytes + kCell - 1) / kCell) {
  constexpr size_t kAlignment = 1024;
  memory_.reset(new char[bytes + kAlignment]);
  const uintptr_t end = reinterpret_cast<uintptr_t>(memory_.get()) + kAlignment - 1;
  data_ = reinterpret_cast<char*>(end & ~uintptr_t(kAlignment - 1));
  std::memset(data_, 0xA5, bytes);
}

void SharedMemory::fail(Mistake mistake, const char* what, const Access& before, const Access& by, const void* p) const {
  const auto offset = static_cast<const char*>(p) - data_;
  throw Fault(mistake, std::string(what) + " at shared memory byte " + std::to_string(offset) + ": " + text(by) + " after " + text(before));
}

template <class F>
void SharedMemory::each(const void* p, size_t bytes, F body) {
  const size_t offset = size_t(static_cast<const char*>(p) - data_);
  if (offset + bytes > bytes_) throw Fault(Mistake::bounds, "shared memory byte " + std::to_string(offset + bytes - 1) + " of " + std::to_string(bytes_));
  for (size_t i = offset / kCell; i <= (offset + bytes - 1) / kCell; ++i) body(cells_[i]);
}

void SharedMemory::check_writer(const Cell& cell, const Access& by, bool atomic, const void* p) const {
  if (cell.written == Written::pending) fail(Mistake::pending_copy, "a copy that nobody waited for", cell.writer, by, p);
  if (cell.written == Written::never || (atomic && cell.written == Written::atomically)) return;
  if (concurrent(cell.writer, by)) fail(Mistake::race, "written without a barrier", cell.writer, by, p);
}

void SharedMemory::check_readers(const Cell& cell, const Access& by, const void* p) const {
  if (!cell.was_read || cell.reader.era != by.era) return;
  const bool race = cell.many_warps || cell.reader.thread / kWarp != by.thread / kWarp ||
                    (cell.reader.warp_era == by.warp_era && (cell.many_lanes || cell.reader.thread != by.thread));
  if (race) fail(Mistake::race, "written while others may still read", cell.reader, by, p);
}

void SharedMemory::read(const void* p, size_t bytes, const Access& by) {
  each(p, bytes, [&](Cell& cell) {
    if (cell.written == Written::never) fail(Mistake::uninitialized, "nothing was written", by, by, p);
    check_writer(cell, by, false, p);
    const bool same_era = cell.was_read && cell.reader.era == by.era;
    cell.many_warps = same_era && (cell.many_warps || cell.reader.thread / kWarp != by.thread / kWarp);
    cell.many_lanes = same_era && cell.reader.warp_era == by.warp_era && (cell.many_lanes || cell.reader.thread != by.thread);
    cell.was_read = true;
    cell.reader = by;
  });
}

void SharedMemory::put(const void* p, size_t bytes, const Access& by, Written how) {
  const bool atomic = how == Written::atomically;
  each(p, bytes, [&](Cell& cell) {
    if (atomic && cell.written == Written::never) fail(Mistake::uninitialized, "nothing was written", by, by, p);
    check_writer(cell, by, atomic, p);
    check_readers(cell, by, p);
    cell.written = how;
    cell.writer = by;
    cell.was_read = false;
  });
}

void SharedMemory::write(const void* p, size_t bytes, const Access& by) { put(p, bytes, by, Written::plainly); }

void SharedMemory::atomic(const void* p, size_t bytes, const Access& by) { put(p, bytes, by, Written::atomically); }

void SharedMemory::begin_copy(const void* p, size_t bytes, const Access& by) { put(p, bytes, by, Written::pending); }

void SharedMemory::finish_copy(const void* p, size_t bytes, const Access& by) {
  each(p, bytes, [&](Cell& cell) {
    cell.written = Written::plainly;
    cell.writer = by;
  });
}

void SharedMemory::begin_tile(const void* p, size_t bytes) {
  each(p, bytes, [&](Cell& cell) {
    if (cell.written == Written::pending) fail(Mistake::pending_copy, "two copies at once", {}, {}, p);
    cell = {};
    cell.written = Written::pending;
  });
}

void SharedMemory::finish_tile(const void* p, size_t bytes) {
  each(p, bytes, [&](Cell& cell) { cell.written = Written::plainly; });  // in era 0, before any of a block
}

void SharedMemory::read_tile(const void* p, size_t bytes) {
  each(p, bytes, [&](Cell& cell) {
    if (cell.written == Written::never) fail(Mistake::uninitialized, "nothing was written", {}, {}, p);
    if (cell.written == Written::pending) fail(Mistake::pending_copy, "a copy that nobody waited for", {}, {}, p);
  });
}

}  // namespace sdxl::emulator
