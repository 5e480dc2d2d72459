// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <vector>

#include "splitnve/base/check.hpp"
#include "splitnve/base/ip.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve {

/// The IPs of a few rows of a large table, beside it, so that a row without any costs nothing. Within its row each has
/// a number from 1 on that stays its own until it is removed; number 0 is "no IP".
class IpTable {
 public:
  using Number = std::uint8_t;
  static constexpr std::size_t kRowMax = 255;
  static_assert(limits::kIpsPerInstanceMax < kRowMax, "a number is one octet, with room for IPs on their way out");

  /// 0 for no IP. Requires less than kRowMax IPs in the row.
  Number add(std::uint32_t row, const IpPrefix& ip) {
    if (ip.is_none()) return 0;
    auto& list = rows_[row];
    ++size_;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (!list[i].is_none()) continue;
      list[i] = ip;
      return static_cast<Number>(i + 1);
    }
    ensure(list.size() < kRowMax, "a row has a bounded number of IPs");
    list.push_back(ip);
    return static_cast<Number>(list.size());
  }
  void remove(std::uint32_t row, Number number) {
    if (number == 0) return;
    const auto at = rows_.find(row);
    ensure(at != rows_.end() && number <= at->second.size() && !at->second[number - 1].is_none(),
           "an IP is there once");
    --size_;
    at->second[number - 1] = IpPrefix();
    while (!at->second.empty() && at->second.back().is_none()) at->second.pop_back();
    if (at->second.empty()) rows_.erase(at);
  }
  void erase(std::uint32_t row) {
    size_ -= count(row);
    rows_.erase(row);
  }

  IpPrefix get(std::uint32_t row, Number number) const {
    if (number == 0) return {};
    const auto at = rows_.find(row);
    ensure(at != rows_.end() && number <= at->second.size(), "an IP is read while it is there");
    return at->second[number - 1];
  }
  std::size_t count(std::uint32_t row) const {
    const auto at = rows_.find(row);
    if (at == rows_.end()) return 0;
    std::size_t count = 0;
    for (const IpPrefix& ip : at->second) count += ip.is_none() ? 0 : 1;
    return count;
  }
  std::size_t size() const { return size_; }
  /// Calls `visit(row)` for each row that has an IP; the table must not change meanwhile.
  template <class F>
  void for_each_row(F&& visit) const {
    for (const auto& [row, list] : rows_) visit(row);
  }

 private:
  boost::unordered_flat_map<std::uint32_t, std::vector<IpPrefix>> rows_;
  std::size_t size_ = 0;
};

}  // namespace splitnve
