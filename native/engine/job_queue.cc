#include "engine/job_queue.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace sdxl::engine {

JobQueue::JobQueue() : thread_([this] { serve(); }) {}

void JobQueue::finish() {
  close();
  if (thread_.joinable()) thread_.join();
}

void JobQueue::submit(std::shared_ptr<Job> job) {
  {
    std::lock_guard lock(mutex_);
    if (!closed_) {
      waiting_.push_back(std::move(job));
      wake_.notify_one();
      return;
    }
  }
  job->done(std::make_exception_ptr(Error(Code::closed, "the model is closed")));
}

void JobQueue::cancel(const std::shared_ptr<Job>& job) {
  job->cancelled = true;
  {
    std::lock_guard lock(mutex_);
    const auto found = std::find(waiting_.begin(), waiting_.end(), job);
    if (found == waiting_.end()) return;
    waiting_.erase(found);
  }
  job->done(std::make_exception_ptr(Cancelled{}));
}

void JobQueue::close(std::function<void()> last) {
  std::deque<std::shared_ptr<Job>> dropped;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(waiting_);
    if (running_) running_->cancelled = true;
    if (last) last_.push_back(std::move(last));
    wake_.notify_one();
  }
  for (const auto& job : dropped) job->done(std::make_exception_ptr(Error(Code::closed, "the model was closed before this job began")));
}

void JobQueue::serve() {
  std::exception_ptr crash;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
    if (!waiting_.empty()) {
      running_ = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      std::exception_ptr error = crash;
      try {
        if (!crash) running_->work(running_->cancelled);
      } catch (const Error& e) {
        error = std::current_exception();
        if (e.code == Code::crashed) crash = error;
      } catch (...) {
        error = std::current_exception();
      }
      running_->done(error);
      lock.lock();
      running_.reset();
      continue;
    }
    while (!last_.empty()) {
      const auto last = std::move(last_.front());
      last_.pop_front();
      lock.unlock();
      last();
      lock.lock();
    }
    return;
  }
}

}  // namespace sdxl::engine
