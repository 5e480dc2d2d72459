// SPDX-License-Identifier: Apache-2.0
// A session between a station and an nNVE: what is signed, with what, and which counters were seen (S16).
//
//   context  = station nonce(16) bridge nonce(16) | station system(16) bridge system(16) station MAC(6) bridge MAC(6)
//   keys     = HKDF-SHA-256(key = PSK, salt = both nonces, info = "split-nve authentication 1" key id(2), systems,
//   MACs)
//              32 octets for what the station sends, 32 for what the bridge sends
//   session  = SHA-256("split-nve session 1" key id(2) context), its first 8 octets: a name, no secret
//   tag      = HMAC-SHA-256(key of the direction,
//                destination class(1) direction(1) source MAC(6) ECP header(4) VDPDU up to the tag), its first 16
//                octets
//   class    = 1 link group address, 2 unicast, 3 other group;  direction = 1 from the station, 2 from the bridge
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "splitnve/auth/hmac.hpp"
#include "splitnve/auth/keys.hpp"
#include "splitnve/base/bytes.hpp"
#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::auth {

using Nonce = std::array<std::uint8_t, 16>;
/// The authentication TLV with its header; what a sealed VDPDU is longer by.
inline constexpr std::size_t kTlvOctets = 40;
inline constexpr std::size_t kTagOctets = 16;

/// Both ends of a session. What belongs to the station stands first.
struct Parties {
  Nonce station_nonce{}, bridge_nonce{};
  vdp::SystemId station_system{}, bridge_system{};
  MacAddress station_mac, bridge_mac;
};

/// Names the session of these parties under a key: no secret, and cheaper than its keys.
std::uint64_t session_id(KeyId key, const Parties& parties);

/// What of an ECPDU's frame is signed beside its VDPDU.
struct Envelope {
  MacAddress destination;
  MacAddress source;
  ecp::Operation operation = ecp::Operation::kRequest;
  EcpSequence sequence;
};

/// Which counters were accepted: 64 of them may come in any order, older ones never. A request never comes behind a
/// later one: ECP has one outstanding, and what was held back or lost before it has been given up.
class ReplayWindow {
 public:
  bool is_fresh(std::uint64_t counter, ecp::Operation operation) const;
  void spend(std::uint64_t counter, ecp::Operation operation);

 private:
  std::uint64_t highest_ = 0;
  std::uint64_t last_request_ = 0;
  std::uint64_t seen_ = 0;  ///< bit n: highest_ - n was accepted
};

/// The keys of one session, prepared once. Nothing of it is stored anywhere.
class Session {
 public:
  /// `own` says which of the two directions is ours to sign.
  Session(const Key& key, const Parties& parties, vdp::Role own);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  KeyId key() const { return key_; }
  std::uint64_t id() const { return id_; }
  const Parties& parties() const { return parties_; }
  const Nonce& own_nonce() const;
  const Nonce& peer_nonce() const;
  const MacAddress& peer_mac() const;

  /// Signs with the next counter, from 1 on.
  void seal(const Envelope& envelope, OctetString& vdpdu);
  /// Signs with counter 0, which only the handshake uses. Both put the TLV before the End of a VDPDU, or make the
  /// payload of an acknowledgement if it is empty.
  void seal_handshake(const Envelope& envelope, OctetString& vdpdu);
  /// Is the tag the peer's, over `covered`, the octets of the VDPDU before it? In constant time.
  bool verify(const Envelope& envelope, Octets covered, const std::array<std::uint8_t, kTagOctets>& tag);

  ReplayWindow window;  ///< of the peer's counters

 private:
  using Tag = std::array<std::uint8_t, kTagOctets>;

  static Tag sign(const Hmac& mac, vdp::Role direction, const Envelope& envelope, Octets covered);
  void seal_with(std::uint64_t counter, const Envelope& envelope, OctetString& vdpdu);

  KeyId key_;
  std::uint64_t id_ = 0;
  Parties parties_;
  vdp::Role own_;
  std::optional<Hmac> ours_, theirs_;  ///< made with the session
  std::uint64_t counter_ = 0;
};

/// What of a received VDPDU matters to authentication. Views it.
struct Outline {
  std::optional<vdp::Authentication> seal;
  Octets covered;                                 ///< what the tag is over, if there is one
  std::optional<vdp::Capabilities> capabilities;  ///< of a request
  bool others = false;                            ///< TLVs beside the manager and these two
};
/// Reads the payload of a request or of an acknowledgement. Errors: truncated, authentication of another length or not
/// last.
Decoded<Outline> outline(Octets vdpdu);

}  // namespace splitnve::auth
