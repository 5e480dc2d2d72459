// SPDX-License-Identifier: Apache-2.0
// The EVB TLV of IEEE 802.1Q (organizationally specific, OUI 00-80-C2, subtype 0D), octets after the subtype:
//
//   bridge status   station status   R (3) RTE (5)   mode (2) ROL RWD (5)   - (2) ROL RKA (5)
//   04 BGID         08 SGID          0xE0  0x1F      0xC0   0x20  0x1F              0x20  0x1F
//   02 RRCAP        04 RRREQ
//   01 RRCTR        03 RRSTAT
//
// ROL: the value is not the sender's own but the one that its peer told it.
#pragma once
#include <cstdint>
#include <optional>

#include "splitnve/base/bytes.hpp"

namespace splitnve::evb {

inline constexpr std::uint8_t kSubtype = 0x0D;
// OUI, subtype and five octets; a TLV of another length is none of EVB.
inline constexpr std::size_t kValueOctets = 9;

/// Which end of the link speaks; the code points of `mode`.
enum class Role : std::uint8_t { kBridge = 1, kStation = 2 };
const char* to_string(Role role);

namespace bridge_status {
inline constexpr std::uint8_t kGroupIds = 0x04, kRelayCapable = 0x02, kRelayOn = 0x01;
}
namespace station_status {
inline constexpr std::uint8_t kGroupIds = 0x08, kRelayWanted = 0x04;
inline constexpr std::uint8_t kRelayMask = 0x03, kRelayOff = 0x00, kRelayOn = 0x01, kRelayUnknown = 0x03;
}  // namespace station_status

/// The exponents and the retries that both ends of a link agree on; timers are 10 us x 2^exponent.
struct Parameters {
  unsigned retries = 3;  ///< R, 0..7
  unsigned rte = 8;      ///< retransmission timer
  unsigned rwd = 20;     ///< resource wait
  unsigned rka = 20;     ///< keep-alive
  friend constexpr bool operator==(const Parameters&, const Parameters&) = default;
};

/// As on the wire. The status octets are kept whole: each end copies the other's.
struct Tlv {
  std::uint8_t bridge_status = 0;
  std::uint8_t station_status = 0;
  std::uint8_t mode = 0;  ///< a Role, or 0 or 3, which are reserved
  Parameters values;
  bool rwd_remote = false;  ///< ROL
  bool rka_remote = false;  ///< ROL
  /// The status octet of the end that plays `role`.
  std::uint8_t status_of(Role role) const { return role == Role::kBridge ? bridge_status : station_status; }
  friend bool operator==(const Tlv&, const Tlv&) = default;
};

/// Does an organizational TLV's value begin with OUI and subtype of EVB?
bool is_evb(Octets value);
/// Reads the value, OUI included; the two reserved bits are not kept. Errors: not of kValueOctets octets.
Decoded<Tlv> decode_evb(BoundedReader value);
/// Writes OUI, subtype and the five octets. Requires retries <= 7, mode <= 3 and exponents <= 31.
void encode_evb(const Tlv& tlv, BoundedWriter& writer);

}  // namespace splitnve::evb
