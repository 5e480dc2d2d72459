// SPDX-License-Identifier: Apache-2.0
// What a station cannot reach by the port that it stands at: the host behind it and the host's tunnels (S41), the
// addresses of our own ports (S18), tags in tags (S21), and everybody's attention (storm control).
#include "ip_frames.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::HostTraffic;
using datapath::PortRole;
using datapath::UnderlayAddress;
using host::BpfSwitch;
using Program = BpfSwitch::Program;

constexpr std::uint32_t kAccess = 1, kVm = 2, kUplink = 3, kBlue = 10;
constexpr std::uint16_t kTag = 100, kVxlan = 4789;
const MacAddress kAlice = mac(1), kBob = mac(2), kStranger = mac(99), kLinkGroup(0x0180C2000000);
const OctetString kData(40, 0xA5);

OctetString to(OctetString packet, std::string_view destination) {
  const auto address = octets_of(destination);
  std::copy(address.begin(), address.end(), packet.begin() + (address.size() == 4 ? 16 : 24));
  return packet;
}

// Alice stands at the access port with a tag, bob at the VM port. The host has addresses on `acc`, and forwards.
class BpfClosed : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    for (const auto* name : {"acc", "vm", "upl"}) add_pair(name);
    run("sysctl -qw net.ipv6.conf.acc.disable_ipv6=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    run("ip addr add 192.0.2.1/24 dev acc && ip addr add 2001:db8::1/64 dev acc nodad");
    run("ip route add 203.0.113.0/24 via 192.0.2.9 && ip route add 2001:db8:9::/64 via 2001:db8::9");
    config_.vxlan = BpfSwitch::Vxlan{"vx0", kVxlan, UnderlayAddress::from_string("192.0.2.1")};
    config_.vxlan->allow_small_mtu = true;
    open();
    rows_.ports = {port_row(kAccess, "acc", PortRole::kAccess), port_row(kVm, "vm", PortRole::kVm),
                   port_row(kUplink, "upl", PortRole::kUplink)};
    rows_.domains = {{DomainId(kBlue), true, 0, std::nullopt, {member(kAccess, kTag), member(kVm, 0)}, {}}};
    rows_.access = {access_row(kAccess, kTag, kBlue), access_row(kVm, 0, kBlue)};
    rows_.guards = {guard_row(kBlue, kAccess, kAlice, 1), guard_row(kBlue, kVm, kBob, 2)};
    rows_.fdb = {local_row(kBlue, kAlice, 1, kAccess, kTag), local_row(kBlue, kBob, 2, kVm, 0)};
    apply(rows_);
  }
  void let(HostTraffic traffic) {
    datapath::Rows rows;
    rows.ports = {rows_.ports[0]};
    rows.ports[0].host_traffic = traffic;
    apply(rows);
    EXPECT_EQ(bpf_switch_->dump()->ports[0].host_traffic, traffic);
  }
  int verdict(const Frame& frame, const std::string& port = "acc") const {
    return run_program(*bpf_switch_, Program::kPort, port, frame.octets()).verdict;
  }
  /// Untagged and priority-tagged alike.
  void expect_host(const OctetString& packet, std::optional<Drop> reason, const char* what = "") {
    const std::uint16_t type = packet[0] >> 4 == 6 ? kIpv6Type : kIpv4Type;
    for (const std::optional<std::uint16_t> tag : {std::optional<std::uint16_t>{}, std::optional<std::uint16_t>{0}}) {
      const auto before = dropped_in_all(), counted = reason ? dropped(*reason) : 0;
      EXPECT_EQ(verdict({kBob, kStranger, tag, type, packet}), reason ? kShot : kPass) << what;
      EXPECT_EQ(dropped_in_all() - before, reason ? 1u : 0u) << what;
      if (reason) {
        EXPECT_EQ(dropped(*reason) - counted, 1u) << what << datapath::to_string(*reason);
      }
    }
  }
  void expect_drop(const Frame& frame, Drop reason, const std::string& port = "acc") {
    const auto counted = dropped(reason);
    EXPECT_EQ(verdict(frame, port), kShot) << frame;
    EXPECT_EQ(dropped(reason) - counted, 1u) << frame << " " << datapath::to_string(reason);
  }
  datapath::Rows rows_;
};

