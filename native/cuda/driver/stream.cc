#include "cuda/driver/stream.h"

namespace sdxl::cuda {

namespace {

DevicePointer address(const void* device) { return reinterpret_cast<DevicePointer>(device); }

}  // namespace

Event::Event(const Context& context, Timing timing) : context_(context) {
  const unsigned flags = kBlockingSync | (timing == Timing::off ? kDisableTiming : 0);
  context_.check(context_.functions().cuEventCreate(&handle_, flags), "cuEventCreate");
}

Event::~Event() { context_.functions().cuEventDestroy_v2(handle_); }

void Event::record(const Stream& stream) { context_.check(context_.functions().cuEventRecord(handle_, stream.handle()), "cuEventRecord"); }

bool Event::reached() const {
  const Result r = context_.functions().cuEventQuery(handle_);
  if (r == result::kNotReady) return false;
  context_.check(r, "work on the GPU");
  return true;
}

void Event::wait() const { context_.check(context_.functions().cuEventSynchronize(handle_), "work on the GPU"); }

double Event::milliseconds_since(const Event& earlier) const {
  float milliseconds = 0;
  context_.check(context_.functions().cuEventElapsedTime(&milliseconds, earlier.handle_, handle_), "cuEventElapsedTime");
  return milliseconds;
}

Stream::Stream(const Context& context) : context_(context), end_(context) {
  context_.check(context_.functions().cuStreamCreate(&handle_, kNonBlockingStream), "cuStreamCreate");
}

Stream::~Stream() { context_.functions().cuStreamDestroy_v2(handle_); }

void Stream::launch(Modules& modules, const Launch& launch) const {
  void* parameters[] = {const_cast<void*>(launch.parameters())};
  context_.check(context_.functions().cuLaunchKernel(modules.function(launch), launch.grid.x, launch.grid.y, launch.grid.z, launch.threads, 1, 1,
                                                     launch.shared_bytes, handle_, parameters, nullptr),
                 launch.kernel);
}

void Stream::upload(void* device, const void* host, size_t bytes) const {
  context_.check(context_.functions().cuMemcpyHtoDAsync_v2(address(device), host, bytes, handle_), "an upload");
}

void Stream::download(void* host, const void* device, size_t bytes) const {
  context_.check(context_.functions().cuMemcpyDtoHAsync_v2(host, address(device), bytes, handle_), "a download");
}

void Stream::copy(void* to, const void* from, size_t bytes) const {
  context_.check(context_.functions().cuMemcpyDtoDAsync_v2(address(to), address(from), bytes, handle_), "a copy");
}

void Stream::fill(void* to, unsigned char value, size_t bytes) const {
  context_.check(context_.functions().cuMemsetD8Async(address(to), value, bytes, handle_), "a fill");
}

void Stream::wait_for(const Event& event) const { context_.check(context_.functions().cuStreamWaitEvent(handle_, event.handle_, 0), "cuStreamWaitEvent"); }

void Stream::finish() {
  end_.record(*this);  // an event can be waited for asleep, a stream takes a whole CPU
  end_.wait();
}

Graph::Graph(const Stream& stream, const std::function<void()>& work) : context_(stream.context()) {
  const Functions& f = context_.functions();
  CUgraph_st* recorded = nullptr;
  context_.check(f.cuStreamBeginCapture_v2(stream.handle(), kCaptureThisThread), "cuStreamBeginCapture");
  try {
    work();
  } catch (...) {
    f.cuStreamEndCapture(stream.handle(), &recorded);
    if (recorded) f.cuGraphDestroy(recorded);
    throw;
  }
  context_.check(f.cuStreamEndCapture(stream.handle(), &recorded), "recording a graph");
  const Result made = f.cuGraphInstantiateWithFlags(&handle_, recorded, 0);
  f.cuGraphDestroy(recorded);
  context_.check(made, "a graph");
}

Graph::~Graph() { context_.functions().cuGraphExecDestroy(handle_); }

void Graph::launch(const Stream& stream) const { context_.check(context_.functions().cuGraphLaunch(handle_, stream.handle()), "a graph"); }

}  // namespace sdxl::cuda
