// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "splitnve/base/bytes.hpp"

namespace splitnve::fuzz {

/// A fuzzer's octets read as decisions: one octet each, so that a mutated octet changes one decision. When they are
/// used up every decision is the first one.
class Choices {
 public:
  explicit Choices(Octets octets) : octets_(octets) {}

  bool empty() const { return at_ == octets_.size(); }
  std::uint8_t octet() { return empty() ? std::uint8_t{0} : octets_[at_++]; }
  /// 0..bound-1; bound is at most 256 and not 0.
  unsigned below(unsigned bound) { return octet() % bound; }
  bool flip() { return below(2) == 1; }
  std::uint16_t u16() { return static_cast<std::uint16_t>(octet() << 8 | octet()); }
  /// A length octet, then that many octets or what is left of them.
  Octets octets() { return take(octet()); }
  Octets take(std::size_t count) {
    const Octets taken = octets_.subspan(at_, std::min(count, octets_.size() - at_));
    at_ += taken.size();
    return taken;
  }

 private:
  Octets octets_;
  std::size_t at_ = 0;
};

}  // namespace splitnve::fuzz
