// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "splitnve/base/check.hpp"

namespace splitnve {

/// Rows addressed by a dense u32 index, in chunks, so that growth never copies and a reference stays valid until its
/// row is erased. Free slots are reused last-in first-out.
template <class T, std::size_t kChunkRows = 1024>
class Slab {
 public:
  /// Adds a row in a free slot; returns its index.
  template <class... Args>
  std::uint32_t emplace(Args&&... args) {
    std::uint32_t index = 0;
    while (true) {
      if (free_.empty()) {
        index = slots_;
        break;
      }
      index = free_.back();
      free_.pop_back();
      if (!contains(index)) break;  // a slot that emplace_at took meanwhile
    }
    emplace_at(index, std::forward<Args>(args)...);
    return index;
  }
  /// Adds a row at a given, free slot (restoring stored rows under their own numbers).
  template <class... Args>
  T& emplace_at(std::uint32_t index, Args&&... args) {
    while (index >= slots_) {
      if (slots_ % kChunkRows == 0) chunks_.push_back(std::make_unique<std::optional<T>[]>(kChunkRows));
      if (slots_ != index) free_.push_back(slots_);
      ++slots_;
    }
    auto& slot = chunks_[index / kChunkRows][index % kChunkRows];
    ensure(!slot.has_value(), "slab slot is taken");
    ++size_;
    return slot.emplace(std::forward<Args>(args)...);
  }
  void erase(std::uint32_t index) {
    ensure(contains(index), "erasing an empty slab slot");
    chunks_[index / kChunkRows][index % kChunkRows].reset();
    free_.push_back(index);
    --size_;
  }
  bool contains(std::uint32_t index) const {
    return index < slots_ && chunks_[index / kChunkRows][index % kChunkRows].has_value();
  }
  T& operator[](std::uint32_t index) {
    ensure(contains(index), "reading an empty slab slot");
    return *chunks_[index / kChunkRows][index % kChunkRows];
  }
  const T& operator[](std::uint32_t index) const { return const_cast<Slab&>(*this)[index]; }
  /// Begins to bring the row into the cache. Whoever is about to visit many rows asks for all of them first: among
  /// 100,000 rows waiting for memory is most of what a visit costs.
  void prefetch(std::uint32_t index) const {
    if (index >= slots_) return;
    const void* slot = &chunks_[index / kChunkRows][index % kChunkRows];
    for (std::size_t at = 0; at < sizeof(std::optional<T>); at += kCacheLineOctets)
      __builtin_prefetch(static_cast<const char*>(slot) + at);
  }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// One past the highest slot ever used; for walking with `contains`.
  std::uint32_t slots() const { return slots_; }

  template <class F>
  void for_each(F&& visit) {
    for (std::uint32_t i = 0; i < slots_; ++i)
      if (contains(i)) visit(i, (*this)[i]);
  }
  template <class F>
  void for_each(F&& visit) const {
    for (std::uint32_t i = 0; i < slots_; ++i)
      if (contains(i)) visit(i, (*this)[i]);
  }

 private:
  static constexpr std::size_t kCacheLineOctets = 64;
  std::vector<std::unique_ptr<std::optional<T>[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t slots_ = 0;
  std::size_t size_ = 0;
};

}  // namespace splitnve
