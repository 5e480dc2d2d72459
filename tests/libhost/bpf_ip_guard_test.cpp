// SPDX-License-Identifier: Apache-2.0
// The IP guard, packet in and packet out (S21): what a source with signalled addresses may say, untagged on a VM port
// and with an inline tag on an access port.
#include <array>

#include "ip_frames.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::IpGuard;
using datapath::PortRole;
using Program = host::BpfSwitch::Program;

constexpr std::uint32_t kIn = 1, kOut = 2, kBlue = 10;
const MacAddress kAlice = mac(1), kBob = mac(2);
const OctetString kData(40, 0xA5);
constexpr IpGuard kBoth{true, true, false, false};

/// How the frames come in: the tag of an access port, or none on a VM port.
using Tag = std::optional<std::uint16_t>;
using Ports = std::pair<std::uint16_t, std::uint16_t>;

// Alice is behind the port `in`, bob behind `out`; what passes is redirected to bob.
class BpfIpGuard : public BpfSwitchTest, public ::testing::WithParamInterface<Tag> {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    for (const auto* name : {"in", "out"}) add_pair(name);
    open();
    const std::uint16_t vid = GetParam().value_or(0);
    datapath::Rows rows;
    rows.ports = {port_row(kIn, "in", GetParam() ? PortRole::kAccess : PortRole::kVm),
                  port_row(kOut, "out", PortRole::kVm)};
    rows.domains = {{DomainId(kBlue), true, 0, std::nullopt, {member(kIn, vid), member(kOut, 0)}, {}}};
    rows.access = {access_row(kIn, vid, kBlue), access_row(kOut, 0, kBlue)};
    rows.guards = {guard_row(kBlue, kIn, kAlice, 1), guard_row(kBlue, kOut, kBob, 2)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kIn, vid), local_row(kBlue, kBob, 2, kOut, 0)};
    apply(rows);
  }

  void guard(IpGuard ip, std::initializer_list<const char*> prefixes = {}) {
    datapath::Rows rows;
    for (const auto* prefix : prefixes) rows.ips.push_back(ip_row(1, kAlice, prefix));
    rows.guards = {guard_row(kBlue, kIn, kAlice, 1)};
    rows.guards[0].ip = ip;
    apply(rows);
  }
  void guard_usual(IpGuard ip = kBoth) {
    guard(ip, {"192.0.2.7", "198.51.100.0/24", "2001:db8::7", "2001:db8:1::/48"});
  }

  Outcome send(std::uint16_t type, const OctetString& payload) const {
    return run_program(*bpf_switch_, Program::kPort, "in", Frame{kBob, kAlice, GetParam(), type, payload}.octets());
  }
  void expect_passes(std::uint16_t type, const OctetString& payload, const char* what = "") {
    const auto outcome = send(type, payload);
    EXPECT_EQ(outcome.verdict, kRedirected) << what;
    EXPECT_EQ(outcome.frame, (Frame{kBob, kAlice, {}, type, payload}.octets())) << what;
    EXPECT_EQ(bpf_switch_->drops(), seen_) << what;
  }
  void expect_drop(std::uint16_t type, const OctetString& payload, Drop reason, const char* what = "") {
    EXPECT_EQ(send(type, payload).verdict, kShot) << datapath::to_string(reason) << " " << what;
    ++seen_[static_cast<std::size_t>(reason)];
    EXPECT_EQ(bpf_switch_->drops(), seen_) << datapath::to_string(reason) << " " << what;
    seen_ = bpf_switch_->drops();
  }
  void expect_passes_icmpv6(const char* from, const OctetString& message) {
    expect_passes(kIpv6Type, ipv6(from, kIcmpv6, message), from);
  }
  void expect_drop_icmpv6(const char* from, const OctetString& message, Drop reason) {
    expect_drop(kIpv6Type, ipv6(from, kIcmpv6, message), reason, from);
  }
  host::DropCounters seen_{};
};

INSTANTIATE_TEST_SUITE_P(Tagged, BpfIpGuard, ::testing::Values(Tag(100)));
INSTANTIATE_TEST_SUITE_P(Untagged, BpfIpGuard, ::testing::Values(Tag()));

