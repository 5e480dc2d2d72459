// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "splitnve/agent/effects.hpp"

namespace splitnve::agent {

/// Stored records for which the present configuration has no place, such as those of a VN that a file has lost. They
/// are held, under keys of their own so that their numbers are free for others, until a start finds a place for them.
class HeldRecords {
 public:
  struct Held {
    VsiId vsi;
    GroupId vn;
    std::string where;   ///< interface and station, as the record has them
    std::string reason;  ///< why it has no place
  };

  /// A record as the store has it: one of another kind moves to a key of kind `as`, one of that kind keeps its own.
  void hold(const StoreRecord& stored, RecordKind as, Held what);
  /// It has found its place, or is no use any more: the store shall forget it.
  void release(std::uint64_t key);

  bool dirty() const { return !pending_.empty(); }
  /// What the store shall be told; `in_use(key)`: a row of ours has that key now, it is not erased.
  std::vector<StoreRecord> take(const std::function<bool(std::uint64_t key)>& in_use);
  /// How the batch that had it went.
  void settled(bool ok);
  /// All that the store shall hold.
  std::vector<StoreRecord> desired() const;
  std::vector<Held> views() const;
  std::size_t size() const { return held_.size(); }

 private:
  struct Entry {
    OctetString value;
    Held what;
  };
  std::map<std::uint64_t, Entry> held_;
  std::map<std::uint64_t, OctetString> pending_, told_;  ///< empty value: to be erased
};

}  // namespace splitnve::agent
