// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <variant>

#include "splitnve/base/check.hpp"
#include "splitnve/host/store.hpp"

namespace splitnve::host {
namespace {

/// Where one transaction had so many records, more are on their way: the next one waits for them, because waking a
/// thread, a transaction and its answer cost as much as fifty records do.
constexpr std::size_t kBusyRecords = 32;
constexpr std::chrono::milliseconds kGather{1};

}  // namespace

struct StoreThread::Impl {
  Impl(std::unique_ptr<Store> the_store, AnswerTo the_answer)
      : store(std::move(the_store)), answer(std::move(the_answer)), thread([this] { run(); }) {}

  void run() {
    ::pthread_setname_np(::pthread_self(), "store");  // as top -H and /proc show it
    while (true) {
      Turn turn = take();
      if (turn.read) {
        turn.read(read_all());
      } else if (turn.group.empty()) {
        return;
      } else {
        std::size_t records = 0;
        for (const auto& batch : turn.group) records += batch.records.size();
        busy = records >= kBusyRecords;
        answer(store->apply_group(turn.group));
      }
    }
  }
  /// A read, or batches that may share a transaction; neither only when it is time to end and nothing is left.
  struct Turn {
    std::vector<agent::Persist> group;
    ReadTo read;
  };
  Turn take() {
    std::unique_lock lock(guard);
    gathering = busy;
    if (gathering) arrived.wait_for(lock, kGather, [this] { return ending || is_full_group(); });
    gathering = false;
    arrived.wait(lock, [this] { return ending || !queue.empty(); });
    Turn turn;
    while (!queue.empty() && turn.group.size() < kStoreGroupBatchesMax) {
      auto* batch = std::get_if<agent::Persist>(&queue.front());
      if (batch == nullptr && !turn.group.empty()) break;
      if (batch == nullptr) {
        turn.read = std::move(std::get<ReadTo>(queue.front()));
        queue.pop_front();
        break;
      }
      turn.group.push_back(std::move(*batch));
      queue.pop_front();
    }
    return turn;
  }
  Records read_all() {
    std::vector<agent::StoreRecord> records;
    auto loaded = store->load([&records](std::uint64_t key, Octets value) {
      records.push_back({key, OctetString(value.begin(), value.end())});
    });
    if (!loaded) return unexpected<Error>(loaded.error());
    return records;
  }

  bool is_full_group() const { return queue.size() >= kStoreGroupBatchesMax; }
  /// Requires the lock. Who gathers is left to sleep until it has enough.
  bool wants_to_know() const { return !gathering || is_full_group(); }

  std::unique_ptr<Store> store;
  AnswerTo answer;
  bool busy = false;       ///< the thread's own
  std::mutex guard;        ///< of what follows
  bool gathering = false;  ///< the thread waits for more to come
  std::condition_variable arrived;
  std::deque<std::variant<agent::Persist, ReadTo>> queue;
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
  bool tell = false;
  {
    const std::lock_guard lock(impl_->guard);
    if (impl_->queue.size() >= kStoreQueueBatchesMax) return false;
    impl_->queue.emplace_back(std::move(batch));
    tell = impl_->wants_to_know();
  }
  if (tell) impl_->arrived.notify_one();
  return true;
}

void StoreThread::read(ReadTo done) {
  {
    const std::lock_guard lock(impl_->guard);
    impl_->queue.emplace_back(std::move(done));
  }
  impl_->arrived.notify_one();
}

}  // namespace splitnve::host
