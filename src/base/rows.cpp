// SPDX-License-Identifier: Apache-2.0
#include "splitnve/datapath/rows.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace splitnve::datapath {
namespace {
constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
}

bool UnderlayAddress::is_ipv4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), octets.begin()); }

std::string UnderlayAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  return is_ipv4() ? inet_ntop(AF_INET, octets.data() + 12, text, sizeof text)
                   : inet_ntop(AF_INET6, octets.data(), text, sizeof text);
}

std::optional<UnderlayAddress> UnderlayAddress::from_string(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  UnderlayAddress address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.octets.data()) == 1) return address;
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.octets.begin());
  if (inet_pton(AF_INET, terminated.c_str(), address.octets.data() + 12) == 1) return address;
  return std::nullopt;
}

const char* to_string(Drop reason) {
  switch (reason) {
    case Drop::kUnknownTag: return "unknown_tag";
    case Drop::kUntagged: return "untagged";
    case Drop::kSpoofedSource: return "spoofed_source";
    case Drop::kClosed: return "closed";
    case Drop::kNestedTag: return "nested_tag";
    case Drop::kLlc: return "llc";
    case Drop::kControlFrame: return "control_frame";
    case Drop::kGroupSource: return "group_source";
    case Drop::kUnknownUnicast: return "unknown_unicast";
    case Drop::kHairpin: return "hairpin";
    case Drop::kUnknownVni: return "unknown_vni";
    case Drop::kReturned: return "returned";
    case Drop::kTooShort: return "too_short";
    case Drop::kRedirect: return "redirect";
    case Drop::kUnknownNnve: return "unknown_nnve";
    case Drop::kSpoofedIp: return "spoofed_ip";
    case Drop::kSpoofedArp: return "spoofed_arp";
    case Drop::kHostTraffic: return "host_traffic";
    case Drop::kUnderlay: return "underlay";
    case Drop::kDeferredChecksum: return "deferred_checksum";
    case Drop::kStorm: return "storm";
    case Drop::kSpoofedNeighbour: return "spoofed_neighbour";
    case Drop::kRouter: return "router";
    case Drop::kDhcpServer: return "dhcp_server";
    case Drop::kUnparsableIp: return "unparsable_ip";
    case Drop::kCount_: break;
  }
  return "unknown";
}

}  // namespace splitnve::datapath
