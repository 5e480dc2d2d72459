// SPDX-License-Identifier: Apache-2.0
// The state store: one SQLite file per instance, records under integer keys, nothing else. What is committed survives
// kill -9 (S32); power loss may cost the last commits, which the peers repair.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "splitnve/agent/effects.hpp"
#include "splitnve/base/bytes.hpp"
#include "splitnve/base/result.hpp"

namespace splitnve::host {

/// Layout of the store file (`user_version`). A store of a newer version is refused, not guessed at.
/// Since 2 each record has a checksum; a store of 1 gets them when it is opened.
inline constexpr int kStoreSchema = 2;
/// Batches that may wait for the store thread. At 7 us per commit a full queue is far below a second of work; a disk
/// that stalls longer makes further batches fail, so that memory stays bounded and the agent knows.
inline constexpr std::size_t kStoreQueueBatchesMax = 4096;
/// Batches joined into one transaction: enough to hide the commit, few enough to answer the first one soon.
inline constexpr std::size_t kStoreGroupBatchesMax = 256;

/// Exclusive owner of one store file. Not thread-safe; hand it to a StoreThread after `load()`.
class Store {
 public:
  using Visit = std::function<void(std::uint64_t key, Octets value)>;
  using VisitDamaged = std::function<void(std::uint64_t key)>;

  /// Creates the file if it is absent. Errors, each with a remedy naming the file: cannot be opened, held by another
  /// daemon, not a store of ours, newer schema, damaged.
  static Result<std::unique_ptr<Store>> open(const std::string& path);
  /// Says the error that the file itself is damaged, so that moving it away would help?
  static bool is_damage(const Error& error);
  /// Renames a store and what SQLite keeps beside it to `path.corrupt-N`, the first N that is free; returns the name.
  static Result<std::string> set_aside(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// All records in ascending key order; a value is valid during its call only. One whose checksum (CRC-32C over key
  /// and value, S43) fails is not among them, but given to `damaged`; then it is erased as well.
  Result<void> load(const Visit& visit, const VisitDamaged& damaged = {});
  /// Commits one batch in one transaction: all of it or, with `error` set, nothing.
  agent::BatchResult apply(const agent::Persist& batch);
  /// Commits several batches in one transaction; if that fails each one alone, so that one bad batch fails only itself.
  std::vector<agent::BatchResult> apply_group(std::span<const agent::Persist> batches);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Commits off the loop. `submit()` never blocks; each batch is answered exactly once, in order, on the store's thread
/// through `answer`, which usually posts to the loop. The destructor commits what is queued.
class StoreThread {
 public:
  using AnswerTo = std::function<void(std::vector<agent::BatchResult>)>;
  using Records = Result<std::vector<agent::StoreRecord>>;
  using ReadTo = std::function<void(Records)>;
  StoreThread(std::unique_ptr<Store> store, AnswerTo answer);
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;
  /// False: the queue is full, the batch was not taken and is not answered.
  [[nodiscard]] bool submit(agent::Persist batch);
  /// Reads every record as the batches submitted so far leave them; `done` is called once, on the store's thread,
  /// unless the destructor comes first.
  void read(ReadTo done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace splitnve::host
