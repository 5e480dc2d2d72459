// SPDX-License-Identifier: Apache-2.0
// The TSIs of a bench, and how they get into tnved: trunk-mode VM port, MAC = i, VN = i mod 100, VID 0, format 4.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "benches.hpp"
#include "daemon.hpp"

namespace splitnve::bench {

/// As in the configurations that bench.sh writes.
inline constexpr std::uint32_t kVns = 100;
inline constexpr std::uint32_t kFirstVn = 70000;
inline constexpr std::uint32_t kTlvsPerRoundTrip = 37;
/// How long a bench waits for what has to come in the end.
inline constexpr double kPatienceSeconds = 120;

std::string vsi_of(std::uint32_t i);
/// Request lines of tsi.apply for TSIs first .. first + count - 1, each below the control socket's 64 KiB.
std::vector<std::string> apply_requests(std::uint32_t first, std::uint32_t count, const char* state,
                                        const char* more = "");

/// What a row of tsi.show contains when its TSI is activated; the daemons differ in the first letter's case.
inline constexpr const char* kActivated = "ctivated\"";

/// Sends them over several connections at once; seconds until the last was answered. Gives up if a TSI was refused.
double apply(const std::string& socket, const std::vector<std::string>& requests, std::uint32_t connections);

/// One `tsi.VERB` about TSI `i`; microseconds until its answer. Gives up if it was refused.
double verb_us(Client& client, const char* verb, std::uint32_t i);

/// nnved on the switch and tnved on the hypervisor, joined by a veth; both up and empty. A `lane` is another such pair
/// beside the first; bench.sh has put its name behind those of its namespaces and configurations.
struct Pair {
  explicit Pair(const Setting& setting, const std::string& lane = "");
  /// Both say that `count` TSIs are activated, and the hypervisor that their ports are open.
  bool all_active(std::uint32_t count) const;
  /// Seconds until TSIs first .. first + count - 1 are activated.
  double load(std::uint32_t first, std::uint32_t count, std::uint32_t connections) const;
  /// Of both daemons.
  double cpu_seconds() const { return nnved.usage().cpu_seconds + tnved.usage().cpu_seconds; }
  /// What tnved counts of its nNVE: a member of `peer.show`, such as keepalives, or sent (ECPDUs).
  double peer_counter(const std::string& name) const;
  /// Takes the link between them down, or up again, and returns as soon as tnved knows: the kernel takes up to a second
  /// to tell.
  void set_link(bool up) const;
  /// Gives each daemon's loop a processor of its own, as it has on a host of its own; the other threads run where the
  /// kernel puts them. Left alone it wakes both loops on one, because each is woken by the other's frames.
  void spread() const;
  Daemon nnved, tnved;
};
/// The store and the maps that a daemon of this instance has left.
void wipe(const std::string& instance);

/// Rows of tsi.show that contain `text`, and all of them.
Client::Reply show(const Daemon& daemon, const std::string& text);

/// Puts round trips of full and of minimal frames into the report's baseline; the p50 of full ones in microseconds.
double add_wire_baseline(Report& report);

}  // namespace splitnve::bench