TEST_F(BpfClosed, to_untagged_traffic_unless_the_port_says_otherwise) {
  expect_host(to(ipv4("192.0.2.9", kTcp, kData), "192.0.2.1"), Drop::kHostTraffic);
  expect_host(to(ipv6("2001:db8::9", kTcp, kData), "2001:db8::1"), Drop::kHostTraffic);
  for (const std::uint16_t tag : std::initializer_list<std::uint16_t>{0, 0xE000}) {
    expect_drop({kBroadcast, kStranger, {}, kArpType, arp(1, kStranger, "192.0.2.9")}, Drop::kHostTraffic);
    expect_drop({kBroadcast, kStranger, tag, kArpType, arp(1, kStranger, "192.0.2.9")}, Drop::kHostTraffic);
  }
  for (const auto traffic : {HostTraffic::kOpen, HostTraffic::kInherited}) {
    let(traffic);
    expect_host(to(ipv4("192.0.2.9", kTcp, kData), "192.0.2.1"), {});
    expect_host(to(ipv6("2001:db8::9", kTcp, kData), "2001:db8::1"), {});
    EXPECT_EQ(verdict({kBroadcast, kStranger, {}, kArpType, arp(1, kStranger, "192.0.2.9")}), kPass);
  }
  let(HostTraffic::kClosed);
  expect_host(to(ipv4("192.0.2.9", kTcp, kData), "192.0.2.1"), Drop::kHostTraffic);
}

TEST_F(BpfClosed, to_ip_that_is_dressed_as_a_control_frame) {
  const auto packet = to(ipv4("192.0.2.2", kUdp, udp(50000, kVxlan)), "192.0.2.1");
  for (std::uint64_t last = 0; last < 16; ++last) {
    const MacAddress group(kLinkGroup.value() + last);
    expect_drop({group, kStranger, {}, kIpv4Type, packet}, Drop::kHostTraffic);
    EXPECT_EQ(verdict({group, kStranger, {}, 0x8809, kData}), kPass);
    EXPECT_EQ(verdict({group, kStranger, {}, 38, kData}), kPass);  // a spanning tree's LLC
  }
  let(HostTraffic::kOpen);
  expect_drop({kLinkGroup, kStranger, {}, kIpv4Type, packet}, Drop::kUnderlay);
}

TEST_F(BpfClosed, to_the_vxlan_port_of_every_address) {
  let(HostTraffic::kOpen);
  for (const auto* address : {"192.0.2.1", "192.0.2.2", "203.0.113.7", "255.255.255.255", "224.0.0.5"}) {
    expect_host(to(ipv4("192.0.2.9", kUdp, udp(50000, kVxlan)), address), Drop::kUnderlay, address);
    expect_host(to(ipv4("192.0.2.9", kUdp, udp(50000, kVxlan), 0x2000), address), Drop::kUnderlay, address);
    expect_host(to(ipv4("192.0.2.9", kUdp, udp(kVxlan, 53)), address), {}, address);
  }
  auto options = ipv4("192.0.2.9", kUdp, join({OctetString(40, 1), udp(50000, kVxlan)}));
  options[0] = 0x4F;
  expect_host(to(options, "192.0.2.1"), Drop::kUnderlay, "behind IP options");
  for (const auto* address : {"2001:db8::1", "2001:db8:9::5", "ff02::1"}) {
    const auto inner = udp(50000, kVxlan);
    expect_host(to(ipv6("2001:db8::9", kUdp, inner), address), Drop::kUnderlay, address);
    for (const std::uint8_t header : {kHopByHop, kRouting, kDestination})
      expect_host(to(ipv6("2001:db8::9", header, extension(kUdp, 1, inner)), address), Drop::kUnderlay, address);
    expect_host(to(ipv6("2001:db8::9", kFragment, fragment(kUdp, 1, inner)), address), Drop::kUnderlay, address);
    expect_host(to(ipv6("2001:db8::9", kFragment, fragment(kUdp, 0, inner)), address), Drop::kUnderlay, address);
    expect_host(to(ipv6("2001:db8::9", kUdp, udp(53, 53)), address), {}, address);
  }
  auto chain = udp(50000, kVxlan);
  for (int i = 0; i < 7; ++i) chain = extension(i == 0 ? kUdp : kDestination, 0, chain);
  expect_host(to(ipv6("2001:db8::9", kDestination, chain), "2001:db8::1"), Drop::kUnparsableIp, "a long chain");
  expect_host(OctetString(20, 0x45), Drop::kUnderlay, "fragments of who knows what");
}

