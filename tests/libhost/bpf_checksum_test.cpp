// SPDX-License-Identifier: Apache-2.0
// A VM that leaves its checksum to the kernel, as QEMU and vhost do, and says a wrong place for it: over what the guard
// has judged (S47). Right places pass, wherever the receiver is.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include "ip_frames.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::IpGuard;
using datapath::PortRole;

constexpr std::uint32_t kIn = 1, kOut = 2, kBlue = 10;
constexpr std::uint16_t kNetwork = 14, kBehindIpv4 = 34, kBehindIpv6 = 54;
const MacAddress kAlice = mac(1), kBob = mac(2);
const OctetString kData(60, 0xA5);

/// What stands before each frame of a TAP with IFF_VNET_HDR; <linux/virtio_net.h> is no C++.
struct VirtioHeader {
  std::uint8_t flags, segmentation;
  std::uint16_t header_length, segment_size, checksum_start, checksum_offset;
};
constexpr std::uint8_t kNeedsChecksum = 1, kChecksumIsValid = 2;

// Alice behind a TAP, bob behind a pair of interfaces.
class BpfChecksum : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    add_pair("out");
    tap_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ifreq request{};
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    std::strcpy(request.ifr_name, "tap");
    ASSERT_EQ(::ioctl(tap_, TUNSETIFF, &request), 0) << std::strerror(errno);
    ASSERT_EQ(::ioctl(tap_, TUNSETOFFLOAD, TUN_F_CSUM), 0);
    run("ip link set tap up");
    open();
    datapath::Rows rows;
    rows.ports = {port_row(kIn, "tap", PortRole::kVm), port_row(kOut, "out", PortRole::kVm)};
    rows.domains = {{DomainId(kBlue), true, 0, std::nullopt, {member(kIn, 0), member(kOut, 0)}, {}}};
    rows.access = {access_row(kIn, 0, kBlue), access_row(kOut, 0, kBlue)};
    rows.ips = {ip_row(1, kAlice, "192.0.2.7"), ip_row(1, kAlice, "2001:db8::7")};
    rows.guards = {guard_row(kBlue, kIn, kAlice, 1), guard_row(kBlue, kOut, kBob, 2)};
    rows.guards[0].ip = IpGuard{true, true, false, false};
    rows.fdb = {local_row(kBlue, kAlice, 1, kIn, 0), local_row(kBlue, kBob, 2, kOut, 0)};
    apply(rows);
    bob_ = std::make_unique<Wire>("out-t");
  }
  void TearDown() override {
    BpfSwitchTest::TearDown();
    ::close(tap_);
  }
  /// `start` and `offset` count from the frame and from `start`, as virtio has them.
  /// False: the kernel takes no such place.
  [[nodiscard]] bool send(const Frame& frame, std::uint16_t start, std::uint16_t offset) const {
    VirtioHeader header{};
    header.flags = kNeedsChecksum;
    header.checksum_start = start;
    header.checksum_offset = offset;
    OctetString octets(sizeof header);
    std::memcpy(octets.data(), &header, sizeof header);
    const auto rest = frame.octets();
    octets.insert(octets.end(), rest.begin(), rest.end());
    return ::write(tap_, octets.data(), octets.size()) == static_cast<ssize_t>(octets.size());
  }
  void expect_drop(std::uint16_t type, const OctetString& payload, std::uint16_t start, std::uint16_t offset,
                   std::optional<std::uint16_t> tag = {}) {
    const auto before = dropped(Drop::kDeferredChecksum);
    if (!send({kBob, kAlice, tag, type, payload}, start, offset)) return;
    EXPECT_TRUE(eventually([&] { return dropped(Drop::kDeferredChecksum) == before + 1; }))
        << std::hex << type << std::dec << " " << start << "+" << offset;
    EXPECT_TRUE(bob_->silent());
  }
  /// Nothing is changed but the two octets of the checksum, which are right.
  void expect_passes(std::uint16_t type, const OctetString& payload, std::uint16_t start, std::uint16_t offset) {
    const auto before = dropped_in_all();
    ASSERT_TRUE(send({kBob, kAlice, {}, type, payload}, start, offset)) << std::strerror(errno);
    const auto got = bob_->receive();
    ASSERT_TRUE(got) << start << "+" << offset << ", dropped " << dropped_in_all() - before;
    auto expected = payload;
    const std::size_t at = start + offset - std::size_t{kNetwork};
    expected.resize(std::max<std::size_t>(expected.size(), 46));
    auto seen = got->payload;
    seen.resize(expected.size());
    for (const std::size_t octet : {at, at + 1}) expected[octet] = seen[octet] = 0;
    EXPECT_EQ(seen, expected) << start << "+" << offset;
  }
  int tap_ = -1;
  std::unique_ptr<Wire> bob_;
};

TEST_F(BpfChecksum, passes_where_each_protocol_has_it) {
  for (const auto& [protocol, offset] : {std::pair(kTcp, 16), std::pair(kUdp, 6), std::pair<std::uint8_t, int>(132, 8),
                                         std::pair<std::uint8_t, int>(136, 6)}) {
    const auto at = static_cast<std::uint16_t>(offset);
    expect_passes(kIpv4Type, ipv4("192.0.2.7", protocol, join({udp(9, 9), kData})), kBehindIpv4, at);
    expect_passes(kIpv6Type, ipv6("2001:db8::7", protocol, join({udp(9, 9), kData})), kBehindIpv6, at);
  }
  expect_passes(kIpv6Type, ipv6("2001:db8::7", kIcmpv6, join({{128, 0, 0, 0}, kData})), kBehindIpv6, 2);
  expect_passes(kIpv6Type, ipv6("2001:db8::7", kHopByHop, extension(kUdp, 0, join({udp(9, 9), kData}))),
                kBehindIpv6 + 8, 6);
}

