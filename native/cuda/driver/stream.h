// Work for a GPU in order, points in it, and whole pieces of it recorded to be repeated.
#pragma once

#include <cstddef>
#include <functional>

#include "cuda/driver/context.h"
#include "cuda/driver/modules.h"
#include "cuda/launch/launch.h"

namespace sdxl::cuda {

class Stream;

class Event {
 public:
  enum class Timing { off, on };

  explicit Event(const Context& context, Timing timing = Timing::off);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(const Stream& stream);
  bool reached() const;
  void wait() const;  // sleeps; an event never recorded counts as reached
  // From an earlier event to this one; both time and were reached.
  double milliseconds_since(const Event& earlier) const;

 private:
  friend class Stream;
  const Context& context_;
  CUevent_st* handle_ = nullptr;
};

class Stream {
 public:
  explicit Stream(const Context& context);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void launch(Modules& modules, const Launch& launch) const;
  // Host memory is pinned, and neither side is touched until the stream is past the copy.
  void upload(void* device, const void* host, size_t bytes) const;
  void download(void* host, const void* device, size_t bytes) const;
  // Within the GPU.
  void copy(void* to, const void* from, size_t bytes) const;
  void fill(void* to, unsigned char value, size_t bytes) const;
  // What comes next waits for the event, on the GPU.
  void wait_for(const Event& event) const;
  // Until all is done. Errors of kernels show here at the latest.
  void finish();

  const Context& context() const { return context_; }
  CUstream_st* handle() const { return handle_; }

 private:
  const Context& context_;
  CUstream_st* handle_ = nullptr;
  Event end_;
};

// A piece of work as one object. Pointers and parameters are those of the recording; what changes between rounds lies in device memory.
class Graph {
 public:
  // Calls `work`, which fills the stream and neither waits nor allocates; nothing of it runs yet.
  Graph(const Stream& stream, const std::function<void()>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(const Stream& stream) const;

 private:
  const Context& context_;
  CUgraphExec_st* handle_ = nullptr;
};

}  // namespace sdxl::cuda
