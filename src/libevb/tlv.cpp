// SPDX-License-Identifier: Apache-2.0
#include "splitnve/evb/tlv.hpp"

#include <algorithm>
#include <array>

namespace splitnve::evb {
namespace {

constexpr std::array<std::uint8_t, 4> kPrefix = {0x00, 0x80, 0xC2, kSubtype};
constexpr unsigned kRetriesShift = 5;
constexpr unsigned kModeShift = 6;
constexpr unsigned kRemoteShift = 5;
constexpr unsigned kRetriesMask = 0x7;
constexpr unsigned kModeMask = 0x3;
constexpr unsigned kExponentMask = 0x1F;

std::uint8_t octet(unsigned value) { return static_cast<std::uint8_t>(value); }

}  // namespace

const char* to_string(Role role) {
  switch (role) {
    case Role::kBridge: return "bridge";
    case Role::kStation: return "station";
  }
  return "";
}

bool is_evb(Octets value) {
  return value.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), value.begin());
}

Decoded<Tlv> decode_evb(BoundedReader value) {
  const std::size_t begin = value.offset();
  const std::size_t octets = value.remaining();
  std::uint8_t retransmission = 0;
  std::uint8_t wait = 0;
  std::uint8_t keepalive = 0;
  Tlv tlv;
  const bool whole = value.skip(kPrefix.size()) && value.u8(tlv.bridge_status) && value.u8(tlv.station_status) &&
                     value.u8(retransmission) && value.u8(wait) && value.u8(keepalive);
  if (!whole || octets != kValueOctets) return unexpected<DecodeError>(DecodeError{"EVB TLV of a wrong length", begin});
  tlv.values.retries = (retransmission >> kRetriesShift) & kRetriesMask;
  tlv.values.rte = retransmission & kExponentMask;
  tlv.mode = octet((wait >> kModeShift) & kModeMask);
  tlv.rwd_remote = ((wait >> kRemoteShift) & 1) != 0;
  tlv.values.rwd = wait & kExponentMask;
  tlv.rka_remote = ((keepalive >> kRemoteShift) & 1) != 0;
  tlv.values.rka = keepalive & kExponentMask;
  return tlv;
}

void encode_evb(const Tlv& tlv, BoundedWriter& writer) {
  const Parameters& values = tlv.values;
  ensure(values.retries <= kRetriesMask && tlv.mode <= kModeMask && values.rte <= kExponentMask &&
             values.rwd <= kExponentMask && values.rka <= kExponentMask,
         "an EVB field is wider than its bits");
  writer.octets(kPrefix);
  writer.u8(tlv.bridge_status);
  writer.u8(tlv.station_status);
  writer.u8(octet((values.retries << kRetriesShift) | values.rte));
  writer.u8(octet((unsigned{tlv.mode} << kModeShift) | (unsigned{tlv.rwd_remote} << kRemoteShift) | values.rwd));
  writer.u8(octet((unsigned{tlv.rka_remote} << kRemoteShift) | values.rka));
}

}  // namespace splitnve::evb
