#include "core/thread_pool.h"

#include <chrono>
#include <system_error>
#include <utility>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace sdxl {

namespace {

// Long enough to bridge the gap between two ops, short enough to leave the CPU to others.
constexpr auto kSpin = std::chrono::microseconds(30);

thread_local bool inside_task = false;

void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  __asm__ __volatile__("yield");
#else
  std::this_thread::yield();
#endif
}

template <class Condition>
bool spin_until(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    // The system gives no more threads: fewer do the same work.
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  opened_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_indices() {
  inside_task = true;
  for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
    try {
      (*task_)(i);
    } catch (...) {
      next_ = count_;
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }
  inside_task = false;
}

void ThreadPool::work() {
  uint64_t seen = 0;
  const auto something_to_do = [&] {
    const uint64_t epoch = epoch_;
    return stop_ || (epoch % 2 == 1 && epoch != seen);
  };
  while (true) {
    if (!spin_until(something_to_do)) {
      std::unique_lock lock(mutex_);
      ++sleepers_;
      opened_.wait(lock, something_to_do);
      --sleepers_;
    }
    if (stop_) return;
    ++inside_;
    if (const uint64_t epoch = epoch_; epoch % 2 == 1) {
      seen = epoch;
      run_indices();
    }
    if (--inside_ == 0 && caller_sleeps_) {
      const std::lock_guard lock(mutex_);
      left_.notify_one();
    }
  }
}

void ThreadPool::parallel(int64_t count, const std::function<void(int64_t)>& task) {
  if (inside_task || workers_.empty() || count <= 1) {
    for (int64_t i = 0; i < count; ++i) task(i);
    return;
  }
  const std::lock_guard one_caller(callers_);
  task_ = &task;
  count_ = count;
  next_ = 0;
  error_ = nullptr;
  ++epoch_;
  if (sleepers_ > 0) {
    { const std::lock_guard lock(mutex_); }  // a worker between its last look and its wait holds the mutex
    if (count > int64_t(workers_.size())) opened_.notify_all();
    else
      for (int64_t i = 1; i < count; ++i) opened_.notify_one();
  }
  run_indices();
  ++epoch_;
  if (!spin_until([&] { return inside_ == 0; })) {
    std::unique_lock lock(mutex_);
    caller_sleeps_ = true;
    left_.wait(lock, [&] { return inside_ == 0; });
    caller_sleeps_ = false;
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace sdxl
