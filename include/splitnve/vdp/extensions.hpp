// SPDX-License-Identifier: Apache-2.0
// Our organizational TLV: what Split-NVE says beyond IEEE 802.1Q. All code points are ours and unregistered.
//
//   type 127 | length | OUI(3) subtype(1) value
//   1 capabilities   version(1) role(1) flags(4) system id(16) epoch(8) nonce(16), and from version 2 on
//                    timers(3): R(3 bits) RTE(5) | relay(1) 0(2) RWD(5) | 0(3) RKA(5),
//                    segment(8) count(1) and so many VID ranges: first(2) last(2)
//   2 migration      of the association before it: value(1)
//   3 VN name        of the association before it: UUID(16)
//   4 VN request     operation(1) GroupID(4) status(1) VID word(2)
//   5 reason         of the refusal or bridge De-Associate before it: cause(2) UTF-8 text(0..64)
//   6 authentication key id(2) session(8) counter(8) tag(16); the last TLV before End
//   7 standing       what(1) scope(1) VSI-ID format(1) VSI-ID(16) GroupID(4)
//   9 VN attributes  of the answer before it: GroupID(4) flags(2)
#pragma once
#include <array>
#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "splitnve/base/ids.hpp"
#include "splitnve/vdp/codec.hpp"

namespace splitnve::vdp {

/// Locally administered, unregistered.
inline constexpr std::array<std::uint8_t, 3> kOui{0x02, 0x53, 0x4E};
inline constexpr std::size_t kReasonTextOctetsMax = 64;

enum class ExtensionType : std::uint8_t {
  kCapabilities = 1,
  kMigration = 2,
  kVnName = 3,
  kVnRequest = 4,
  kReason = 5,
  kAuthentication = 6,
  kStanding = 7,
  kVnAttributes = 9,
};

/// What a system understands. A sender uses an extension only towards a peer that has shown its flag (E7).
enum class Flag : std::uint32_t {
  kIpFormats = 1u << 0,          ///< filter formats 5..8
  kPrefixFormats = 1u << 1,      ///< filter formats 0x85..0x88
  kDeactivate = 1u << 2,         ///< Associate -> Pre-Associate
  kBridgeDeactivate = 1u << 3,   ///< the same, commanded by the bridge
  kMigration = 1u << 4,          ///< subtype 2
  kVnName = 1u << 5,             ///< subtype 3
  kVnRequests = 1u << 6,         ///< subtype 4
  kReasonText = 1u << 7,         ///< subtype 5
  kIncrementalFilter = 1u << 8,  ///< an association TLV names some of a VSI's entries
  kMultiVid = 1u << 9,           ///< one null entry may come back as several
  kStanding = 1u << 10,          ///< subtype 7
  kDigest = 1u << 11,            ///< keep-alive by digest; reserved
  kVnAttributes = 1u << 12,      ///< subtype 9
};
inline constexpr std::array kAllFlags{
    Flag::kIpFormats, Flag::kPrefixFormats, Flag::kDeactivate,  Flag::kBridgeDeactivate,  Flag::kMigration,
    Flag::kVnName,    Flag::kVnRequests,    Flag::kReasonText,  Flag::kIncrementalFilter, Flag::kMultiVid,
    Flag::kStanding,  Flag::kDigest,        Flag::kVnAttributes};
/// As configuration and command line name it, e.g. `bridge-deactivate`.
const char* to_string(Flag flag);
std::optional<Flag> flag_from_string(std::string_view name);

/// A set of flags; bits that we do not know are kept.
class Flags {
 public:
  constexpr Flags() = default;
  constexpr explicit Flags(std::uint32_t bits) : bits_(bits) {}
  static constexpr Flags all() {
    Flags out;
    for (const Flag flag : kAllFlags) out.set(flag);
    return out;
  }
  constexpr bool has(Flag flag) const { return (bits_ & static_cast<std::uint32_t>(flag)) != 0; }
  constexpr Flags& set(Flag flag) {
    bits_ |= static_cast<std::uint32_t>(flag);
    return *this;
  }
  constexpr Flags without(Flags other) const { return Flags(bits_ & ~other.bits_); }
  constexpr std::uint32_t bits() const { return bits_; }
  friend constexpr bool operator==(Flags, Flags) = default;

