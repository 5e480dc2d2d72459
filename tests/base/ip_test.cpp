// SPDX-License-Identifier: Apache-2.0
#include "splitnve/base/ip.hpp"

#include <gtest/gtest.h>

namespace splitnve {
namespace {

TEST(IpPrefix, IsItsTextAgain) {
  for (const char* text : {"192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::7", "2001:db8::/32", "::/0"}) {
    const auto ip = IpPrefix::from_string(text);
    ASSERT_TRUE(ip) << text;
    EXPECT_EQ(ip->to_string(), text);
  }
  EXPECT_EQ(IpPrefix().to_string(), "-");
  EXPECT_EQ(IpPrefix::from_string("192.0.2.7/32")->to_string(), "192.0.2.7") << "a full length is one address";
}

TEST(IpPrefix, RefusesWhatIsNoAddressAndHostBits) {
  for (const char* text : {"", "-", "192.0.2", "192.0.2.7/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/2x",
                           "2001:db8::1/64", "::/129", "192.0.2.0/-1", "192.0.2.0/256"})
    EXPECT_FALSE(IpPrefix::from_string(text)) << text;
  EXPECT_FALSE(IpPrefix::from_string(std::string_view("192.0.2.7\0x", 11))) << "no text ends early";
}

TEST(IpPrefix, HostBitsAreThoseBehindTheLength) {
  IpPrefix ip = *IpPrefix::from_string("192.0.2.128");
  for (unsigned length = 0; length <= 32; ++length) {
    ip.length = static_cast<std::uint8_t>(length);
    EXPECT_EQ(ip.has_host_bits(), length < 25) << length;
  }
}

}  // namespace
}  // namespace splitnve
