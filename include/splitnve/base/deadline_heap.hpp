// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "splitnve/base/time.hpp"

namespace splitnve {

/// At most one deadline per dense key, earliest first: a heap that knows each key's place, so that setting and clearing
/// cost O(log n) and nothing stale is ever popped. Each node has as many children as share a cache line.
class DeadlineHeap {
 public:
  void set(std::uint32_t key, Instant at) {
    if (key >= place_.size()) place_.resize(static_cast<std::size_t>(key) + 1, kNowhere);
    if (place_[key] == kNowhere) {
      place_[key] = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back({at, key});
      sift_up(heap_.size() - 1);
      return;
    }
    const std::size_t i = place_[key];
    heap_[i].at = at;
    sift_down(i);
    sift_up(place_[key]);
  }
  void clear(std::uint32_t key) {
    if (key >= place_.size() || place_[key] == kNowhere) return;
    const std::size_t i = place_[key];
    place_[key] = kNowhere;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (i == heap_.size()) return;
    put(i, last);
    sift_down(i);
    sift_up(place_[last.key]);
  }
  std::optional<Instant> next() const { return heap_.empty() ? std::nullopt : std::optional(heap_.front().at); }
  /// The key of the earliest deadline not after `now`, removed; `nullopt` when none is due.
  std::optional<std::uint32_t> pop_due(Instant now) {
    if (heap_.empty() || heap_.front().at > now) return std::nullopt;
    const std::uint32_t key = heap_.front().key;
    clear(key);
    return key;
  }
  /// The key of the earliest deadline, which stays; requires that there is one.
  std::uint32_t first() const { return heap_.front().key; }
  bool contains(std::uint32_t key) const { return key < place_.size() && place_[key] != kNowhere; }
  std::size_t size() const { return heap_.size(); }

 private:
  static constexpr std::uint32_t kNowhere = 0xFFFFFFFF;
  static constexpr std::size_t kChildren = 4;
  struct Entry {
    Instant at;
    std::uint32_t key;
  };
  void put(std::size_t i, Entry entry) {
    heap_[i] = entry;
    place_[entry.key] = static_cast<std::uint32_t>(i);
  }
  void sift_up(std::size_t i) {
    const Entry entry = heap_[i];
    while (i > 0 && entry.at < heap_[(i - 1) / kChildren].at) {
      put(i, heap_[(i - 1) / kChildren]);
      i = (i - 1) / kChildren;
    }
    put(i, entry);
  }
  void sift_down(std::size_t i) {
    const Entry entry = heap_[i];
    for (std::size_t first = kChildren * i + 1; first < heap_.size(); first = kChildren * i + 1) {
      const std::size_t end = std::min(first + kChildren, heap_.size());
      std::size_t child = first;
      for (std::size_t other = first + 1; other < end; ++other)
        if (heap_[other].at < heap_[child].at) child = other;
      if (!(heap_[child].at < entry.at)) break;
      put(i, heap_[child]);
      i = child;
    }
    put(i, entry);
  }

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> place_;
};

}  // namespace splitnve