 private:
  std::uint32_t bits_ = 0;
};

/// What both agents understand, and offer unless the configuration withholds it.
inline constexpr Flags kAble = Flags()
                                   .set(Flag::kIpFormats)
                                   .set(Flag::kPrefixFormats)
                                   .set(Flag::kDeactivate)
                                   .set(Flag::kBridgeDeactivate)
                                   .set(Flag::kMigration)
                                   .set(Flag::kVnName)
                                   .set(Flag::kVnRequests)
                                   .set(Flag::kReasonText)
                                   .set(Flag::kIncrementalFilter)
                                   .set(Flag::kStanding)
                                   .set(Flag::kVnAttributes);

/// Names a system, whatever port or address it speaks from.
using SystemId = std::array<std::uint8_t, 16>;
/// 1 station (tnved), 2 bridge (nnved); other values are kept as received.
enum class Role : std::uint8_t { kStation = 1, kBridge = 2 };

/// A side's own timers, as octets 6 to 8 of the EVB TLV have them (S40). The bit of reflective relay: a station asks
/// for it, a bridge grants it.
struct LocalTimers {
  std::uint8_t retries = 0;  ///< 3 bits; the others have 5
  std::uint8_t rte = 0;
  std::uint8_t rwd = 0;
  std::uint8_t rka = 0;
  bool reflective_relay = false;
  friend bool operator==(const LocalTimers&, const LocalTimers&) = default;
};

/// VIDs that a bridge may give out, both ends included: 1 <= first <= last <= 4094.
struct VidSpan {
  Vid first, last;
  bool overlaps(const VidSpan& other) const { return first <= other.last && other.first <= last; }
  friend bool operator==(const VidSpan&, const VidSpan&) = default;
};
inline constexpr std::size_t kVidSpansMax = 8;
using VidSpans = boost::container::static_vector<VidSpan, kVidSpansMax>;

/// The version that we send. A peer of version 1 reads the fields that it knows.
inline constexpr std::uint8_t kCapabilitiesVersion = 2;
struct Capabilities {
  std::uint8_t version = kCapabilitiesVersion;  ///< later versions begin with the same fields
  Role role = Role::kStation;
  Flags flags;
  SystemId system{};
  std::uint64_t epoch = 0;               ///< another value: the sender has lost its state (S9)
  std::array<std::uint8_t, 16> nonce{};  ///< of this run of the sender (S16)

