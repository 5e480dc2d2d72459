// SPDX-License-Identifier: Apache-2.0
// decode(encode(x)) == x for VDPDUs drawn from a seed.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "codec_support.hpp"
#include "splitnve/vdp/codec.hpp"

namespace splitnve::vdp::test {
namespace {

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(engine_);
  }
  std::uint8_t octet() { return static_cast<std::uint8_t>(below(256)); }
  template <std::size_t N>
  std::array<std::uint8_t, N> octets() {
    std::array<std::uint8_t, N> out;
    for (auto& o : out) o = octet();
    return out;
  }

  FilterEntry entry(FilterFormat format) {
    FilterEntry out;
    if (has_group(format)) out.group = GroupId(static_cast<std::uint32_t>(engine_()));
    if (has_mac(format)) out.mac = MacAddress(octets<6>());
    out.vid = Vid(static_cast<std::uint16_t>(below(4096)));
    out.ps = below(2) == 1;
    out.pcp = static_cast<std::uint8_t>(below(8));
    return out;
  }

  CopiedAssociation association() {
    CopiedAssociation out;
    out.command = static_cast<TlvType>(1 + below(4));
    out.status = octet();
    out.type = {below(1u << 24), octet()};
    out.vsi = {octet(), octets<16>()};
    out.format = static_cast<FilterFormat>(1 + below(4));
    // Mostly a few entries, at times as many as a TLV holds; none only where that is legal.
    const auto most = static_cast<std::uint32_t>(entries_per_tlv_max(out.format));
    const std::uint32_t least = out.command == TlvType::kDeAssociate ? 0 : 1;
    const std::uint32_t count = below(8) == 0 ? most : least + below(5);
    for (std::uint32_t i = 0; i < count; ++i) out.entries.push_back(entry(out.format));
    return out;
  }

  RawTlv foreign() {
    RawTlv out;
    out.type = static_cast<std::uint8_t>(6 + below(122));
    out.value.resize(below(8) == 0 ? 511 : below(64));
    for (auto& o : out.value) o = octet();
    return out;
  }

  CopiedVdpdu vdpdu() {
    CopiedVdpdu out{ManagerId{octets<16>()}, {}};
    const std::uint32_t tlvs = below(12);
    for (std::uint32_t i = 0; i < tlvs; ++i) {
      if (below(5) == 0) {
        out.tlvs.push_back(foreign());
      } else {
        out.tlvs.push_back(association());
      }
    }
    return out;
  }

 private:
  std::mt19937 engine_;
};

TEST(CodecProperty, WhatIsWrittenIsReadBackAsItWas) {
  for (std::uint32_t seed = 1; seed <= 3000; ++seed) {
    const CopiedVdpdu vdpdu = Draw(seed).vdpdu();
    const auto again = read_vdpdu(write_vdpdu(vdpdu));
    ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().cause << " at " << again.error().offset;
    ASSERT_EQ(*again, vdpdu) << "seed " << seed;
  }
}

TEST(CodecProperty, PaddingAndWhateverStandsBehindEndChangesNothing) {
  for (std::uint32_t seed = 1; seed <= 500; ++seed) {
    Draw draw(seed);
    const CopiedVdpdu vdpdu = draw.vdpdu();
    OctetString octets = write_vdpdu(vdpdu);
    for (std::uint32_t i = draw.below(64); i > 0; --i) octets.push_back(draw.octet());
    const auto again = read_vdpdu(octets);
    ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().cause << " at " << again.error().offset;
    ASSERT_EQ(*again, vdpdu) << "seed " << seed;
  }
}

TEST(CodecProperty, ADamagedVdpduIsReadOrRefusedInsideItsOctets) {
  std::size_t refused = 0;
  for (std::uint32_t seed = 1; seed <= 3000; ++seed) {
    Draw draw(seed);
    OctetString octets = write_vdpdu(draw.vdpdu());
    for (std::uint32_t hits = 1 + draw.below(4); hits > 0; --hits)
      octets[draw.below(static_cast<std::uint32_t>(octets.size()))] = draw.octet();
    octets.resize(octets.size() - draw.below(3));
    const auto vdpdu = read_vdpdu(octets);
    if (vdpdu) {
      ASSERT_EQ(*read_vdpdu(write_vdpdu(*vdpdu)), *vdpdu) << "seed " << seed;
    } else {
      ASSERT_LE(vdpdu.error().offset, octets.size()) << "seed " << seed;
      ++refused;
    }
  }
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace splitnve::vdp::test