TEST_F(BpfClosed, to_tunnels_and_later_fragments_for_the_host_itself) {
  let(HostTraffic::kOpen);
  for (const std::uint8_t tunnel : std::initializer_list<std::uint8_t>{4, 41, 47, 50, 51}) {
    for (const auto* own : {"192.0.2.1", "192.0.2.255", "255.255.255.255", "127.0.0.1"})
      expect_host(to(ipv4("192.0.2.9", tunnel, kData), own), Drop::kUnderlay, own);
    expect_host(to(ipv4("192.0.2.9", tunnel, kData), "203.0.113.7"), {}, "to be forwarded");
    expect_host(to(ipv6("2001:db8::9", tunnel, kData), "2001:db8::1"), Drop::kUnderlay, "IPv6");
    expect_host(to(ipv6("2001:db8::9", kDestination, extension(tunnel, 0, kData)), "2001:db8::1"), Drop::kUnderlay);
    if (tunnel != 51) expect_host(to(ipv6("2001:db8::9", tunnel, kData), "2001:db8:9::5"), {}, "to be forwarded");
  }
  expect_host(to(ipv6("2001:db8::9", kAuth, extension(kTcp, 2, kData)), "2001:db8::1"), Drop::kUnderlay, "behind AH");
  for (const std::uint16_t field : std::initializer_list<std::uint16_t>{0x0001, 0x2001, 0x1FFF}) {
    expect_host(to(ipv4("192.0.2.9", kUdp, kData, field), "192.0.2.1"), Drop::kUnderlay);
    expect_host(to(ipv4("192.0.2.9", kTcp, kData, field), "192.0.2.1"), Drop::kUnderlay);
    expect_host(to(ipv4("192.0.2.9", kUdp, kData, field), "203.0.113.7"), {});
  }
  expect_host(to(ipv6("2001:db8::9", kFragment, fragment(kUdp, 8, kData)), "2001:db8::1"), Drop::kUnderlay);
  expect_host(to(ipv6("2001:db8::9", kFragment, fragment(kUdp, 8, kData)), "2001:db8:9::5"), {});
  run("sysctl -qw net.ipv4.ip_forward=0");
  expect_host(to(ipv4("192.0.2.9", 47, kData), "203.0.113.7"), Drop::kUnderlay, "a host that forwards nothing");
}

TEST_F(BpfClosed, to_addresses_of_our_own_ports_on_every_port) {
  datapath::Rows rows;
  std::vector<MacAddress> ours;
  for (const auto* name : {"acc", "upl"}) {
    run(std::string("ip link set ") + name + " address 02:00:00:00:0f:" + (name[0] == 'a' ? "01" : "02"));
    ours.push_back(mac(name[0] == 'a' ? 0xF01 : 0xF02));
  }
  rows.ports = rows_.ports;
  apply(rows);
  for (const auto& own : ours) {
    expect_drop({own, kAlice, kTag}, Drop::kControlFrame);
    expect_drop({own, kBob, {}}, Drop::kControlFrame, "vm");
    expect_drop({kBob, own, kTag}, Drop::kControlFrame);
    expect_drop({kAlice, own, {}}, Drop::kControlFrame, "vm");
  }
}

