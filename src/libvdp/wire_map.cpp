// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/wire_map.hpp"

#include <algorithm>
#include <charconv>

namespace splitnve::vdp {
namespace {

constexpr std::size_t kHeaderOctets = 2;
constexpr std::size_t kLengthMask = 511;
constexpr std::size_t kFormatAt = 22;  // in the value of an association
constexpr Oui kIeee8021{0x00, 0x80, 0xC2};
/// No format and no OUI of anybody's.
constexpr std::uint8_t kForeignCode = 0x7F;
constexpr Oui kForeignOui{0xFF, 0xFF, 0xFF};

bool is_provisional(FilterFormat format) {
  return std::ranges::find(kProvisionalFormats, format) != kProvisionalFormats.end();
}

}  // namespace

const char* to_string(FilterFormat format) {
  switch (format) {
    case FilterFormat::kVid: return "vid";
    case FilterFormat::kMacVid: return "mac-vid";
    case FilterFormat::kGroupVid: return "group-vid";
    case FilterFormat::kGroupMacVid: return "group-mac-vid";
    case FilterFormat::kGroupIpv4Vid: return "group-ipv4-vid";
    case FilterFormat::kGroupIpv6Vid: return "group-ipv6-vid";
    case FilterFormat::kGroupMacIpv4Vid: return "group-mac-ipv4-vid";
    case FilterFormat::kGroupMacIpv6Vid: return "group-mac-ipv6-vid";
    case FilterFormat::kGroupIpv4PrefixVid: return "group-ipv4-prefix-vid";
    case FilterFormat::kGroupIpv6PrefixVid: return "group-ipv6-prefix-vid";
    case FilterFormat::kGroupMacIpv4PrefixVid: return "group-mac-ipv4-prefix-vid";
    case FilterFormat::kGroupMacIpv6PrefixVid: return "group-mac-ipv6-prefix-vid";
  }
  return "unknown";
}

std::optional<Oui> oui_from_string(std::string_view text) {
  constexpr std::size_t kCharacters = 8;
  if (text.size() != kCharacters) return std::nullopt;
  Oui out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char* at = text.data() + 3 * i;
    const auto read = std::from_chars(at, at + 2, out[i], 16);
    if (read.ec != std::errc() || read.ptr != at + 2) return std::nullopt;
    if (i + 1 < out.size() && (at[2] != text[2] || (at[2] != '-' && at[2] != ':'))) return std::nullopt;
  }
  return out;
}

WireMap::Codes WireMap::same() {
  Codes codes{};
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(i);
  return codes;
}

std::optional<WireMap> WireMap::make(const Oui& oui, std::span<const Code> codes) {
  if (oui == kIeee8021 || oui == kForeignOui) return std::nullopt;
  WireMap map;
  map.oui_ = oui;
  for (const auto& [format, code] : codes) {
    if (!is_provisional(format) || code <= static_cast<std::uint8_t>(FilterFormat::kGroupMacVid)) return std::nullopt;
    map.out_[static_cast<std::uint8_t>(format)] = code;
  }
  for (const FilterFormat format : kProvisionalFormats) map.in_[static_cast<std::uint8_t>(format)] = kForeignCode;
  std::array<bool, 256> taken{};
  for (const FilterFormat format : kProvisionalFormats) {
    const std::uint8_t code = map.code(format);
    if (std::exchange(taken[code], true)) return std::nullopt;
    map.in_[code] = static_cast<std::uint8_t>(format);
  }
  map.identity_ = oui == kOui && map.out_ == same();
  return map;
}

/// Stops where the octets stop making sense: whoever decodes them says what is wrong.
void WireMap::translate(MutableOctets vdpdu, const Oui& from, const Oui& to, const Codes& codes) {
  while (vdpdu.size() >= kHeaderOctets) {
    const std::uint8_t type = vdpdu[0] >> 1;
    const std::size_t length = (std::size_t{vdpdu[0]} << 8 | vdpdu[1]) & kLengthMask;
    if (type == static_cast<std::uint8_t>(TlvType::kEnd) || length > vdpdu.size() - kHeaderOctets) return;
    const MutableOctets value = vdpdu.subspan(kHeaderOctets, length);
    if (type == static_cast<std::uint8_t>(TlvType::kOrganizational) && value.size() >= to.size()) {
      const MutableOctets oui = value.first(to.size());
      if (std::ranges::equal(oui, from))
        std::ranges::copy(to, oui.begin());
      else if (std::ranges::equal(oui, to))
        std::ranges::copy(kForeignOui, oui.begin());
    } else if (is_association(static_cast<TlvType>(type)) && value.size() > kFormatAt) {
      value[kFormatAt] = codes[value[kFormatAt]];
    }
    vdpdu = vdpdu.subspan(kHeaderOctets + length);
  }
}

void WireMap::to_wire(MutableOctets vdpdu) const {
  if (!identity_) translate(vdpdu, kOui, oui_, out_);
}

void WireMap::from_wire(MutableOctets vdpdu) const {
  if (!identity_) translate(vdpdu, oui_, kOui, in_);
}

}  // namespace splitnve::vdp