  // --- from version 2 on, else as here ---
  LocalTimers timers;
  std::uint64_t segment = 0;  ///< names the segment of a bridge's port (S12): segment_id(); 0: none is named
  VidSpans vids;              ///< that a bridge gives out on this port; a station has none
  bool has_timers() const { return version >= 2; }
  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};
/// The name of a segment on the wire: FNV-1a of 64 bits. Two nNVEs that name one segment say the same.
constexpr std::uint64_t segment_id(std::string_view name) {
  if (name.empty()) return 0;
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

/// What the station knows of its VM's migration; resolves what the M and S bits leave open (D13, E5).
enum class Migration : std::uint8_t { kUnknown = 0, kNone = 1, kArriving = 2, kDeparting = 3 };
const char* to_string(Migration migration);
/// What the S and M bits of a request say by themselves: of a peer that knows our TLV no bits are `no`, and S is
/// departing; of others only M is telling.
Migration migration_of_bits(bool suspended, bool migrating, bool peer_knows);

/// A VN's name (UUID).
struct VnName {
  std::array<std::uint8_t, 16> octets{};
  friend auto operator<=>(const VnName&, const VnName&) = default;
};

/// VN_Connect or VN_Disconnect from either side (S30), and its answer. A bridge that says connect lets a VN be asked
/// for again that it had disconnected.
struct VnRequest {
  enum class Operation : std::uint8_t {
    kConnect = 1,
    kDisconnect = 2,
    kDisconnectAll = 3,  ///< of a station: with the TSIs that it has in the VN
  };
  Operation operation = Operation::kConnect;
  GroupId group;
  std::uint8_t status = 0;  ///< as an association's: 0x40 an answer, then KEEP, HARD and code
  Vid vid;                  ///< null in a request: assign one; PS and PCP are sent as zero and ignored
  bool is_response() const { return (status & kStatusResponse) != 0; }
  bool connects() const { return operation == Operation::kConnect; }
  friend bool operator==(const VnRequest&, const VnRequest&) = default;
};

/// Why a response says what it says. `text` views the octets it was read from, is at most 64 octets, and anything a
/// peer wrote: escape it before it is shown (S33).
struct ReasonText {
  std::uint16_t cause = 0;
  std::string_view text;
  friend bool operator==(const ReasonText&, const ReasonText&) = default;
};

/// Causes that a station acts on: the bridge holds what was asked for, and says when it may be had (S6, S7).
struct Cause {
  enum : std::uint16_t { kSuperseded = 13, kAdminDown = 19, kDraining = 20 };
};
inline constexpr bool calls_held(std::uint16_t cause) {
  return cause == Cause::kSuperseded || cause == Cause::kAdminDown || cause == Cause::kDraining;
}

/// The shape only; keys and coverage: S16.
struct Authentication {
  std::uint16_t key = 0;
  std::uint64_t session = 0;
  std::uint64_t counter = 0;
  std::array<std::uint8_t, 16> tag{};
  friend bool operator==(const Authentication&, const Authentication&) = default;
};

/// What a bridge holds of a station against its wish, or lets back (S7). A hint: what an answer says decides.
struct Standing {
  enum class What : std::uint8_t { kReleased = 0, kHeld = 1, kEndOfList = 2 };
  enum class Scope : std::uint8_t { kVsi = 0, kVn = 1, kAll = 2 };
  What what = What::kReleased;
  Scope scope = Scope::kVsi;
  VsiId vsi;      ///< of scope kVsi; else zero
  GroupId group;  ///< of scopes kVsi and kVn; else zero
  friend bool operator==(const Standing&, const Standing&) = default;
};

/// What the bridge tells of a VN that it has given (S23). Unknown bits are kept.
struct VnAttributes {
  GroupId group;
  std::uint16_t flags = 0;
  static constexpr std::uint16_t kLocalSwitchingOff = 1;   ///< the station switches nothing of it by itself
  static constexpr std::uint16_t kNeighboursAnswered = 2;  ///< the bridge answers ARP and ND
  friend bool operator==(const VnAttributes&, const VnAttributes&) = default;
};

/// What of a text fits a ReasonText; what is cut, between characters of UTF-8, ends with "...".
std::string cut_reason_text(std::string_view text);

using Extension =
    std::variant<Capabilities, Migration, VnName, VnRequest, ReasonText, Authentication, Standing, VnAttributes>;

/// The subtype if the TLV is organizational and of our OUI; values that we do not know included.
std::optional<ExtensionType> extension_type(const Tlv& tlv);
/// Capabilities and authentication: the exchange and libauth take them, not a station's or a bridge's transactions.
inline bool is_looked_at_elsewhere(const Tlv& tlv) {
  const auto type = extension_type(tlv);
  return type == ExtensionType::kCapabilities || type == ExtensionType::kAuthentication;
}
/// Reads one of our TLVs; an empty optional for other OUIs and unknown subtypes, which are walked over. Errors:
/// truncated, longer than its subtype (capabilities may be: later versions append), a value out of range.
Decoded<std::optional<Extension>> decode_extension(const Tlv& tlv);
/// Appends it; false if it does not fit (then nothing is written). Requires a reason text of at most 64 octets.
bool write_extension(VdpduWriter& writer, const Extension& extension);
/// Writes it into the room that was reserved for it with extension_octets().
void write_reserved(VdpduWriter& writer, const Extension& extension);
/// Octets that the TLV takes, header included.
std::size_t extension_octets(const Extension& extension);
/// A VDPDU of nothing but our capabilities, under the zero manager.
void write_capabilities_only(const Capabilities& capabilities, OctetString& out);
/// An empty VDPDU, sent for its acknowledgement only.
void write_question(OctetString& out);

}  // namespace splitnve::vdp
