// SPDX-License-Identifier: Apache-2.0
// The event loop of a daemon: one thread, one Asio context that no other header sees.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "splitnve/base/time.hpp"

namespace splitnve::host {

/// How often a running loop looks at the clock at least, and how much later than that it was stalled.
inline constexpr Duration kLoopBeat = std::chrono::milliseconds(500);
inline constexpr Duration kStallLeast = std::chrono::seconds(1);

/// Runs tasks, descriptor events, timers and signals on the thread that calls `run()`. Only `post()` and `stop()` may
/// be called from another thread. Must outlive every FdWatch and Timer.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// The agents' time line: the steady clock without the time for which a loop did not run though it should have. Time
  /// in which we were stopped, or could not turn, is nobody's silence (S42): no deadline passes in it.
  static Instant now();
  /// Called on the loop, soon after it has stood still for more than kStallLeast, or the machine was suspended so long.
  void on_stall(std::function<void(Duration)> handler);
  /// Returns after `stop()`; `restart()` allows another run.
  void run();
  void stop();
  void restart();
  void post(std::function<void()> task);
  /// Calls `handler(signal)` on the loop; one set per loop.
  void on_signals(const std::vector<int>& signals, std::function<void(int)> handler);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Level-triggered interest in a descriptor, which it does not own. May be destroyed from within its own callback.
class FdWatch {
 public:
  FdWatch(Loop& loop, int fd, std::function<void()> readable, std::function<void()> writable = {});
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;
  void want_read(bool wanted);
  void want_write(bool wanted);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Calls back once per arming, on the loop, not before the instant.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> expired);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  /// Replaces an earlier arming; an instant in the past expires at once.
  void arm(Instant at);
  void disarm();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace splitnve::host
