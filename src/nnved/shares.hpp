// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "nnved/share_limits.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::nnved {

/// What of a table one port may take (S39): at most its share, and never what is kept for ports that have little. With
/// the default figures one port has half of the table at most, and half of the table is divided into the ports'
/// reserves, so that a port always gets its reserve, whatever all others do.
class Shares {
 public:
  /// `per_port` 0: the default share. A small table is nobody's to divide: limits::kShareFloor of it are anybody's.
  Shares(std::uint64_t total, std::uint64_t per_port, std::size_t ports)
      : total_(total), used_(std::max<std::size_t>(ports, 1), 0) {
    const std::uint64_t count = used_.size();
    const std::uint64_t half = (total + 1) / 2;
    share_ = count == 1 ? total : std::max(half, std::min<std::uint64_t>(total, limits::kShareFloor));
    if (per_port != 0) share_ = std::min(per_port, total);
    reserve_ = count == 1 ? 0 : std::min(total / (2 * count), share_);
    kept_ = reserve_ * count;
  }
  /// May the port take `more`?
  bool admits(std::uint32_t port, std::uint64_t more) const { return more <= room(port); }
  std::uint64_t room(std::uint32_t port) const {
    const std::uint64_t used = used_[port];
    if (used >= share_) return 0;
    const std::uint64_t for_others = kept_for_others(port);
    if (sum_ + for_others >= total_) return 0;
    return std::min(share_ - used, total_ - sum_ - for_others);
  }
  void add(std::uint32_t port, std::uint64_t count) { set(port, used_[port] + count); }
  void remove(std::uint32_t port, std::uint64_t count) {
    ensure(used_[port] >= count, "a port gives back what it does not have");
    set(port, used_[port] - count);
  }
  /// The same for one who knows what the port has now.
  void set(std::uint32_t port, std::uint64_t count) {
    kept_ -= missing(used_[port]);
    sum_ = sum_ - used_[port] + count;
    used_[port] = count;
    kept_ += missing(count);
  }

  /// What the others lack to their reserves.
  std::uint64_t kept_for_others(std::uint32_t port) const { return kept_ - missing(used_[port]); }
  std::uint64_t used(std::uint32_t port) const { return used_[port]; }
  std::uint64_t sum() const { return sum_; }
  std::uint64_t total() const { return total_; }
  std::uint64_t share() const { return share_; }
  std::uint64_t reserve() const { return reserve_; }

 private:
  std::uint64_t missing(std::uint64_t used) const { return used < reserve_ ? reserve_ - used : 0; }

  std::uint64_t total_ = 0, share_ = 0, reserve_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t kept_ = 0;  ///< what all ports together lack to their reserves
  std::vector<std::uint64_t> used_;
};

/// Of addresses, as the TSI machine counts them.
struct AddressShares {
  Shares macs, ips;
};

}  // namespace splitnve::nnved