TEST_F(BpfChecksum, passes_in_neighbour_discovery_with_every_option_in_its_place) {
  const auto message = neighbour(kAdvert, "2001:db8::7", join({link_option(2, kAlice), {14, 1, 9, 8, 7, 6, 5, 4}}));
  expect_passes(kIpv6Type, ipv6("2001:db8::7", kIcmpv6, message), kBehindIpv6, 2);
  for (std::uint16_t offset = 3; offset < 40; ++offset)
    expect_drop(kIpv6Type, ipv6("2001:db8::7", kIcmpv6, message), kBehindIpv6, offset);
}

TEST_F(BpfChecksum, passes_within_what_a_guests_own_tunnel_carries) {
  for (const std::uint16_t at : std::initializer_list<std::uint16_t>{8, 20, 40, 60}) {
    expect_passes(kIpv4Type, ipv4("192.0.2.7", kUdp, join({udp(50000, 4789), kData})), kBehindIpv4 + at, 2);
    expect_passes(kIpv4Type, ipv4("192.0.2.7", 47, join({OctetString(30), kData})), kBehindIpv4 + at, 0);
    expect_passes(kIpv6Type, ipv6("2001:db8::7", 41, join({OctetString(30), kData})), kBehindIpv6 + at, 0);
  }
  expect_passes(kIpv4Type, ipv4("192.0.2.7", 47, join({OctetString(30), kData})), kBehindIpv4, 4);  // GRE's own
}

TEST_F(BpfChecksum, is_not_written_into_what_was_judged) {
  const auto plain = ipv4("192.0.2.7", kUdp, join({udp(9, 9), kData}));
  for (std::uint16_t at = 0; at < kBehindIpv4 + 6; ++at)
    for (const std::uint16_t start : {std::uint16_t{0}, kNetwork, std::uint16_t{20}, at})
      if (start <= at) expect_drop(kIpv4Type, plain, start, static_cast<std::uint16_t>(at - start));
  const auto six = ipv6("2001:db8::7", kTcp, join({udp(9, 9), kData}));
  for (std::uint16_t at = kNetwork; at < kBehindIpv6 + 16; ++at)
    expect_drop(kIpv6Type, six, kNetwork, static_cast<std::uint16_t>(at - kNetwork));
  const auto options = ipv6("2001:db8::7", kDestination, extension(kUdp, 1, join({udp(9, 9), kData})));
  expect_drop(kIpv6Type, options, kBehindIpv6, 0);  // which protocol stands behind
  expect_drop(kIpv6Type, options, kBehindIpv6 + 14, 0);
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kIcmpv6, join({{128, 0, 0, 0}, kData})), kBehindIpv6, 0);  // type, code
}

TEST_F(BpfChecksum, is_not_written_into_fragments_or_what_is_no_ip) {
  for (const std::uint16_t at : std::initializer_list<std::uint16_t>{20, 28, 50}) {
    expect_drop(kArpType, join({arp(2, kAlice, "192.0.2.7"), kData}), at, 0);
    expect_drop(kTenantType, kData, at, 0);
  }
  for (const std::uint16_t field : std::initializer_list<std::uint16_t>{0x2000, 0x0001, 0x2001})
    expect_drop(kIpv4Type, ipv4("192.0.2.7", kUdp, join({udp(9, 9), kData}), field), kBehindIpv4, 6);
  for (const std::uint16_t field : std::initializer_list<std::uint16_t>{0x0001, 0x0008, 0x0009})
    expect_drop(kIpv6Type, ipv6("2001:db8::7", kFragment, fragment(kUdp, field, join({udp(9, 9), kData}))),
                kBehindIpv6 + 8, 6);
  expect_drop(kTenantType, kData, 0, 0, 0);  // before the frame itself, where its tag stood
}

TEST_F(BpfChecksum, is_looked_at_without_signalled_addresses_too) {
  datapath::Rows rows;
  rows.guards = {guard_row(kBlue, kIn, kAlice, 1)};
  apply(rows);
  const auto plain = ipv4("192.0.2.9", kUdp, join({udp(9, 9), kData}));
  expect_passes(kIpv4Type, plain, kBehindIpv4, 6);
  expect_drop(kIpv4Type, plain, kBehindIpv4, 0);  // into the ports
  expect_drop(kIpv4Type, plain, kNetwork, 12);
  rows.guards[0].ip = {false, false, true, true};
  apply(rows);
  expect_passes(kIpv4Type, plain, kBehindIpv4, 0);  // nothing of IP was judged
  expect_drop(kIpv4Type, plain, 0, 6);
}

TEST_F(BpfChecksum, is_not_needed) {
  const auto plain = ipv4("192.0.2.7", kUdp, join({udp(9, 9), kData}));
  const Wire vm("out");
  OctetString octets(sizeof(VirtioHeader));
  const auto rest = Frame{kBob, kAlice, {}, kIpv4Type, plain}.octets();
  for (const std::uint8_t flags : std::initializer_list<std::uint8_t>{0, kChecksumIsValid}) {
    octets.resize(sizeof(VirtioHeader));
    octets[0] = flags;
    octets.insert(octets.end(), rest.begin(), rest.end());
    ASSERT_EQ(::write(tap_, octets.data(), octets.size()), static_cast<ssize_t>(octets.size()));
    EXPECT_EQ(bob_->receive(), (Frame{kBob, kAlice, {}, kIpv4Type, plain}));
  }
  EXPECT_EQ(dropped_in_all(), 0u);
}

}  // namespace
}  // namespace splitnve::test
