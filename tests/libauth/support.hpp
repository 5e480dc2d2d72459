// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdlib>
#include <string_view>

#include "splitnve/auth/authenticator.hpp"
#include "vectors.hpp"

namespace splitnve::auth {

inline OctetString octets(std::string_view hex) {
  OctetString out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::strtoul(std::string(hex.substr(i, 2)).c_str(), nullptr, 16)));
  return out;
}
template <std::size_t N>
std::array<std::uint8_t, N> array(std::string_view hex) {
  std::array<std::uint8_t, N> out{};
  const OctetString from = octets(hex);
  std::copy_n(from.begin(), N, out.begin());
  return out;
}

inline Parties parties() {
  Parties out;
  out.station_nonce = array<16>(vectors::kStationNonce);
  out.bridge_nonce = array<16>(vectors::kBridgeNonce);
  out.station_system = array<16>(vectors::kStationSystem);
  out.bridge_system = array<16>(vectors::kBridgeSystem);
  out.station_mac = MacAddress(array<6>(vectors::kStationMac));
  out.bridge_mac = MacAddress(array<6>(vectors::kBridgeMac));
  return out;
}

inline Key key(std::uint16_t id, std::uint8_t fill) {
  std::array<std::uint8_t, kKeyOctets> secret;
  secret.fill(fill);
  return {KeyId(id), secret};
}

}  // namespace splitnve::auth
