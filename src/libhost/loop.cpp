// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/loop.hpp"

#include <atomic>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <ctime>

#include "loop_impl.hpp"

namespace splitnve::host {

using SteadyTime = std::chrono::steady_clock::time_point;

namespace {

/// For how long the loops of this process stood still, in all.
std::atomic<std::int64_t> stood_still_ns{0};
/// The loop that this thread runs.
thread_local Loop::Impl* running = nullptr;

Duration stood_still() { return std::chrono::nanoseconds(stood_still_ns.load(std::memory_order_relaxed)); }

/// For how long the machine was suspended since it was booted: only one of the two clocks goes on then.
Duration suspended() {
  timespec boot{}, awake{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  clock_gettime(CLOCK_MONOTONIC, &awake);
  return std::chrono::seconds(boot.tv_sec - awake.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec - awake.tv_nsec);
}

}  // namespace

void Loop::Impl::look(SteadyTime now) {
  const auto gap = now - std::exchange(seen, now);
  if (gap <= kLoopBeat + kStallLeast) return;
  stood_still_ns += std::chrono::duration_cast<std::chrono::nanoseconds>(gap).count();
  tell_stall(gap);
}

void Loop::Impl::tell_stall(Duration gap) {
  stalled += gap;
  if (!on_stall || std::exchange(told, true)) return;
  boost::asio::post(io, [this] {
    told = false;
    on_stall(std::exchange(stalled, {}));
  });
}

void Loop::Impl::await_beat() {
  beat.expires_after(kLoopBeat);
  beat.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    look(std::chrono::steady_clock::now());
    const Duration before = std::exchange(asleep, suspended());
    if (asleep - before > kStallLeast) tell_stall(asleep - before);
    await_beat();
  });
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

Instant Loop::now() {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (running != nullptr) running->look(now);
  return Instant(now.time_since_epoch() - stood_still());
}

void Loop::on_stall(std::function<void(Duration)> handler) { impl_->on_stall = std::move(handler); }

void Loop::run() {
  Impl* const outer = std::exchange(running, impl_.get());
  impl_->seen = std::chrono::steady_clock::now();
  impl_->asleep = suspended();
  impl_->await_beat();
  impl_->io.run();
  impl_->beat.cancel();
  running = outer;
}
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
  timer.expires_at(SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(at.time_since_epoch() + stood_still())));
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
