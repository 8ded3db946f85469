// Jobs of one model, done one after the other on the model's own thread. Once one has thrown Error(crashed), those behind it end with the same
// error unbegun, also where they could be done without the device.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace sdxl::engine {

struct Job {
  std::function<void(const std::atomic<bool>& cancelled)> work;  // on the queue's thread
  std::function<void(std::exception_ptr)> done;                  // exactly once, null on success; on whichever thread ended it
  std::atomic<bool> cancelled = false;
};

class JobQueue {
 public:
  JobQueue();
  ~JobQueue() { finish(); }

  // A job submitted after close() ends at once with Error(closed).
  void submit(std::shared_ptr<Job> job);
  // A waiting job ends at once with Cancelled; a running one when it next looks.
  void cancel(const std::shared_ptr<Job>& job);
  // Cancels everything. `last`, if given, runs on the queue's thread when nothing runs any more; it frees the model.
  void close(std::function<void()> last = {});
  // As close(), then waits until nothing runs any more.
  void finish();

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::shared_ptr<Job> running_;
  std::deque<std::function<void()>> last_;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace sdxl::engine
