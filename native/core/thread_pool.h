// A fixed set of threads that shares out the indices of a loop. No OpenMP: its own pools fight with those of other addons.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sdxl {

class ThreadPool {
 public:
  // `threads` counts the caller of `parallel`: threads − 1 are started. At least 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Calls task(0 … count − 1), each once, on this pool's threads and the caller's; returns when all are done. After an exception no
  // further index begins, and the first one is rethrown. Called from inside a task it runs on that task's thread alone; called from
  // two threads at once, one waits.
  void parallel(int64_t count, const std::function<void(int64_t)>& task);

 private:
  void work();
  void run_indices();

  // The open job. Written before epoch_ becomes odd, read by threads that are inside.
  const std::function<void(int64_t)>* task_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  std::exception_ptr error_;  // guarded by mutex_

  // Odd while a job is open. A worker enters by raising inside_ and looking again; the caller closes and then looks at inside_. Both
  // are sequentially consistent, so either the worker sees the job closed or the caller sees the worker.
  std::atomic<uint64_t> epoch_{0};
  std::atomic<int> inside_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};

  std::mutex mutex_, callers_;
  std::condition_variable opened_, left_;
  std::vector<std::thread> workers_;
};

}  // namespace sdxl
