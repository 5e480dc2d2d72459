// SPDX-License-Identifier: Apache-2.0
// decode(encode(x)) == x for VDPDUs drawn from a seed.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "codec_support.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::vdp::test {
namespace {

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(engine_);
  }
  std::uint32_t word() { return static_cast<std::uint32_t>(engine_()); }
  std::uint8_t octet() { return static_cast<std::uint8_t>(below(256)); }
  template <std::size_t N>
  std::array<std::uint8_t, N> octets() {
    std::array<std::uint8_t, N> out;
    for (auto& o : out) o = octet();
    return out;
  }

  FilterFormat format() {
    static constexpr std::array<std::uint8_t, 12> kCodes{1, 2, 3, 4, 5, 6, 7, 8, 0x85, 0x86, 0x87, 0x88};
    return *filter_format(kCodes[below(kCodes.size())]);
  }
  IpPrefix ip(const FilterLayout& has) {
    IpPrefix out;
    out.family = has.ip;
    out.length = address_bits(has.ip);
    if (has.prefix) out.length = static_cast<std::uint8_t>(below(address_bits(has.ip) + 1u));
    for (unsigned bit = 0; bit < out.length; ++bit)
      if (below(2) == 1) out.octets[bit / 8] |= static_cast<std::uint8_t>(0x80 >> (bit % 8));
    return out;
  }
  FilterEntry entry(FilterFormat format) {
    FilterEntry out;
    if (has_group(format)) out.group = GroupId(static_cast<std::uint32_t>(engine_()));
    if (has_mac(format)) out.mac = MacAddress(octets<6>());
    if (has_ip(format)) out.ip = ip(layout(format));
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
    out.format = format();
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

  /// Of any subtype; a reason's text is empty, for it would be a view.
  Extension extension() {
    switch (below(6)) {
      case 0:
        return Capabilities{static_cast<std::uint8_t>(1 + below(255)),
                            static_cast<Role>(octet()),
                            Flags(word()),
                            octets<16>(),
                            (std::uint64_t{word()} << 32) | word(),
                            octets<16>(),
                            LocalTimers{},
                            0,
                            {}};
      case 1: return static_cast<Migration>(below(4));
      case 2: return VnName{octets<16>()};
      case 3:
        return VnRequest{static_cast<VnRequest::Operation>(1 + below(3)), GroupId(word()), octet(),
                         Vid(static_cast<std::uint16_t>(below(4096)))};
      case 4: return ReasonText{static_cast<std::uint16_t>(below(65536)), {}};
      default:
        return Authentication{static_cast<std::uint16_t>(below(65536)), word(), std::uint64_t{word()} << 32,
                              octets<16>()};
    }
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

TEST(CodecProperty, AnExtensionIsReadBackAsItWas) {
  for (std::uint32_t seed = 1; seed <= 3000; ++seed) {
    const Extension extension = Draw(seed).extension();
    OctetString buffer(limits::kVdpduOctetsMax);
    VdpduWriter writer(buffer, ManagerId{});
    ASSERT_TRUE(write_extension(writer, extension));
    VdpduReader reader(writer.finish());
    ASSERT_TRUE(reader.manager());
    const auto tlv = reader.next();
    ASSERT_TRUE(tlv && *tlv);
    EXPECT_EQ(2 + (*tlv)->value.size(), extension_octets(extension));
    const auto again = decode_extension(**tlv);
    ASSERT_TRUE(again && *again) << "seed " << seed;
    ASSERT_EQ(**again, extension) << "seed " << seed;
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
