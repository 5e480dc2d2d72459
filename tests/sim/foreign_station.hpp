// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "splitnve/ecp/session.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::sim {

/// A station of another make, with one VSI: it does what tnved does not. It asks for several VIDs of one VN (D7) and
/// names IPs without a MAC. It says one thing at a time, again and again, until the answer is there.
class ForeignStation {
 public:
  struct Identity {
    MacAddress own, bridge;
    VsiId vsi;
    GroupId vn;
    MacAddress mac;
    Duration renewal{};  ///< of what it has
  };
  ForeignStation(const Identity& identity, EcpSequence first);

  /// What is wanted from now on: so many VIDs (0: de-associate), and this IP if the VSI has any.
  void want(unsigned vids, const std::optional<IpPrefix>& ip);
  void handle_frame(Octets octets, Instant now);
  void handle_time(Instant now);
  bool poll_frame(OctetString& out) { return session_.poll_frame(out); }

  /// Everything that was asked for has been answered.
  bool settled() const { return state_ == State::kSettled; }
  const Identity& identity() const { return identity_; }
  const std::vector<Vid>& vids() const { return vids_; }
  const std::optional<IpPrefix>& ip() const { return ip_; }
  /// What an answer had wrong; empty: nothing.
  const std::string& fault() const { return fault_; }
  /// Requests that were granted with several VIDs, refused beyond the limit, and granted with an IP alone.
  struct Stats {
    std::uint64_t several = 0, beyond = 0, ips = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  /// What is asked for next, in this order.
  enum class State : std::uint8_t { kLeave, kJoin, kIp, kSettled };

  void speak(Instant now);
  void answer(const vdp::Tlv& tlv);
  void joined(const vdp::Association& association);
  std::vector<vdp::FilterEntry> entries() const;
  vdp::FilterFormat ip_format() const;

  Identity identity_;
  ecp::Session session_;
  vdp::Capabilities shows_;
  State state_ = State::kSettled;
  unsigned wanted_ = 0;
  std::optional<IpPrefix> wanted_ip_, ip_;
  std::vector<Vid> vids_;
  Instant speak_at_{};
  std::string fault_;
  Stats stats_;
};

}  // namespace splitnve::sim
