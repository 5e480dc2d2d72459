// SPDX-License-Identifier: Apache-2.0
// What stands behind an EtherType: IPv4, ARP and IPv6 as octets, right or wrong, for the tests of the IP guard.
#pragma once
#include <initializer_list>
#include <string_view>

#include "bpf_fixture.hpp"
#include "splitnve/base/ip.hpp"

namespace splitnve::test {

inline constexpr std::uint16_t kIpv4Type = 0x0800, kArpType = 0x0806, kIpv6Type = 0x86DD;
inline constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmpv6 = 58;
inline constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kAuth = 51, kDestination = 60;
inline constexpr std::uint8_t kRouterSolicit = 133, kRouterAdvert = 134, kSolicit = 135, kAdvert = 136, kRedirect = 137;

inline OctetString join(std::initializer_list<OctetString> parts) {
  OctetString out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}
inline OctetString word(std::size_t value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}
inline OctetString octets_of(const MacAddress& mac) { return {mac.octets().begin(), mac.octets().end()}; }
inline OctetString octets_of(std::string_view ip) {
  const auto address = IpPrefix::from_string(ip);
  EXPECT_TRUE(address && address->is_single()) << ip;
  return {address->octets.begin(), address->octets.begin() + address_bits(address->family) / 8};
}

/// RFC 791; `fragment` is the field of flags and offset.
inline OctetString ipv4(std::string_view from, std::uint8_t protocol, const OctetString& data,
                        std::uint16_t fragment = 0) {
  return join({{0x45, 0},
               word(20 + data.size()),
               {0, 1},
               word(fragment),
               {64, protocol, 0, 0},
               octets_of(from),
               octets_of("203.0.113.9"),
               data});
}
inline OctetString ipv6(std::string_view from, std::uint8_t next, const OctetString& data) {
  return join({{0x60, 0, 0, 0}, word(data.size()), {next, 255}, octets_of(from), octets_of("2001:db8:ff::9"), data});
}
inline OctetString udp(std::uint16_t from, std::uint16_t to) {
  return join({word(from), word(to), word(8 + 30), {0, 0}, OctetString(30, 0x5A)});
}
/// A header of eight octets more than `units` times eight; `kFragment` headers have `field` instead of options.
inline OctetString extension(std::uint8_t next, std::uint8_t units, const OctetString& data) {
  return join({{next, units}, OctetString(6u + 8u * units), data});
}
inline OctetString fragment(std::uint8_t next, std::uint16_t field, const OctetString& data) {
  return join({{next, 0}, word(field), {0, 0, 0, 7}, data});
}

/// RFC 826: `sender` and `ip` say who; the target is somebody else.
inline OctetString arp(std::uint8_t operation, const MacAddress& sender, std::string_view ip) {
  return join({{0, 1, 8, 0, 6, 4, 0, operation},
               octets_of(sender),
               octets_of(ip),
               OctetString(6),
               octets_of("203.0.113.9"),
               OctetString(18)});
}

/// RFC 4861: a solicitation or advertisement of a neighbour; `options` behind it.
inline OctetString neighbour(std::uint8_t type, std::string_view target, const OctetString& options = {}) {
  return join({{type, 0, 0, 0, 0, 0, 0, 0}, octets_of(target), options});
}
inline OctetString router_advert(const OctetString& options = {}) {
  return join({{kRouterAdvert, 0, 0, 0}, OctetString(12), options});
}
inline OctetString router_solicit(const OctetString& options = {}) {
  return join({{kRouterSolicit, 0, 0, 0}, OctetString(4), options});
}
inline OctetString redirect() { return join({{kRedirect, 0, 0, 0}, OctetString(36)}); }
/// A source (1) or target (2) link-layer address option.
inline OctetString link_option(std::uint8_t type, const MacAddress& mac) { return join({{type, 1}, octets_of(mac)}); }

inline datapath::IpRow ip_row(std::uint32_t instance, MacAddress mac, std::string_view prefix, bool present = true) {
  const auto parsed = IpPrefix::from_string(prefix);
  EXPECT_TRUE(parsed) << prefix;
  return {InstanceId(instance), mac, parsed.value_or(IpPrefix{}), present};
}

}  // namespace splitnve::test