TEST_P(BpfIpGuard, refuses_only_routers_and_dhcp_servers_while_no_family_is_guarded) {
  datapath::Rows rows;
  rows.ips = {ip_row(1, kAlice, "192.0.2.7")};  // addresses alone guard nothing
  apply(rows);
  expect_passes(kIpv4Type, ipv4("10.0.0.1", kUdp, udp(53, 53)));
  expect_passes(kArpType, arp(2, kBob, "10.0.0.1"));
  expect_passes_icmpv6("2001:db8::bad", neighbour(kAdvert, "2001:db8::bad", link_option(2, kBob)));
  expect_drop(kIpv4Type, ipv4("10.0.0.1", kUdp, udp(67, 68)), Drop::kDhcpServer);
  expect_drop(kIpv6Type, ipv6("fe80::1", kUdp, udp(547, 546)), Drop::kDhcpServer);
  expect_drop_icmpv6("2001:db8::bad", router_advert(), Drop::kRouter);
  expect_drop_icmpv6("fe80::1", redirect(), Drop::kRouter);
  expect_drop(kIpv4Type, OctetString(20, 0xFF), Drop::kUnparsableIp);
}

TEST_P(BpfIpGuard, looks_at_nothing_where_both_are_allowed_and_no_family_is_guarded) {
  guard({false, false, true, true});
  expect_passes(kIpv4Type, ipv4("10.0.0.1", kUdp, udp(67, 68)));
  expect_passes(kIpv4Type, OctetString(20, 0xFF));
  expect_passes_icmpv6("2001:db8::bad", router_advert());
}

TEST_P(BpfIpGuard, lends_no_link_local_address_that_another_signalled) {
  guard(kBoth, {"2001:db8::7"});
  const auto signalled = [&](bool present) {
    datapath::Rows rows;
    rows.ips = {ip_row(2, kBob, "fe80::b0b", present)};
    if (present) rows.ips[0].domain = DomainId(kBlue);
    apply(rows);
  };
  const auto expect_barred = [&] {
    expect_drop(kIpv6Type, ipv6("fe80::b0b", kTcp, kData), Drop::kSpoofedIp);
    expect_drop_icmpv6("2001:db8::7", neighbour(kAdvert, "fe80::b0b", link_option(2, kAlice)), Drop::kSpoofedNeighbour);
    expect_drop_icmpv6("::", neighbour(kSolicit, "fe80::b0b"), Drop::kSpoofedNeighbour);
  };
  expect_passes(kIpv6Type, ipv6("fe80::b0b", kTcp, kData));
  signalled(true);
  expect_barred();
  expect_passes(kIpv6Type, ipv6("fe80::b0c", kTcp, kData));
  auto full = bpf_switch_->dump();
  ASSERT_TRUE(full);
  for (auto& row : full->ips) row.domain = DomainId(kBlue);
  ASSERT_TRUE(bpf_switch_->reconcile(*full));
  expect_barred();
  signalled(false);
  expect_passes(kIpv6Type, ipv6("fe80::b0b", kTcp, kData));
  expect_passes_icmpv6("::", neighbour(kSolicit, "fe80::b0b"));
}

TEST_P(BpfIpGuard, lends_a_reserved_link_local_address_only_to_who_signalled_it) {
  guard(kBoth, {"2001:db8::7"});
  auto full = bpf_switch_->dump();
  ASSERT_TRUE(full);
  full->domains[0].reserved = {*IpPrefix::from_string("fe80::1"), *IpPrefix::from_string("fe80::2")};
  datapath::Rows rows;
  rows.domains = full->domains;
  apply(rows);
  EXPECT_EQ(bpf_switch_->dump()->domains, rows.domains);
  for (const auto* reserved : {"fe80::1", "fe80::2"})
    expect_drop(kIpv6Type, ipv6(reserved, kTcp, kData), Drop::kSpoofedIp, reserved);
  expect_passes(kIpv6Type, ipv6("fe80::3", kTcp, kData));
  guard(kBoth, {"fe80::2"});
  expect_passes(kIpv6Type, ipv6("fe80::2", kTcp, kData));
  rows.domains[0].reserved.resize(5, *IpPrefix::from_string("fe80::9"));
  const auto refused = bpf_switch_->apply(BatchId(1), rows);
  ASSERT_EQ(refused.failures.size(), 1u);
  EXPECT_EQ(refused.failures[0].cause,
            "domain 10 reserves 5 link-local addresses; the limit is 4 (kReservedLinkLocalsMax)");
}

