#include "engine/job_queue.h"

#include <chrono>
#include <string>
#include <vector>

#include "core/error.h"
#include "test/check.h"

namespace sdxl::engine {

namespace {

using namespace std::chrono_literals;

// How a job ended, and the means to wait for that.
class Outcome {
 public:
  std::shared_ptr<Job> job(std::function<void(const std::atomic<bool>&)> work) {
    auto job = std::make_shared<Job>();
    job->work = std::move(work);
    job->done = [this](std::exception_ptr error) {
      std::lock_guard lock(mutex_);
      try {
        if (error) std::rethrow_exception(error);
        ended_ = "done";
      } catch (const Error& e) {
        ended_ = name_of(e.code);
      } catch (const Cancelled&) {
        ended_ = "cancelled";
      }
      ++times_;
      changed_.notify_all();
    };
    return job;
  }
  std::string wait() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] { return times_ > 0; });
    return ended_;
  }
  int times() {
    std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string ended_ = "never";
  int times_ = 0;
};

// Runs until it is cancelled, as a model does.
void until_cancelled(const std::atomic<bool>& cancelled) {
  while (!cancelled) std::this_thread::sleep_for(100us);
  throw Cancelled{};
}

}  // namespace

TEST("job queue: jobs run in order and report how they ended") {
  JobQueue queue;
  std::vector<int> order;
  Outcome a, b, c;
  queue.submit(a.job([&](const auto&) { order.push_back(1); }));
  queue.submit(b.job([&](const auto&) {
    order.push_back(2);
    throw Error(Code::out_of_memory, "");
  }));
  queue.submit(c.job([&](const auto&) { order.push_back(3); }));
  CHECK(c.wait() == "done" && a.wait() == "done" && b.wait() == "ERR_OUT_OF_MEMORY");
  CHECK((order == std::vector{1, 2, 3}));
}

TEST("job queue: after a crash nothing is begun") {
  JobQueue queue;
  Outcome crash, behind, later;
  queue.submit(crash.job([](const auto&) { throw Error(Code::crashed, "the device"); }));
  bool begun = false;
  queue.submit(behind.job([&](const auto&) { begun = true; }));
  CHECK(crash.wait() == "ERR_CRASHED" && behind.wait() == "ERR_CRASHED");
  queue.submit(later.job([&](const auto&) { begun = true; }));
  CHECK(later.wait() == "ERR_CRASHED" && !begun);
}

TEST("job queue: cancelling ends a waiting job at once and a running one when it looks") {
  JobQueue queue;
  Outcome running, waiting, behind;
  const auto first = running.job(until_cancelled), second = waiting.job(until_cancelled);
  queue.submit(first), queue.submit(second), queue.submit(behind.job([](const auto&) {}));
  queue.cancel(second);
  CHECK(waiting.times() == 1 && waiting.wait() == "cancelled" && running.times() == 0);
  queue.cancel(first);
  CHECK(running.wait() == "cancelled" && behind.wait() == "done");
  queue.cancel(first);  // too late: nothing happens
  CHECK(running.times() == 1);
}

TEST("job queue: closing cancels, refuses what comes later, and frees last") {
  Outcome running, waiting, late;
  std::atomic<bool> begun = false, freed = false, freed_too_early = false;
  {
    JobQueue queue;
    queue.submit(running.job([&](const auto& cancelled) {
      begun = true;
      while (!cancelled) std::this_thread::sleep_for(100us);
      freed_too_early = bool(freed);
      throw Cancelled{};
    }));
    queue.submit(waiting.job([](const auto&) {}));
    while (!begun) std::this_thread::yield();
    queue.close([&] { freed = true; });
    queue.submit(late.job([](const auto&) {}));
    CHECK(late.wait() == "ERR_CLOSED");
  }
  CHECK(freed && !freed_too_early);
  CHECK(running.wait() == "cancelled" && waiting.times() == 1 && late.times() == 1);
}

TEST("job queue: many threads submit and cancel") {
  std::vector<Outcome> outcomes(40);
  {
    JobQueue queue;
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (size_t i = t; i < outcomes.size(); i += 4) {
          const auto job = outcomes[i].job([](const auto&) { std::this_thread::sleep_for(50us); });
          queue.submit(job);
          if (i % 3 == 0) queue.cancel(job);
        }
      });
    for (auto& thread : threads) thread.join();
    for (Outcome& o : outcomes) o.wait();
  }
  bool once = true;
  for (Outcome& o : outcomes) once = once && o.times() == 1;
  CHECK(once);
}

}  // namespace sdxl::engine
