// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/loop.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "loop_impl.hpp"

namespace splitnve::host {

using SteadyTime = std::chrono::steady_clock::time_point;

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

Instant Loop::now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

void Loop::run() { impl_->io.run(); }
void Loop::stop() { impl_->io.stop(); }
void Loop::restart() { impl_->io.restart(); }
void Loop::post(std::function<void()> task) { boost::asio::post(impl_->io, std::move(task)); }

void Loop::on_signals(const std::vector<int>& signals, std::function<void(int)> handler) {
  impl_->on_signal = std::move(handler);
  for (const int number : signals) impl_->signals.add(number);
  impl_->await_signal();
}

/// Outlives its FdWatch while a callback runs or a wait is still queued.
struct FdWatch::State : std::enable_shared_from_this<FdWatch::State> {
  struct Direction {
    std::function<void()> ready;
    bool wanted = false;
    bool waiting = false;
  };
  State(boost::asio::io_context& io, int fd) : descriptor(io, fd) {}

  void want(Direction& direction, boost::asio::posix::stream_descriptor::wait_type type, bool wanted) {
    direction.wanted = wanted;
    arm(direction, type);
  }
  void arm(Direction& direction, boost::asio::posix::stream_descriptor::wait_type type) {
    if (closed || !direction.wanted || direction.waiting) return;
    direction.waiting = true;
    descriptor.async_wait(type, [self = shared_from_this(), &direction, type](const boost::system::error_code& error) {
      direction.waiting = false;
      if (error || self->closed) return;
      if (direction.wanted) direction.ready();
      self->arm(direction, type);
    });
  }

  boost::asio::posix::stream_descriptor descriptor;
  Direction read;
  Direction write;
  bool closed = false;
};

FdWatch::FdWatch(Loop& loop, int fd, std::function<void()> readable, std::function<void()> writable)
    : state_(std::make_shared<State>(loop.impl().io, fd)) {
  state_->read.ready = std::move(readable);
  state_->write.ready = std::move(writable);
}

FdWatch::~FdWatch() {
  state_->closed = true;
  state_->descriptor.release();  // cancels the waits; the descriptor is its owner's to close
}

void FdWatch::want_read(bool wanted) {
  state_->want(state_->read, boost::asio::posix::stream_descriptor::wait_read, wanted);
}
void FdWatch::want_write(bool wanted) {
  state_->want(state_->write, boost::asio::posix::stream_descriptor::wait_write, wanted);
}

struct Timer::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io, std::function<void()> callback) : timer(io), expired(std::move(callback)) {}
  void wait(Instant at);

  boost::asio::steady_timer timer;
  std::function<void()> expired;
  std::optional<Instant> due;      ///< when to call
  std::optional<Instant> waiting;  ///< until when the kernel sleeps: never later than `due`
  std::uint64_t arming = 0;        ///< a cancelled wait may already be queued as expired; it names an old arming
};

void Timer::State::wait(Instant at) {
  waiting = at;
  const std::uint64_t number = ++arming;
  timer.expires_at(SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(at.time_since_epoch())));
  timer.async_wait([self = shared_from_this(), number](const boost::system::error_code& error) {
    if (error || self->arming != number) return;
    self->waiting.reset();
    if (!self->due) return;
    if (*self->due > Loop::now()) return self->wait(*self->due);
    self->due.reset();
    self->expired();
  });
}

Timer::Timer(Loop& loop, std::function<void()> expired)
    : state_(std::make_shared<State>(loop.impl().io, std::move(expired))) {}

Timer::~Timer() {
  ++state_->arming;
  state_->timer.cancel();
}

// Deadlines mostly move away: a wait that ends early is begun again, which costs less than setting the kernel's timer
// with every move.
void Timer::arm(Instant at) {
  state_->due = at;
  if (!state_->waiting || *state_->waiting > at) state_->wait(at);
}

void Timer::disarm() { state_->due.reset(); }

}  // namespace splitnve::host
