// SPDX-License-Identifier: Apache-2.0
// Machines of both roles, and frames between them.
#pragma once
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "splitnve/evb/machine.hpp"

namespace splitnve::evb {

using std::chrono::seconds;

inline constexpr MacAddress kBridgeMac{std::uint64_t{0x020000000002}};
inline constexpr MacAddress kStationMac{std::uint64_t{0x020000000001}};

inline LldpId id(std::uint8_t subtype, const MacAddress& mac) {
  return {subtype, OctetString(mac.octets().begin(), mac.octets().end())};
}
inline Machine::Config config(Role role, Parameters values) {
  Machine::Config made;
  made.role = role;
  made.own_mac = role == Role::kBridge ? kBridgeMac : kStationMac;
  made.chassis = id(LldpId::kChassisMac, made.own_mac);
  made.port = id(LldpId::kPortMac, made.own_mac);
  made.values = values;
  return made;
}

/// A machine with everything it said.
struct End {
  explicit End(const Machine::Config& how) : machine(how) {}
  Machine machine;
  std::vector<Machine::Change> changes;

  /// Lets it act at `now` and returns what it sends.
  std::vector<OctetString> run(Instant now) {
    std::vector<OctetString> frames;
    if (const auto at = machine.next_deadline(); at && *at <= now) machine.handle_time(now);
    OctetString frame;
    while (machine.poll_frame(frame)) frames.push_back(frame);
    while (const auto change = machine.poll_change()) changes.push_back(*change);
    return frames;
  }
};

/// Both ends of a link without loss, in steps of a tenth of a second.
struct Link {
  End bridge, station;
  Instant now{};

  Link(const Machine::Config& b, const Machine::Config& s) : bridge(b), station(s) {
    bridge.machine.handle_link(true, now);
    station.machine.handle_link(true, now);
  }
  void run(Duration time, bool to_bridge = true, bool to_station = true) {
    for (const Instant end = now + time; now < end; now += std::chrono::milliseconds(100)) {
      for (const auto& frame : bridge.run(now))
        if (to_station) static_cast<void>(station.machine.handle_frame(frame, now));
      for (const auto& frame : station.run(now))
        if (to_bridge) static_cast<void>(bridge.machine.handle_frame(frame, now));
    }
  }
};

}  // namespace splitnve::evb
