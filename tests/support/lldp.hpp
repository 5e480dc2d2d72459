// SPDX-License-Identifier: Apache-2.0
// LLDP frames of an EVB neighbour, for tests.
#pragma once
#include "splitnve/evb/lldp.hpp"

namespace splitnve::test {

/// What a neighbour of `role` at `source` announces; it has heard our status as `our_status`.
inline OctetString evb_frame(evb::Role role, MacAddress source, const evb::Parameters& values, bool group_ids = true,
                             std::uint16_t ttl_seconds = 120, std::uint8_t our_status = 0) {
  evb::Tlv tlv;
  tlv.mode = static_cast<std::uint8_t>(role);
  tlv.values = values;
  const bool bridge = role == evb::Role::kBridge;
  if (group_ids && bridge) tlv.bridge_status = evb::bridge_status::kGroupIds;
  if (group_ids && !bridge) tlv.station_status = evb::station_status::kGroupIds;
  (bridge ? tlv.station_status : tlv.bridge_status) = our_status;
  const OctetString mac(source.octets().begin(), source.octets().end());
  evb::LldpFrame frame{kNearestCustomerBridge,       source,      {evb::LldpId::kChassisMac, mac},
                       {evb::LldpId::kPortMac, mac}, ttl_seconds, std::nullopt};
  if (ttl_seconds != 0) frame.evb = tlv;
  OctetString octets;
  evb::encode_lldp(frame, octets);
  return octets;
}

}  // namespace splitnve::test
