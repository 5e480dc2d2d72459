// SPDX-License-Identifier: Apache-2.0
// What a codec bench repeats: a full ECPDU's worth of associations, format 4, one entry each.
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "splitnve/vdp/codec.hpp"

namespace splitnve::bench {

/// As many as one ECPDU carries.
inline constexpr std::size_t kTlvsPerEcpdu = 37;

class CodecWork {
 public:
  CodecWork() {
    for (std::size_t i = 0; i < kTlvsPerEcpdu; ++i) {
      vsis_[i].octets[15] = static_cast<std::uint8_t>(i);
      entries_[i] = {GroupId(70001), MacAddress(MacAddress::Bytes{2, 0, 0, 0, 0, static_cast<std::uint8_t>(i)}), Vid(),
                     false, 0};
    }
    vdpdu_ = encode();
  }

  Octets encode() {
    vdp::VdpduWriter writer(buffer_, manager_);
    for (std::size_t i = 0; i < kTlvsPerEcpdu; ++i) {
      if (!writer.fits(vdp::FilterFormat::kGroupMacVid, 1)) break;
      writer.association(vdp::TlvType::kAssociate, 0, {1, 1}, vsis_[i], vdp::FilterFormat::kGroupMacVid,
                         {&entries_[i], 1});
    }
    return writer.finish();
  }
  /// A number that depends on everything read; 0 if a TLV was refused or missing.
  std::uint32_t decode() const {
    vdp::VdpduReader reader(vdpdu_);
    if (!reader.manager()) return 0;
    std::uint32_t sum = 0;
    std::size_t tlvs = 0;
    while (true) {
      const auto tlv = reader.next();
      if (!tlv) return 0;
      if (!*tlv) break;
      const auto association = vdp::decode_association(**tlv);
      if (!association) return 0;
      for (std::size_t i = 0; i < association->count; ++i) sum += association->entry(i).group.value();
      sum += association->vsi.octets[15];
      ++tlvs;
    }
    return tlvs == kTlvsPerEcpdu ? sum : 0;
  }
  Octets vdpdu() const { return vdpdu_; }

 private:
  ManagerId manager_{};
  std::array<VsiId, kTlvsPerEcpdu> vsis_{};
  std::array<vdp::FilterEntry, kTlvsPerEcpdu> entries_{};
  std::array<std::uint8_t, limits::kVdpduOctetsMax> buffer_{};
  Octets vdpdu_;
};

}  // namespace splitnve::bench