TEST_P(BpfIpGuard, takes_a_strict_link_local_address_from_the_mac_or_the_signal_only) {
  auto strict = kBoth;
  strict.strict_link_local = true;
  guard(strict, {"2001:db8::7", "fe80::77"});
  EXPECT_EQ(bpf_switch_->dump()->guards[0].ip.strict_link_local || bpf_switch_->dump()->guards[1].ip.strict_link_local,
            true);
  for (const auto* own : {"fe80::ff:fe00:1", "fe80::77"}) expect_passes(kIpv6Type, ipv6(own, kTcp, kData), own);
  for (const auto* foreign : {"fe80::1", "fe80::ff:fe00:2", "fe80::200:ff:fe00:1", "fe81::ff:fe00:1"})
    expect_drop(kIpv6Type, ipv6(foreign, kTcp, kData), Drop::kSpoofedIp, foreign);
  expect_drop_icmpv6("::", neighbour(kSolicit, "fe80::1"), Drop::kSpoofedNeighbour);
}

TEST_P(BpfIpGuard, passes_the_signalled_ipv4_sources_and_no_other) {
  guard_usual();
  for (const auto* own : {"192.0.2.7", "198.51.100.0", "198.51.100.77", "198.51.100.255", "0.0.0.0"})
    expect_passes(kIpv4Type, ipv4(own, kTcp, kData), own);
  for (const auto* foreign : {"192.0.2.6", "192.0.2.8", "198.51.99.255", "198.51.101.0", "127.0.0.1", "0.0.0.1",
                              "255.255.255.255", "10.0.0.1"})
    expect_drop(kIpv4Type, ipv4(foreign, kTcp, kData), Drop::kSpoofedIp, foreign);
}

TEST_P(BpfIpGuard, passes_the_signalled_ipv6_sources_and_no_other) {
  guard_usual();
  for (const auto* own :
       {"2001:db8::7", "2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", "::", "fe80::1", "febf:ffff::1"})
    expect_passes(kIpv6Type, ipv6(own, kTcp, kData), own);
  for (const auto* foreign : {"2001:db8::6", "2001:db8::8", "2001:db8:0:ffff::", "2001:db8:2::", "::1", "fec0::1",
                              "fe00::1", "::ffff:192.0.2.7", "c000:207::"})
    expect_drop(kIpv6Type, ipv6(foreign, kTcp, kData), Drop::kSpoofedIp, foreign);
}

TEST_P(BpfIpGuard, takes_prefixes_of_every_kind_for_what_they_are) {
  guard(kBoth, {"0.0.0.0/0"});
  expect_passes(kIpv4Type, ipv4("255.255.255.255", kTcp, kData));
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kTcp, kData), Drop::kSpoofedIp, "another family's everything");
  datapath::Rows rows;
  rows.ips = {
      ip_row(1, kAlice, "0.0.0.0/0", false), ip_row(1, kAlice, "10.0.0.0/8"), ip_row(1, kAlice, "10.1.0.0/16"),
      ip_row(1, kAlice, "10.1.2.2/31"),      ip_row(1, kAlice, "::/0"),       ip_row(1, kAlice, "2001:db8::6/127")};
  apply(rows);
  expect_passes(kIpv4Type, ipv4("10.255.0.1", kTcp, kData));
  expect_passes(kIpv6Type, ipv6("ffff::1", kTcp, kData));
  rows.ips = {ip_row(1, kAlice, "10.0.0.0/8", false), ip_row(1, kAlice, "::/0", false)};
  apply(rows);
  expect_drop(kIpv4Type, ipv4("10.255.0.1", kTcp, kData), Drop::kSpoofedIp);
  expect_passes(kIpv4Type, ipv4("10.1.9.9", kTcp, kData));  // the nested ones stay
  expect_passes(kIpv6Type, ipv6("2001:db8::7", kTcp, kData));
  rows.ips = {ip_row(1, kAlice, "10.1.0.0/16", false)};
  apply(rows);
  expect_passes(kIpv4Type, ipv4("10.1.2.3", kTcp, kData));
  expect_drop(kIpv4Type, ipv4("10.1.2.4", kTcp, kData), Drop::kSpoofedIp);
  expect_drop(kIpv6Type, ipv6("2001:db8::8", kTcp, kData), Drop::kSpoofedIp);
}

