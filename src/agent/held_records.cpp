// SPDX-License-Identifier: Apache-2.0
#include "agent/held_records.hpp"

#include <utility>

namespace splitnve::agent {

void HeldRecords::hold(const StoreRecord& stored, RecordKind as, Held what) {
  std::uint64_t key = stored.key;
  if (record_kind(key) != as) {
    for (std::uint64_t id = record_id(stored.key); held_.contains(key = store_key(as, id)); ++id) {
    }
    pending_[stored.key] = {};
    pending_[key] = stored.value;
  }
  held_[key] = {stored.value, std::move(what)};
}

void HeldRecords::release(std::uint64_t key) {
  held_.erase(key);
  pending_[key] = {};
}

std::vector<StoreRecord> HeldRecords::take(const std::function<bool(std::uint64_t key)>& in_use) {
  std::vector<StoreRecord> records;
  told_ = std::exchange(pending_, {});
  for (const auto& [key, value] : told_)
    if (!value.empty() || !in_use(key)) records.push_back({key, value});
  return records;
}

void HeldRecords::settled(bool ok) {
  if (!ok) pending_.merge(told_);
  told_.clear();
}

std::vector<StoreRecord> HeldRecords::desired() const {
  std::vector<StoreRecord> records;
  records.reserve(held_.size());
  for (const auto& [key, entry] : held_) records.push_back({key, entry.value});
  return records;
}

std::vector<HeldRecords::Held> HeldRecords::views() const {
  std::vector<Held> views;
  views.reserve(held_.size());
  for (const auto& [key, entry] : held_) views.push_back(entry.what);
  return views;
}

}  // namespace splitnve::agent
