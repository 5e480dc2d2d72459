// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>

#include "splitnve/base/check.hpp"

namespace splitnve::vdp {

/// A row's place in the one IndexList that holds it.
struct IndexLink {
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  std::uint32_t previous = kNone;
  std::uint32_t next = kNone;
};

/// A FIFO threaded through slab rows by their member `link`. Adding at either end and removing anywhere are O(1) and
/// allocate nothing, so a queue is never longer than its table. The caller knows which list holds a row.
class IndexList {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::uint32_t front() const { return head_; }

  template <class Rows>
  void push_back(Rows& rows, std::uint32_t index) {
    rows[index].link = {tail_, IndexLink::kNone};
    (tail_ == IndexLink::kNone ? head_ : rows[tail_].link.next) = index;
    tail_ = index;
    ++size_;
  }
  template <class Rows>
  void push_front(Rows& rows, std::uint32_t index) {
    rows[index].link = {IndexLink::kNone, head_};
    (head_ == IndexLink::kNone ? tail_ : rows[head_].link.previous) = index;
    head_ = index;
    ++size_;
  }
  template <class Rows>
  void remove(Rows& rows, std::uint32_t index) {
    ensure(size_ > 0, "removing from an empty list");
    const IndexLink link = rows[index].link;
    (link.previous == IndexLink::kNone ? head_ : rows[link.previous].link.next) = link.next;
    (link.next == IndexLink::kNone ? tail_ : rows[link.next].link.previous) = link.previous;
    rows[index].link = {};
    --size_;
  }

 private:
  std::uint32_t head_ = IndexLink::kNone;
  std::uint32_t tail_ = IndexLink::kNone;
  std::size_t size_ = 0;
};

}  // namespace splitnve::vdp