TEST_P(BpfIpGuard, lends_no_address_of_another_mac_or_instance) {
  guard(kBoth);
  datapath::Rows rows;
  rows.ips = {ip_row(2, kAlice, "192.0.2.7"), ip_row(1, kBob, "192.0.2.7"), ip_row(2, kBob, "192.0.2.7")};
  apply(rows);
  expect_drop(kIpv4Type, ipv4("192.0.2.7", kTcp, kData), Drop::kSpoofedIp);
}

TEST_P(BpfIpGuard, leaves_a_family_alone_that_nothing_was_signalled_of) {
  guard({true, false, false, false}, {"192.0.2.7"});
  expect_drop(kIpv4Type, ipv4("192.0.2.8", kTcp, kData), Drop::kSpoofedIp);
  expect_passes(kIpv6Type, ipv6("2001:db8::bad", kTcp, kData));
  expect_passes_icmpv6("2001:db8::bad", neighbour(kAdvert, "2001:db8::bad", link_option(2, kBob)));
  expect_drop_icmpv6("fe80::1", router_advert(), Drop::kRouter);
  guard({false, true, false, false}, {"2001:db8::7"});
  expect_passes(kIpv4Type, ipv4("192.0.2.8", kTcp, kData));
  expect_passes(kArpType, arp(2, kBob, "192.0.2.8"));
  expect_drop(kIpv4Type, ipv4("192.0.2.8", kUdp, udp(67, 68)), Drop::kDhcpServer);
  expect_drop(kIpv6Type, ipv6("2001:db8::bad", kTcp, kData), Drop::kSpoofedIp);
}

TEST_P(BpfIpGuard, lets_a_vm_without_addresses_ask_for_one) {
  guard(kBoth);
  expect_passes(kIpv4Type, ipv4("0.0.0.0", kUdp, udp(68, 67)), "DHCP discover");
  expect_passes(kArpType, arp(1, kAlice, "0.0.0.0"), "ARP probe");
  expect_passes(kIpv6Type, ipv6("fe80::1", kUdp, udp(546, 547)), "DHCPv6 solicit");
  expect_passes_icmpv6("::", neighbour(kSolicit, "fe80::1"));
  expect_passes_icmpv6("::", router_solicit());
  expect_passes(kIpv6Type, ipv6("::", kHopByHop, extension(kIcmpv6, 0, {143, 0, 0, 0, 0, 0, 0, 0})), "MLD report");
  expect_drop(kIpv4Type, ipv4("192.0.2.7", kTcp, kData), Drop::kSpoofedIp);
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kTcp, kData), Drop::kSpoofedIp);
}

TEST_P(BpfIpGuard, checks_who_sends_arp_and_of_what_address) {
  guard_usual();
  for (const std::uint8_t operation : std::initializer_list<std::uint8_t>{1, 2}) {
    expect_passes(kArpType, arp(operation, kAlice, "192.0.2.7"));
    expect_passes(kArpType, arp(operation, kAlice, "198.51.100.3"));
    expect_drop(kArpType, arp(operation, kBob, "192.0.2.7"), Drop::kSpoofedArp);
    expect_drop(kArpType, arp(operation, kAlice, "192.0.2.8"), Drop::kSpoofedArp);
    expect_drop(kArpType, arp(operation, kBob, "0.0.0.0"), Drop::kSpoofedArp);
  }
  for (const std::size_t at : {0u, 1u, 2u, 3u, 4u, 5u}) {  // hardware, protocol and their sizes
    auto other = arp(1, kAlice, "192.0.2.7");
    ++other[at];
    expect_drop(kArpType, other, Drop::kUnparsableIp);
  }
  auto cut = arp(1, kAlice, "192.0.2.7");
  cut.resize(17);
  expect_drop(kArpType, cut, Drop::kUnparsableIp);
}

