// SPDX-License-Identifier: Apache-2.0
// Stores outlive versions (S34): the octets stand here as they have always been written.
#include "agent/record_fields.hpp"

#include <gtest/gtest.h>

namespace splitnve::agent {
namespace {

template <class Write>
OctetString written(Write&& write) {
  OctetString octets(64);
  BoundedWriter writer(octets);
  write(writer);
  octets.resize(writer.size());
  return octets;
}

/// Reads all of the octets, and refuses each shorter prefix of them.
template <class Read>
void expect_read_whole(const OctetString& octets, Read&& read) {
  for (std::size_t n = 0; n < octets.size(); ++n) {
    BoundedReader prefix(Octets(octets).first(n));
    EXPECT_FALSE(read(prefix)) << n << " octets";
  }
  BoundedReader reader(octets);
  EXPECT_TRUE(read(reader));
  EXPECT_TRUE(reader.empty());
}

IpPrefix ip(const char* text) { return *IpPrefix::from_string(text); }

TEST(RecordFields, ATextHasALengthOctet) {
  const OctetString octets = written([](BoundedWriter& writer) { write_text(writer, "tap1"); });
  EXPECT_EQ(octets, (OctetString{4, 't', 'a', 'p', '1'}));
  std::string text;
  expect_read_whole(octets, [&](BoundedReader& reader) { return read_text(reader, text); });
  EXPECT_EQ(text, "tap1");
  const std::string longest(255, 'x');
  OctetString room(256);
  BoundedWriter writer(room);
  write_text(writer, longest);
  BoundedReader reader(room);
  EXPECT_TRUE(read_text(reader, text));
  EXPECT_EQ(text, longest);
}

TEST(RecordFields, AVsiIdHasItsFormatBeforeIt) {
  const VsiId vsi{3, {0x02, 0xAA, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
  const OctetString octets = written([&](BoundedWriter& writer) { write_vsi(writer, vsi); });
  EXPECT_EQ(octets, (OctetString{3, 0x02, 0xAA, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}));
  VsiId read;
  expect_read_whole(octets, [&](BoundedReader& reader) { return read_vsi(reader, read); });
  EXPECT_EQ(read, vsi);
}

TEST(RecordFields, AddressesAndIdsStandAsTheyAre) {
  MacAddress mac;
  expect_read_whole({0x02, 0xAA, 0, 0, 0, 1}, [&](BoundedReader& reader) { return read_mac(reader, mac); });
  EXPECT_EQ(mac, MacAddress(0x02AA00000001ull));
  GroupId vn;
  expect_read_whole({0, 1, 0x11, 0x70}, [&](BoundedReader& reader) { return read_id(reader, vn); });
  EXPECT_EQ(vn, GroupId(70000));
  Vid vid;
  expect_read_whole({0xF0, 0x64}, [&](BoundedReader& reader) { return read_id(reader, vid); });
  EXPECT_EQ(vid, Vid(100)) << "a VID has 12 bits";
}

TEST(RecordFields, AnIpHasFamilyAndLengthBeforeTheOctetsOfItsFamily) {
  const IpPrefix prefixes[] = {ip("192.0.2.0/24"), ip("2001:db8::7")};
  const OctetString stored[] = {{4, 24, 192, 0, 2, 0},
                                {6, 128, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}};
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(written([&](BoundedWriter& writer) { write_ip(writer, prefixes[i]); }), stored[i]);
    EXPECT_EQ(ip_octets(prefixes[i]), stored[i].size());
    Decoded<IpPrefix> read;
    expect_read_whole(stored[i], [&](BoundedReader& reader) { return (read = read_ip(reader)).has_value(); });
    EXPECT_EQ(*read, prefixes[i]);
  }
}

TEST(RecordFields, AnIpThatNoVmMayHaveIsRefusedAndLocated) {
  const auto cause = [](const OctetString& octets) {
    BoundedReader reader(octets);
    const auto read = read_ip(reader);
    return read ? std::string() : read.error().cause + std::string(" at ") + std::to_string(read.error().offset);
  };
  EXPECT_EQ(cause({4, 32, 192, 0, 2}), "truncated at 2");
  EXPECT_EQ(cause({5, 32, 192, 0, 2, 7}), "unknown IP family at 2");
  EXPECT_EQ(cause({4, 33, 192, 0, 2, 7}), "an IP that no VM may have at 6") << "longer than its family";
  EXPECT_EQ(cause({4, 24, 192, 0, 2, 7}), "an IP that no VM may have at 6") << "host bits";
  EXPECT_EQ(cause({4, 32, 224, 0, 0, 1}), "an IP that no VM may have at 6") << "multicast";
}

}  // namespace
}  // namespace splitnve::agent