TEST_F(BpfClosed, to_tags_in_tags_of_every_age_and_order) {
  for (const std::uint16_t inner : std::initializer_list<std::uint16_t>{0x8100, 0x88A8, 0x9100, 0x9200, 0x9300}) {
    expect_drop({kBob, kAlice, kTag, inner}, Drop::kNestedTag);
    expect_drop({kAlice, kBob, 0, inner}, Drop::kNestedTag, "vm");
    expect_drop({kBob, kStranger, 0, inner}, Drop::kNestedTag);
    if (inner == 0x8100) continue;
    expect_drop({kBob, kAlice, {}, inner}, Drop::kUnknownTag);
    expect_drop({kAlice, kBob, {}, inner}, Drop::kUnknownTag, "vm");
  }
}

// --- storm control ---

TEST_F(BpfClosed, to_storms_of_one_source_and_open_to_its_neighbour) {
  datapath::Rows rows;
  rows.ports = {rows_.ports[1]};
  rows.ports[0].storm = {1, 5};
  rows.guards = {guard_row(kBlue, kVm, mac(3), 3)};
  rows.fdb = {local_row(kBlue, mac(3), 3, kVm, 0)};
  apply(rows);
  EXPECT_EQ(bpf_switch_->dump()->ports[1].storm, rows.ports[0].storm);
  int passed = 0;
  for (int i = 0; i < 20; ++i) passed += verdict({kBroadcast, kBob, {}}, "vm") == kConsumed ? 1 : 0;
  EXPECT_GE(passed, 5);
  EXPECT_LE(passed, 7);  // the seconds that this took may have given another one
  EXPECT_EQ(dropped(Drop::kStorm), static_cast<std::uint64_t>(20 - passed));
  EXPECT_EQ(counters(2).dropped_storm, static_cast<std::uint64_t>(20 - passed));
  EXPECT_EQ(verdict({kAlice, kBob, {}}, "vm"), kRedirected);  // unicast is not held up
  EXPECT_EQ(verdict({kBroadcast, mac(3), {}}, "vm"), kConsumed);
  EXPECT_EQ(counters(3).dropped_storm, 0u);
  bpf_switch_->clear_counters(InstanceId(2));  // the next instance of that number begins anew
  EXPECT_EQ(verdict({kBroadcast, kBob, {}}, "vm"), kConsumed);
}

TEST_F(BpfClosed, to_storms_of_one_tag_of_a_station_and_open_to_the_next_tag) {
  datapath::Rows rows;
  rows.ports = {rows_.ports[0]};
  rows.ports[0].storm = {1, 3};
  rows.domains = {{DomainId(20), true, 0, std::nullopt, {member(kAccess, 200), member(kVm, 0)}, {}}};
  rows.access = {access_row(kAccess, 200, 20)};
  rows.guards = {guard_row(20, kAccess, kAlice, 4)};
  rows.fdb = {local_row(20, kAlice, 4, kAccess, 200)};
  apply(rows);
  for (int i = 0; i < 10; ++i) verdict({kBroadcast, kAlice, kTag});
  EXPECT_GE(dropped(Drop::kStorm), 5u);
  EXPECT_EQ(verdict({kBroadcast, kAlice, 200}), kConsumed);
}

TEST_F(BpfClosed, to_storms_at_the_rate_that_was_said) {
  datapath::Rows rows;
  rows.ports = {rows_.ports[1]};
  rows.ports[0].storm = {2000, 100};
  apply(rows);
  const auto begin = std::chrono::steady_clock::now();
  double passed = 0, seconds = 0;
  while (seconds < 0.5) {
    passed += verdict({kBroadcast, kBob, {}}, "vm") == kConsumed ? 1 : 0;
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  EXPECT_LE(passed, 100 + 2000 * seconds + 1);
  if (dropped(Drop::kStorm) > 0) {
    EXPECT_GE(passed, 0.5 * 2000 * seconds);
  }
}

}  // namespace
}  // namespace splitnve::test