TEST_P(BpfIpGuard, checks_of_what_address_a_neighbour_speaks) {
  guard_usual();
  for (const auto* own : {"2001:db8::7", "2001:db8:1::5", "fe80::1"}) {
    expect_passes_icmpv6("2001:db8::7", neighbour(kAdvert, own, link_option(2, kAlice)));
    expect_passes_icmpv6("2001:db8::7", neighbour(kAdvert, own));
    expect_passes_icmpv6("::", neighbour(kSolicit, own));
  }
  expect_drop_icmpv6("2001:db8::7", neighbour(kAdvert, "2001:db8::8", link_option(2, kAlice)), Drop::kSpoofedNeighbour);
  expect_drop_icmpv6("fe80::1", neighbour(kAdvert, "2001:db8::8"), Drop::kSpoofedNeighbour);
  expect_drop_icmpv6("::", neighbour(kSolicit, "2001:db8::8"), Drop::kSpoofedNeighbour);
  expect_passes_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", link_option(1, kAlice)));
  expect_drop_icmpv6("2001:db8::8", neighbour(kSolicit, "2001:db8::7"), Drop::kSpoofedIp);
}

TEST_P(BpfIpGuard, checks_every_link_layer_address_of_a_neighbour) {
  guard_usual();
  const auto own = link_option(1, kAlice), foreign = link_option(1, kBob), nonce = OctetString{14, 1, 1, 2, 3, 4, 5, 6};
  expect_drop_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", foreign), Drop::kSpoofedNeighbour);
  expect_drop_icmpv6("2001:db8::7", neighbour(kAdvert, "2001:db8::7", link_option(2, kBob)), Drop::kSpoofedNeighbour);
  expect_drop_icmpv6("fe80::1", router_solicit(foreign), Drop::kSpoofedNeighbour);
  expect_passes_icmpv6("fe80::1", router_solicit(own));
  expect_passes_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", join({nonce, own})));
  expect_drop_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", join({nonce, own, foreign})),
                     Drop::kSpoofedNeighbour);
  const auto long_one = join({{1, 2}, octets_of(kAlice), OctetString(8)});
  expect_drop_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", long_one), Drop::kSpoofedNeighbour);
  const auto empty = join({{1, 0}, octets_of(kAlice)});
  expect_drop_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", empty), Drop::kUnparsableIp);
  expect_drop_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", {14, 1, 1}), Drop::kUnparsableIp);
  expect_drop_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", {14, 2, 1, 2, 3, 4, 5, 6}), Drop::kUnparsableIp);
  OctetString many;
  for (int i = 0; i < 12; ++i) many = join({many, nonce});
  expect_passes_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", many));
  expect_drop_icmpv6("2001:db8::7", neighbour(kSolicit, "2001:db8::8", join({many, own})), Drop::kUnparsableIp);
  auto cut = neighbour(kAdvert, "2001:db8::7");
  cut.resize(23);
  expect_drop_icmpv6("2001:db8::7", cut, Drop::kUnparsableIp);
}

TEST_P(BpfIpGuard, finds_neighbour_discovery_behind_extension_headers) {
  guard_usual();
  const auto bad = neighbour(kAdvert, "2001:db8::8"), good = neighbour(kAdvert, "2001:db8::7");
  for (const std::uint8_t header : {kHopByHop, kRouting, kDestination}) {
    expect_drop(kIpv6Type, ipv6("2001:db8::7", header, extension(kIcmpv6, 1, bad)), Drop::kSpoofedNeighbour);
    expect_passes(kIpv6Type, ipv6("2001:db8::7", header, extension(kIcmpv6, 1, good)));
  }
  const auto auth = join({{kIcmpv6, 4}, OctetString(22), bad});  // counted in units of four octets
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kAuth, auth), Drop::kSpoofedNeighbour);
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kFragment, fragment(kIcmpv6, 0, bad)), Drop::kSpoofedNeighbour);
}

