// SPDX-License-Identifier: Apache-2.0
// A TSI as the state store keeps it: one compact record under its instance id.
//
//   version(1) vm(1) flags(1) uplink(4) VN(4) guest tag(2) VSI format(1) VSI-ID(16) manager(16) type id(4) type
//   version(1) VM port(4) name length(1) name  address count(2)  then per address: MAC(6) level(1) VID(2) wanted(1)
//   hold(1). Flags: 1 arrival, 2 migration unknown, 80 PS and 70 PCP asked for; the level's upper half is PS and PCP as
//   answered. Version 1 has neither `wanted` nor `hold`: its addresses follow the VM.
//   Version 3, which only a TSI with IPs has, goes on: IP count(1)  then per IP: MAC(6) level(1) VID(2) wanted(1)
//   hold(1) family(1) length(1) octets(4 or 16).
#pragma once
#include <boost/container/small_vector.hpp>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/vdp/station.hpp"
#include "tnved/agent.hpp"
#include "tnved/lifecycle.hpp"

namespace splitnve::tnved {

inline constexpr std::uint8_t kRecordVersion = 3;
/// An interface name has at most 15 octets (IFNAMSIZ - 1).
inline constexpr std::size_t kInterfaceNameOctetsMax = 15;

struct TsiRecord {
  VmState vm = VmState::kDefined;
  bool arrival = false;  ///< the M bit is still owed to the nNVE
  bool migration_unknown = false;
  PortId uplink;
  GroupId vn;
  Vid guest_tag;
  Priority priority{};  ///< asked for
  VsiId vsi;
  ManagerId manager;
  VsiType type;
  PortId port;  ///< the VM port's id; 0 without interface. Kept, so that a restart moves no datapath row
  std::string interface_name;
  struct Address {
    MacAddress mac;
    vdp::Level confirmed = vdp::Level::kNone;
    Vid vid;
    vdp::Level wanted = vdp::Level::kActive;  ///< kNone: on its way out
    Hold hold = Hold::kFree;                  ///< by the peer (S7)
    IpPrefix ip{};                            ///< none: the MAC itself, which stands before its IPs
    Priority priority{};                      ///< as answered
    friend bool operator==(const Address&, const Address&) = default;
  };
  using Addresses = boost::container::small_vector<Address, 1>;
  Addresses addresses;
  friend bool operator==(const TsiRecord&, const TsiRecord&) = default;
};

OctetString encode_record(const TsiRecord& record);
/// Reads versions 1 and 2 as well. Errors, with the offset: truncated, trailing octets, another version, a value that
/// no agent writes.
Decoded<TsiRecord> decode_record(Octets octets);

}  // namespace splitnve::tnved
