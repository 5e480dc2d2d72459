// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/session.hpp"

namespace splitnve::auth {
namespace {

constexpr unsigned kLengthBits = 9;
constexpr std::uint16_t kLengthMask = (1u << kLengthBits) - 1;

unexpected<DecodeError> wrong(const char* cause, std::size_t offset) {
  return unexpected<DecodeError>(DecodeError{cause, offset});
}

/// The next TLV; an empty optional at End or at the end of the octets.
Decoded<std::optional<vdp::Tlv>> next_tlv(BoundedReader& reader) {
  if (reader.empty()) return std::optional<vdp::Tlv>();
  std::uint16_t word = 0;
  if (!reader.u16(word)) return reader.error("truncated TLV header");
  vdp::Tlv tlv;
  tlv.type = static_cast<std::uint8_t>(word >> kLengthBits);
  if (tlv.type == static_cast<std::uint8_t>(vdp::TlvType::kEnd)) return std::optional<vdp::Tlv>();
  tlv.offset = reader.offset();
  if (!reader.take(word & kLengthMask, tlv.value)) return reader.error("truncated TLV");
  return std::optional(tlv);
}

}  // namespace

Decoded<Outline> outline(Octets vdpdu) {
  Outline out;
  BoundedReader reader(vdpdu);
  while (true) {
    const auto tlv = next_tlv(reader);
    if (!tlv) return unexpected<DecodeError>(tlv.error());
    if (!*tlv) return out;
    if (out.seal) return wrong("a TLV behind authentication", (*tlv)->offset);
    const auto type = vdp::extension_type(**tlv);
    if (type == vdp::ExtensionType::kAuthentication) {
      const auto read = vdp::decode_extension(**tlv);
      if (!read) return unexpected<DecodeError>(read.error());
      out.seal = std::get<vdp::Authentication>(**read);
      out.covered = vdpdu.first(reader.offset() - kTagOctets);
    } else if (type == vdp::ExtensionType::kCapabilities && !out.capabilities) {
      // What cannot be read counts as absent, as in the exchange of capabilities.
      if (const auto read = vdp::decode_extension(**tlv)) out.capabilities = std::get<vdp::Capabilities>(**read);
    } else if ((*tlv)->type != static_cast<std::uint8_t>(vdp::TlvType::kManagerId)) {
      out.others = true;
    }
  }
}

}  // namespace splitnve::auth