TEST_P(BpfIpGuard, takes_no_neighbour_discovery_in_fragments) {
  guard_usual();
  const auto good = neighbour(kAdvert, "2001:db8::7");
  expect_passes(kIpv6Type, ipv6("2001:db8::7", kFragment, fragment(kIcmpv6, 0, good)), "whole after all");
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kFragment, fragment(kIcmpv6, 1, good)), Drop::kSpoofedNeighbour);
  expect_passes(kIpv6Type, ipv6("2001:db8::7", kFragment, fragment(kIcmpv6, 1, {128, 0, 0, 0, 0, 0, 0, 0})), "echo");
}

TEST_P(BpfIpGuard, drops_routers_that_may_not_be_one) {
  guard_usual();
  expect_drop_icmpv6("fe80::1", router_advert(), Drop::kRouter);
  expect_drop_icmpv6("2001:db8::7", redirect(), Drop::kRouter);
  expect_drop(kIpv6Type, ipv6("fe80::1", kHopByHop, extension(kIcmpv6, 0, router_advert())), Drop::kRouter);
  expect_drop(kIpv6Type, ipv6("fe80::1", kFragment, fragment(kIcmpv6, 1, router_advert())), Drop::kRouter);
  guard_usual({true, true, true, false});
  expect_passes_icmpv6("fe80::1", router_advert(link_option(1, kAlice)));
  expect_passes_icmpv6("2001:db8::7", redirect());
  expect_drop_icmpv6("fe80::1", router_advert(link_option(1, kBob)), Drop::kSpoofedNeighbour);
  expect_drop(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(67, 68)), Drop::kDhcpServer);
}

TEST_P(BpfIpGuard, drops_dhcp_servers_that_may_not_be_one) {
  guard_usual();
  for (const auto& [from, to] : {Ports(67, 68), Ports(67, 67), Ports(4000, 68)})
    expect_drop(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(from, to)), Drop::kDhcpServer);
  for (const auto& [from, to] : {Ports(547, 546), Ports(547, 547), Ports(4000, 546)})
    expect_drop(kIpv6Type, ipv6("fe80::1", kUdp, udp(from, to)), Drop::kDhcpServer);
  expect_drop(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(67, 68), 0x2000), Drop::kDhcpServer, "a first fragment");
  expect_passes(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(68, 67)));
  expect_passes(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(53, 53)));
  expect_passes(kIpv4Type, ipv4("192.0.2.7", kTcp, udp(67, 68)));
  expect_passes(kIpv6Type, ipv6("fe80::1", kUdp, udp(546, 547)));
  guard_usual({true, true, false, true});
  expect_passes(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(67, 68)));
  expect_passes(kIpv6Type, ipv6("fe80::1", kUdp, udp(547, 546)));
  expect_drop_icmpv6("fe80::1", router_advert(), Drop::kRouter);
}

TEST_P(BpfIpGuard, judges_fragments_behind_the_first_by_their_source) {
  guard_usual();
  for (const std::uint16_t field : std::initializer_list<std::uint16_t>{0x0001, 0x2001, 0x1FFF}) {
    expect_passes(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(67, 68), field));  // data, no ports
    expect_drop(kIpv4Type, ipv4("192.0.2.8", kUdp, kData, field), Drop::kSpoofedIp);
  }
  for (const std::uint16_t field : std::initializer_list<std::uint16_t>{0x0008, 0x0009, 0xFFF8}) {
    expect_passes(kIpv6Type, ipv6("2001:db8::7", kFragment, fragment(kUdp, field, udp(547, 546))));
    expect_drop(kIpv6Type, ipv6("2001:db8::8", kFragment, fragment(kUdp, field, kData)), Drop::kSpoofedIp);
  }
}

