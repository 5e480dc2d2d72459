// SPDX-License-Identifier: Apache-2.0
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "splitnve/base/check.hpp"
#include "splitnve/host/store.hpp"

namespace splitnve::host {

struct StoreThread::Impl {
  Impl(std::unique_ptr<Store> the_store, AnswerTo the_answer)
      : store(std::move(the_store)), answer(std::move(the_answer)), thread([this] { run(); }) {}

  void run() {
    while (true) {
      std::vector<agent::Persist> group = take();
      if (group.empty()) return;
      answer(store->apply_group(group));
    }
  }
  /// Waits for batches; empty only when it is time to end and nothing is left.
  std::vector<agent::Persist> take() {
    std::unique_lock lock(guard);
    arrived.wait(lock, [this] { return ending || !queue.empty(); });
    std::vector<agent::Persist> group;
    while (!queue.empty() && group.size() < kStoreGroupBatchesMax) {
      group.push_back(std::move(queue.front()));
      queue.pop_front();
    }
    return group;
  }

  std::unique_ptr<Store> store;
  AnswerTo answer;
  std::mutex guard;  ///< of queue and ending
  std::condition_variable arrived;
  std::deque<agent::Persist> queue;
  bool ending = false;
  std::thread thread;  ///< last: it starts when everything else stands
};

StoreThread::StoreThread(std::unique_ptr<Store> store, AnswerTo answer) {
  ensure(store != nullptr, "a store thread has a store");
  impl_ = std::make_unique<Impl>(std::move(store), std::move(answer));
}

StoreThread::~StoreThread() {
  {
    const std::lock_guard lock(impl_->guard);
    impl_->ending = true;
  }
  impl_->arrived.notify_one();
  impl_->thread.join();
}

bool StoreThread::submit(agent::Persist batch) {
  {
    const std::lock_guard lock(impl_->guard);
    if (impl_->queue.size() >= kStoreQueueBatchesMax) return false;
    impl_->queue.push_back(std::move(batch));
  }
  impl_->arrived.notify_one();
  return true;
}

}  // namespace splitnve::host
