// SPDX-License-Identifier: Apache-2.0
// The stored form of a TSI (S32): one compact record under its instance number.
//
//   version(1) flags(1) VSI-ID format(1) VSI-ID(16) manager(16) type id(4) type version(1) VN(4) VID(2) filter
//   format(1) station(6) port id(4) interface length(1) interface count(2) { MAC(6) flags(1) generation(4) } x count
//   version 2 and 3: IP count(1) { MAC(6) active(1) family(1) length(1) octets(4 or 16) }
//   version 3: count(1) of the VN's further VIDs on the port (S14) { VID(2) }
//
//   TSI flags: 1 migrating, 2 suspended; address flags: 1 active, 2 superseded, 4 winner
#pragma once
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"
#include "splitnve/vdp/codec.hpp"

namespace splitnve::nnved {

inline constexpr std::uint8_t kTsiRecordVersion = 3;

struct AddressRecord {
  MacAddress mac;
  bool active = false;
  bool superseded = false;
  bool winner = false;
  std::uint32_t generation = 0;
  friend bool operator==(const AddressRecord&, const AddressRecord&) = default;
};
struct IpRecord {
  MacAddress mac;  ///< one of `addresses`
  IpPrefix ip;
  bool active = false;
  friend bool operator==(const IpRecord&, const IpRecord&) = default;
};
struct TsiRecord {
  VsiId vsi;
  ManagerId manager;
  VsiType type;
  GroupId vn;
  Vid vid;
  std::vector<Vid> further_vids;  ///< of the VN on the port, beside `vid`
  vdp::FilterFormat format = vdp::FilterFormat::kGroupMacVid;
  MacAddress station;
  PortId port;
  std::string interface_name;  ///< names the port across configurations; the id only if it is empty
  bool migrating = false;
  bool suspended = false;
  boost::container::small_vector<AddressRecord, 1> addresses;
  std::vector<IpRecord> ips;
  friend bool operator==(const TsiRecord&, const TsiRecord&) = default;
};

/// Requires at most 255 octets of interface name, limits::kAddressesPerInstanceMax addresses, kIpsPerInstanceMax IPs
/// and fewer than kVidsPerVapMax further VIDs.
OctetString encode_record(const TsiRecord& record);
/// Errors: truncated, octets left over, unknown version, filter format or flags, too many addresses, IPs or VIDs, an IP
/// that no VM may have, a VID that no VN may have.
Decoded<TsiRecord> decode_record(Octets octets);

}  // namespace splitnve::nnved