TEST_P(BpfIpGuard, drops_ipv4_headers_that_cannot_be_read) {
  guard_usual();
  const auto good = ipv4("192.0.2.7", kUdp, udp(1000, 2000));
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto changed = good;
    changed[at] = value;
    return changed;
  };
  expect_passes(kIpv4Type, good);
  expect_drop(kIpv4Type, with(0, 0x65), Drop::kUnparsableIp, "version 6");
  expect_drop(kIpv4Type, with(0, 0x44), Drop::kUnparsableIp, "a header of 16 octets");
  expect_drop(kIpv4Type, with(3, 19), Drop::kUnparsableIp, "shorter than its header");
  expect_drop(kIpv4Type, with(3, static_cast<std::uint8_t>(good.size() + 1)), Drop::kUnparsableIp,
              "longer than the frame");
  expect_drop(kIpv4Type, with(3, 22), Drop::kUnparsableIp, "half a port");
  // The kernel runs no program on an untagged frame so short: BpfIpWires sends them.
  for (std::size_t size = 1; GetParam() && size < 20; ++size)
    expect_drop(kIpv4Type, OctetString(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)),
                Drop::kUnparsableIp);
}

TEST_P(BpfIpGuard, drops_ipv6_headers_that_cannot_be_read) {
  guard_usual();
  auto chain = udp(1000, 2000);
  for (int i = 0; i < 5; ++i) chain = extension(i == 0 ? kUdp : kDestination, 0, chain);
  expect_passes(kIpv6Type, ipv6("2001:db8::7", kDestination, chain), "five headers");
  chain = extension(kDestination, 0, chain);
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kDestination, chain), Drop::kUnparsableIp, "six headers");
  auto good = ipv6("2001:db8::7", kUdp, udp(1000, 2000));
  for (std::size_t size = 1; GetParam() && size < 40; ++size)
    expect_drop(kIpv6Type, OctetString(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)),
                Drop::kUnparsableIp);
  good[0] = 0x40;
  expect_drop(kIpv6Type, good, Drop::kUnparsableIp, "version 4");
  good[0] = 0x60;
  ++good[5];
  expect_drop(kIpv6Type, good, Drop::kUnparsableIp, "longer than the frame");
  expect_drop(kIpv6Type, ipv6("2001:db8::7", kHopByHop, {kUdp, 200, 0, 0, 0, 0, 0, 0}), Drop::kUnparsableIp);
  // The chain goes on in the next fragment; what stands behind this one is no part of it.
  auto tiny = ipv6("fe80::1", kFragment, fragment(kDestination, 1, {kIcmpv6, 0, 0, 0, 0, 0, 0, 0}));
  tiny = join({tiny, {128, 0, 0, 0, 0, 0, 0, 0}});
  expect_drop(kIpv6Type, tiny, Drop::kUnparsableIp);
}

TEST_P(BpfIpGuard, lets_other_protocols_pass) {
  guard_usual();
  expect_passes(kTenantType, kData);
  expect_passes(0x8035, arp(3, kAlice, "10.0.0.1"), "RARP, as announced after a migration");
}

TEST_P(BpfIpGuard, still_drops_llc_and_stacked_tags) {
  guard_usual();
  expect_drop(0x8100, join({{0, 100, 8, 0}, ipv4("192.0.2.7", kTcp, kData)}),
              GetParam() ? Drop::kNestedTag : Drop::kUnknownTag);
  expect_drop(38, join({{0xAA, 0xAA, 3, 0, 0, 0, 8, 0}, ipv4("10.0.0.1", kTcp, kData)}), Drop::kLlc);
}

TEST_P(BpfIpGuard, counts_a_reserved_source_as_closed_whatever_it_says) {
  guard_usual();
  datapath::Rows rows;
  rows.fdb = {no_owner(kBlue, kAlice)};
  apply(rows);
  expect_drop(kIpv4Type, ipv4("10.0.0.1", kTcp, kData), Drop::kClosed);
}

}  // namespace
}  // namespace splitnve::test
