// SPDX-License-Identifier: Apache-2.0
// A VDPDU copied out of its octets, so that tests and the fuzzer can compare what was read with what was written.
#pragma once
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "splitnve/vdp/codec.hpp"

namespace splitnve::vdp::test {

struct CopiedAssociation {
  TlvType command = TlvType::kAssociate;
  std::uint8_t status = 0;
  VsiType type;
  VsiId vsi;
  FilterFormat format = FilterFormat::kVid;
  std::vector<FilterEntry> entries;
  friend bool operator==(const CopiedAssociation&, const CopiedAssociation&) = default;
};

/// A TLV that is no association, or a malformed one.
struct RawTlv {
  std::uint8_t type = 0;
  OctetString value;
  friend bool operator==(const RawTlv&, const RawTlv&) = default;
};

using CopiedTlv = std::variant<CopiedAssociation, RawTlv>;

struct CopiedVdpdu {
  ManagerId manager;
  std::vector<CopiedTlv> tlvs;
  friend bool operator==(const CopiedVdpdu&, const CopiedVdpdu&) = default;
};

inline CopiedAssociation copy(const Association& from) {
  CopiedAssociation to{from.command, from.status, from.type, from.vsi, from.format, {}};
  for (std::size_t i = 0; i < from.count; ++i) to.entries.push_back(from.entry(i));
  return to;
}

inline CopiedTlv copy(const Tlv& tlv) {
  if (const auto association = decode_association(tlv)) return copy(*association);
  return RawTlv{tlv.type, OctetString(tlv.value.begin(), tlv.value.end())};
}

inline Decoded<CopiedVdpdu> read_vdpdu(Octets octets) {
  VdpduReader reader(octets);
  const auto manager = reader.manager();
  if (!manager) return unexpected<DecodeError>(manager.error());
  CopiedVdpdu vdpdu{*manager, {}};
  while (true) {
    const auto tlv = reader.next();
    if (!tlv) return unexpected<DecodeError>(tlv.error());
    if (!*tlv) return vdpdu;
    vdpdu.tlvs.push_back(copy(**tlv));
  }
}

inline OctetString write_vdpdu(const CopiedVdpdu& vdpdu) {
  OctetString buffer(20 + vdpdu.tlvs.size() * (2 + 511));
  VdpduWriter writer(buffer, vdpdu.manager);
  for (const CopiedTlv& tlv : vdpdu.tlvs) {
    if (const auto* a = std::get_if<CopiedAssociation>(&tlv)) {
      writer.association(a->command, a->status, a->type, a->vsi, a->format, a->entries);
    } else {
      const RawTlv& raw = std::get<RawTlv>(tlv);
      ensure(writer.raw(raw.type, raw.value), "the buffer has room for the longest of every TLV");
    }
  }
  const Octets written = writer.finish();
  return OctetString(written.begin(), written.end());
}

/// Octets from hexadecimal text; blanks are skipped.
inline OctetString from_hex(std::string_view text) {
  OctetString out;
  std::optional<unsigned> high;
  for (const char c : text) {
    if (c == ' ') continue;
    const unsigned digit = static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    ensure(digit < 16, "hexadecimal digit");
    if (high) out.push_back(static_cast<std::uint8_t>(*high * 16 + digit));
    high = high ? std::nullopt : std::optional<unsigned>(digit);
  }
  ensure(!high, "an even number of digits");
  return out;
}

}  // namespace splitnve::vdp::test
