// SPDX-License-Identifier: Apache-2.0
// A well-behaved station on a real interface, as small as one can be: one ECPDU outstanding, answers read, acks sent.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/vdp/codec.hpp"

namespace splitnve::hostile {

using Clock = std::chrono::steady_clock;

/// Throws std::runtime_error: what cannot be measured is no result.
[[noreturn]] void give_up(const std::string& what);

/// A raw socket on an interface. It receives ECP frames to `own` only, none if `own` is empty.
class RawPort {
 public:
  RawPort(const std::string& interface_name, std::optional<MacAddress> own);
  ~RawPort();
  RawPort(const RawPort&) = delete;
  RawPort& operator=(const RawPort&) = delete;

  void send(Octets frame) const;
  /// Frames the kernel took.
  std::size_t send_all(std::span<const Octets> frames) const;
  /// The next frame; empty when `until` has come.
  Octets receive(Clock::time_point until);

 private:
  int fd_ = -1;
  OctetString buffer_;
};

class WireStation {
 public:
  struct Config {
    std::string interface_name;
    MacAddress own, nnve;
    std::uint32_t vn = 0;
    std::uint32_t first_vsi = 0;
  };
  explicit WireStation(const Config& config);

  /// Sends one command for `count` VSIs, at most 37, from number `first` on, and waits for the answers; microseconds
  /// until the last. nullopt: refused, or not all answered within `patience`, with repeats as ECP has them.
  std::optional<double> ask(vdp::TlvType command, std::uint32_t first, std::uint32_t count, Clock::duration patience);
  VsiId vsi(std::uint32_t number) const;

 private:
  void compose(vdp::TlvType command, std::uint32_t first, std::uint32_t count);
  /// Reads what comes until `until` or until none is missing; false: something was refused.
  bool listen(Clock::time_point until);
  bool hear(Octets octets);

  Config config_;
  RawPort port_;
  OctetString request_;
  std::uint16_t sequence_;
  vdp::TlvType command_ = vdp::TlvType::kAssociate;
  std::uint32_t first_ = 0;
  std::uint64_t missing_ = 0;  ///< VSIs from `first_` on that have no answer yet
};

}  // namespace splitnve::hostile
