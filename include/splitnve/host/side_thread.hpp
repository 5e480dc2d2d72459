// SPDX-License-Identifier: Apache-2.0
// A bounded queue and the thread that empties it: for what may be slow or stop (a log's reader, a disk) and of which a
// loss is better than a wait.
#pragma once
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "splitnve/base/time.hpp"

namespace splitnve::host {

/// `push()` never waits for the thread; beyond the bound an item is lost and counted. Thread-safe.
template <class Item>
class SideThread {
 public:
  /// Runs on the thread with all that is queued. Once `hurry` is set it ends soon, and may drop what is left.
  using Consume = std::function<void(std::vector<Item>& items, const std::atomic<bool>& hurry)>;

  /// `gather`: how long the first item of a batch may wait for others.
  SideThread(const char* name, std::size_t items_max, Duration gather, Consume consume)
      : state_(std::make_shared<State>()) {
    state_->items_max = items_max;
    state_->gather = gather;
    state_->consume = std::move(consume);
    thread_ = std::thread([state = state_, name] {
      ::pthread_setname_np(::pthread_self(), name);  // as top -H and /proc show it
      state->run();
    });
  }
  /// Gives what is queued up to `kLastWords` to leave; a thread that hangs in the kernel is left behind.
  ~SideThread() {
    flush(kLastWords);
    std::unique_lock lock(state_->guard);
    state_->ending = true;
    state_->hurry = true;
    state_->changed.notify_all();
    const bool ended = state_->changed.wait_for(lock, kLastWords, [this] { return state_->ended; });
    lock.unlock();
    if (ended)
      thread_.join();
    else
      thread_.detach();
  }
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  /// False: the queue is full and the item is lost.
  bool push(Item item) {
    const std::lock_guard lock(state_->guard);
    if (state_->queue.size() >= state_->items_max) {
      ++state_->lost;
      return false;
    }
    state_->queue.push_back(std::move(item));
    ++state_->pushed;
    if (state_->queue.size() == 1) state_->changed.notify_all();
    return true;
  }
  /// Waits until what was pushed so far is consumed, at most so long.
  bool flush(Duration patience) {
    std::unique_lock lock(state_->guard);
    const std::uint64_t until = state_->pushed;
    state_->flushing = true;
    state_->changed.notify_all();
    const bool done = state_->changed.wait_for(lock, patience, [&] { return state_->consumed >= until; });
    state_->flushing = false;
    return done;
  }
  /// Items that `push()` did not take.
  std::uint64_t lost() const {
    const std::lock_guard lock(state_->guard);
    return state_->lost;
  }

 private:
  static constexpr Duration kLastWords = std::chrono::milliseconds(500);

  struct State {
    void run() {
      std::vector<Item> batch;
      for (std::unique_lock lock(guard);;) {
        changed.wait(lock, [this] { return ending || !queue.empty(); });
        if (queue.empty()) break;
        if (gather > Duration{}) changed.wait_for(lock, gather, [this] { return ending || flushing; });
        batch.swap(queue);
        const std::size_t count = batch.size();
        lock.unlock();
        consume(batch, hurry);
        batch.clear();
        lock.lock();
        consumed += count;
        changed.notify_all();
      }
      ended = true;
      changed.notify_all();
    }

    std::size_t items_max = 0;
    Duration gather{};
    Consume consume;
    std::atomic<bool> hurry{false};
    std::mutex guard;  ///< of what follows
    std::condition_variable changed;
    std::vector<Item> queue;
    std::uint64_t pushed = 0, consumed = 0, lost = 0;
    bool flushing = false, ending = false, ended = false;
  };
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace splitnve::host
