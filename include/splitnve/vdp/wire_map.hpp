// SPDX-License-Identifier: Apache-2.0
// Our OUI and the code points of the formats with IPs are unregistered, so an operator may choose others. Everything
// inside works with the numbers of docs/protocol.md; a frame is translated where it comes in and where it goes out.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "splitnve/vdp/extensions.hpp"

namespace splitnve::vdp {

using Oui = std::array<std::uint8_t, 3>;

/// The formats that may have another code on the wire, and what the configuration calls them.
inline constexpr std::array kProvisionalFormats{
    FilterFormat::kGroupIpv4Vid,          FilterFormat::kGroupIpv6Vid,         FilterFormat::kGroupMacIpv4Vid,
    FilterFormat::kGroupMacIpv6Vid,       FilterFormat::kGroupIpv4PrefixVid,   FilterFormat::kGroupIpv6PrefixVid,
    FilterFormat::kGroupMacIpv4PrefixVid, FilterFormat::kGroupMacIpv6PrefixVid};
const char* to_string(FilterFormat format);

/// `02-53-4E` or `02:53:4e`.
std::optional<Oui> oui_from_string(std::string_view text);

/// Translates the OUI and the filter formats of VDPDUs in place; lengths stay. The code points of ours that are not on
/// the wire any more become foreign: they mean nothing here.
class WireMap {
 public:
  /// As docs/protocol.md has them: nothing is translated.
  WireMap() = default;
  using Code = std::pair<FilterFormat, std::uint8_t>;
  /// `nullopt`: two formats would have one code, one of 0 to 4, or the OUI is IEEE 802.1's.
  static std::optional<WireMap> make(const Oui& oui, std::span<const Code> codes);

  bool is_identity() const { return identity_; }
  const Oui& oui() const { return oui_; }
  std::uint8_t code(FilterFormat format) const { return out_[static_cast<std::uint8_t>(format)]; }

  void to_wire(MutableOctets vdpdu) const;
  void from_wire(MutableOctets vdpdu) const;

 private:
  using Codes = std::array<std::uint8_t, 256>;
  static void translate(MutableOctets vdpdu, const Oui& from, const Oui& to, const Codes& codes);
  static Codes same();

  bool identity_ = true;
  Oui oui_ = kOui;
  Codes out_ = same(), in_ = same();
};

}  // namespace splitnve::vdp
