// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "splitnve/base/check.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/base/wire_order.hpp"

namespace splitnve {

using Octets = std::span<const std::uint8_t>;
using MutableOctets = std::span<std::uint8_t>;
using OctetString = std::vector<std::uint8_t>;

/// Reads big-endian values from a span and never past its end. A read that does not fit returns false, leaves the
/// output untouched and makes `failed()` true; `offset()` then names the octet at which more was wanted, counted from
/// the outermost frame. A sub-reader cannot see its sibling.
class BoundedReader {
 public:
  explicit BoundedReader(Octets octets, std::size_t base_offset = 0) : octets_(octets), base_(base_offset) {}

  std::size_t remaining() const { return octets_.size() - at_; }
  bool empty() const { return remaining() == 0; }
  bool failed() const { return failed_; }
  std::size_t offset() const { return base_ + at_; }
  Octets rest() const { return octets_.subspan(at_); }

  bool u8(std::uint8_t& out) { return integer(out); }
  bool u16(std::uint16_t& out) { return integer(out); }
  bool u32(std::uint32_t& out) { return integer(out); }
  bool u64(std::uint64_t& out) { return integer(out); }

  template <std::size_t N>
  bool array(std::array<std::uint8_t, N>& out) {
    if (!fits(N)) return false;
    std::memcpy(out.data(), octets_.data() + at_, N);
    at_ += N;
    return true;
  }
  bool take(std::size_t n, Octets& out) {
    if (!fits(n)) return false;
    out = octets_.subspan(at_, n);
    at_ += n;
    return true;
  }
  bool skip(std::size_t n) {
    if (!fits(n)) return false;
    at_ += n;
    return true;
  }
  /// A reader over exactly the next `n` octets, which this reader steps over. Call only when `remaining() >= n`.
  BoundedReader sub(std::size_t n) {
    ensure(remaining() >= n, "sub-reader longer than its parent");
    BoundedReader child(octets_.subspan(at_, n), offset());
    at_ += n;
    return child;
  }
  unexpected<DecodeError> error(const char* cause) const {
    return unexpected<DecodeError>(DecodeError{cause, offset()});
  }

 private:
  bool fits(std::size_t n) {
    if (remaining() >= n) return true;
    failed_ = true;
    return false;
  }
  template <class T>
  bool integer(T& out) {
    if (!fits(sizeof(T))) return false;
    T value = 0;
    std::memcpy(&value, octets_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    out = wire_order(value);
    return true;
  }

  Octets octets_;
  std::size_t base_ = 0;
  std::size_t at_ = 0;
  bool failed_ = false;
};

/// Writes big-endian values into a caller's buffer. What does not fit is not written and makes `overflowed()` true;
/// callers ask `room()` first or check once at the end.
class BoundedWriter {
 public:
  explicit BoundedWriter(MutableOctets buffer) : buffer_(buffer) {}

  std::size_t size() const { return at_; }
  std::size_t room() const { return buffer_.size() - at_; }
  bool overflowed() const { return overflowed_; }
  Octets written() const { return Octets(buffer_.data(), at_); }

  void u8(std::uint8_t value) { integer(value); }
  void u16(std::uint16_t value) { integer(value); }
  void u32(std::uint32_t value) { integer(value); }
  void u64(std::uint64_t value) { integer(value); }
  void octets(Octets value) {
    if (!fits(value.size())) return;
    if (!value.empty()) std::memcpy(buffer_.data() + at_, value.data(), value.size());
    at_ += value.size();
  }
  void zeros(std::size_t n) {
    if (!fits(n)) return;
    std::memset(buffer_.data() + at_, 0, n);
    at_ += n;
  }

 private:
  bool fits(std::size_t n) {
    if (!overflowed_ && room() >= n) return true;
    overflowed_ = true;
    return false;
  }
  template <class T>
  void integer(T value) {
    if (!fits(sizeof(T))) return;
    const T swapped = wire_order(value);
    std::memcpy(buffer_.data() + at_, &swapped, sizeof(T));
    at_ += sizeof(T);
  }

  MutableOctets buffer_;
  std::size_t at_ = 0;
  bool overflowed_ = false;
};

}  // namespace splitnve
