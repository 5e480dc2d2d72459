// SPDX-License-Identifier: Apache-2.0
// The host's own traffic beside the switch (S26), and an underlay that is wide enough (S25).
#include <net/if.h>

#include "bpf_fixture.hpp"
#include "bpf_switch_links.hpp"
#include "bpf_switch_rows.hpp"
#include "splitnve/host/underlay.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::PortRole;
using datapath::UnderlayAddress;
using host::BpfSwitch;

constexpr std::uint32_t kVm = 1, kUplink = 2;
constexpr std::uint32_t kBlue = 10;
const MacAddress kAlice = mac(1), kStranger = mac(99);

std::string cause_of_port(BpfSwitch& bpf_switch, const std::string& name, PortRole role) {
  datapath::Rows rows;
  rows.ports = {port_row(9, name, role)};
  const auto result = bpf_switch.apply(BatchId(1), rows);
  return result.failures.empty() ? std::string() : result.failures[0].cause;
}

// --- the host's traffic ---

// A hypervisor: a VM port and an uplink on which the host has an address of its own; `sw` is the switch behind it.
class BpfHostTraffic : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    run("ip netns add sw && ip -n sw link set lo up");
    add_pair("vm");
    run("ip link add upl type veth peer name upl-t netns sw && ip link set upl up && ip -n sw link set upl-t up");
    run("ip addr add 198.51.100.1/24 dev upl && ip -n sw addr add 198.51.100.2/24 dev upl-t");
    open();
    datapath::Rows rows;
    rows.ports = {port_row(kVm, "vm", PortRole::kVm), port_row(kUplink, "upl", PortRole::kUplink)};
    rows.domains = {{DomainId(kBlue), true, 0, member(kUplink, 300), {member(kVm, 0)}, {}}};
    rows.access = {access_row(kVm, 0, kBlue), access_row(kUplink, 300, kBlue)};
    rows.guards = {guard_row(kBlue, kVm, kAlice, 1)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kVm, 0)};
    apply(rows);
  }
  void TearDown() override {
    BpfSwitchTest::TearDown();
    run("ip link del upl && ip netns del sw");
  }
};

TEST_F(BpfHostTraffic, passes_the_uplink_untouched_both_ways) {
  run("ping -q -c 3 -i 0.01 -W 5 198.51.100.2 >/dev/null");
  run("ip netns exec sw ping -q -c 3 -i 0.01 -W 5 198.51.100.1 >/dev/null");
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfHostTraffic, passes_a_vlan_of_the_host_on_the_uplink) {
  const Wire host("upl", kTenantType);  // behind the switch: what the host's stack is given
  const Wire vm("vm-t");
  std::unique_ptr<Wire> peer;
  {
    InNetns there("sw");
    peer = std::make_unique<Wire>("upl-t");
  }
  Frame tagged{kAlice, kStranger, 301};
  tagged.payload[0] = 7;
  peer->send(tagged);
  const auto passed = host.receive();
  ASSERT_TRUE(passed);
  EXPECT_EQ(passed->from, kStranger);
  EXPECT_EQ(passed->payload, tagged.payload);
  EXPECT_TRUE(vm.silent());
  tagged.tag = 300;  // a VN's: the VM's, and not the host's
  peer->send(tagged);
  EXPECT_EQ(vm.receive(), (Frame{kAlice, kStranger, {}, kTenantType, tagged.payload}));
  EXPECT_TRUE(host.silent());
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfHostTraffic, tags_frames_of_a_source_with_its_priority_and_no_others) {
  const Wire vm("vm-t");
  std::unique_ptr<Wire> peer;
  {
    InNetns there("sw");
    peer = std::make_unique<Wire>("upl-t");
  }
  constexpr std::uint16_t kFive = 5u << 13, kZero = 0;
  for (const std::uint16_t priority : {kFive, kZero}) {
    datapath::Rows rows;
    rows.guards = {guard_row(kBlue, kVm, kAlice, 1)};
    rows.guards[0].priority = Priority(static_cast<std::uint8_t>(priority >> 13));
    apply(rows);
    EXPECT_EQ(bpf_switch_->dump()->guards, rows.guards);
    const auto tci = static_cast<std::uint16_t>(priority | 300);
    for (const MacAddress to : {kStranger, kBroadcast}) {
      vm.send({to, kAlice, {}});
      EXPECT_EQ(peer->receive(), (Frame{to, kAlice, tci}));
    }
    peer->send({kAlice, kStranger, static_cast<std::uint16_t>((3u << 13) | 300)});  // whatever the switch says of it
    EXPECT_EQ(vm.receive(), (Frame{kAlice, kStranger, {}}));
  }
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfHostTraffic, refuses_a_port_that_belongs_to_a_bridge) {
  add_pair("p1");
  run("ip link add br0 type bridge && ip link set p1 master br0");
  const std::string cause = "it belongs to br0, whose frames would be cut off; take it out, or configure br0";
  EXPECT_EQ(cause_of_port(*bpf_switch_, "p1", PortRole::kUplink), "p1: " + cause);
  EXPECT_EQ(cause_of_port(*bpf_switch_, "p1", PortRole::kAccess), "p1: " + cause);
  run("test -z \"$(tc qdisc show dev p1 clsact)\"");
  const auto asked_before = BpfSwitch::check_port("p1", PortRole::kUplink, "/sys/fs/bpf/nowhere");
  ASSERT_FALSE(asked_before);
  EXPECT_EQ(asked_before.error().to_string(), "p1: " + cause);
  EXPECT_EQ(cause_of_port(*bpf_switch_, "p1", PortRole::kVm), "");
  run("ip link del br0");
}

TEST_F(BpfHostTraffic, keeps_a_port_that_is_put_into_a_bridge_afterwards) {
  run("ip link add br0 type bridge && ip link set upl master br0");
  EXPECT_EQ(cause_of_port(*bpf_switch_, "upl", PortRole::kUplink), "");
  run("ip link del br0");
}

TEST_F(BpfHostTraffic, refuses_to_replace_somebody_elses_filter) {
  add_pair("p1");
  run("tc qdisc add dev p1 clsact");
  run("tc filter add dev p1 ingress prio 22094 handle 0x534e bpf bytecode '1,6 0 0 0,'");
  const std::string cause = "p1: somebody else's tc filter, bpf, stands at priority 22094, which is ours";
  for (const auto role : {PortRole::kAccess, PortRole::kVm, PortRole::kUplink})
    EXPECT_EQ(cause_of_port(*bpf_switch_, "p1", role), cause);
  run("tc filter show dev p1 ingress | grep -q bytecode");
  run("tc filter del dev p1 ingress && tc filter add dev p1 ingress prio 5 bpf bytecode '1,6 0 0 -1,'");
  EXPECT_EQ(cause_of_port(*bpf_switch_, "p1", PortRole::kVm), "");
}

TEST(HostUse, of_vlan_devices_bars_an_access_port_but_no_uplink) {
  const host::bpf::HostUse use{{}, {{"eth0.100", 100}}, {}, {}};
  EXPECT_EQ(
      host::bpf::refusal_of(use, PortRole::kAccess),
      "the host has eth0.100 with VID 100 on it, which would be cut off; an access port's tags are the stations'");
  EXPECT_EQ(host::bpf::refusal_of(use, PortRole::kUplink), "");
  EXPECT_EQ(host::bpf::refusal_of(use, PortRole::kVm), "");
}

TEST(HostUse, of_a_vid_on_an_uplink_bars_that_vid_only) {
  host::bpf::PortTable ports;
  ports.bind(PortId(kUplink), {5, PortRole::kUplink, "upl", true, {300}});
  const auto barred = host::bpf::encode(access_row(kUplink, 300, kBlue), ports);
  EXPECT_FALSE(barred.key);
  EXPECT_EQ(barred.cause, "VID 300 is the host's own on this port");
  EXPECT_TRUE(host::bpf::encode(access_row(kUplink, 301, kBlue), ports).value);
  EXPECT_TRUE(host::bpf::encode(access_row(kUplink, 300, std::nullopt), ports).key);  // may always go
}

// --- the underlay's MTU ---

class BpfUnderlayMtu : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    run("ip link add und type veth peer name und-t && ip link set und up && ip link set und-t up");
    run("ip addr add 192.0.2.1/24 dev und");
    run("sysctl -qw net.ipv6.conf.und.disable_ipv6=0 && ip addr add 2001:db8::1/64 dev und nodad");
    vxlan("192.0.2.1");
  }
  void TearDown() override {
    BpfSwitchTest::TearDown();
    run("ip link del und");
  }
  void vxlan(const std::string& local) {
    config_.vxlan = BpfSwitch::Vxlan{"vx0", 4789, UnderlayAddress::from_string(local)};
  }
  void underlay_mtu(unsigned mtu) {
    run("ip link set und-t mtu " + std::to_string(mtu) + " && ip link set und mtu " + std::to_string(mtu));
  }
  std::string refusal() {
    const auto opened = BpfSwitch::open(config_);
    return opened ? std::string() : opened.error().to_string();
  }
  static unsigned mtu_of(const char* name) { return host::bpf::mtu_of_interface(::if_nametoindex(name)); }
};

TEST_F(BpfUnderlayMtu, must_exceed_the_access_mtu_by_the_tunnels_headers) {
  EXPECT_EQ(refusal(),
            "und: the underlay carries 1500 octets; access MTU 1500 and VXLAN need 1550 (raise the underlay's MTU or "
            "lower that of the access ports)");
  run("! ip link show vx0 2>/dev/null && test ! -e " + pin_root_);
  underlay_mtu(1549);
  EXPECT_NE(refusal(), "");
  underlay_mtu(1550);
  open();
  EXPECT_EQ(mtu_of("vx0"), 1500u);
}

TEST_F(BpfUnderlayMtu, must_exceed_it_by_more_over_ipv6) {
  vxlan("2001:db8::1");
  underlay_mtu(1569);
  EXPECT_EQ(refusal(),
            "und: the underlay carries 1569 octets; access MTU 1500 and VXLAN need 1570 (raise the underlay's MTU or "
            "lower that of the access ports)");
  underlay_mtu(1600);
  open();
  EXPECT_EQ(mtu_of("vx0"), 1530u);
}

TEST_F(BpfUnderlayMtu, is_measured_on_the_routes_to_the_remotes_too) {
  underlay_mtu(1600);
  run("ip route add 203.0.113.0/24 via 192.0.2.9 dev und onlink mtu lock 1540");
  config_.vxlan->remotes = {*UnderlayAddress::from_string("192.0.2.2"), *UnderlayAddress::from_string("203.0.113.7"),
                            *UnderlayAddress::from_string("240.0.0.1")};  // no route: not judged
  EXPECT_EQ(refusal(),
            "203.0.113.7: the underlay carries 1540 octets; access MTU 1500 and VXLAN need 1550 (raise the underlay's "
            "MTU or lower that of the access ports)");
}

TEST_F(BpfUnderlayMtu, is_not_judged_where_the_configuration_says_so_or_nothing_is_known) {
  config_.vxlan->allow_small_mtu = true;
  open();
  EXPECT_EQ(mtu_of("vx0"), 1500u);
  bpf_switch_->tear_down();
  config_.vxlan->allow_small_mtu = false;
  config_.vxlan->access_mtu = 1450;
  open();
  EXPECT_EQ(mtu_of("vx0"), 1450u);
  bpf_switch_->tear_down();
  vxlan("192.0.2.77");  // comes up later
  open();
}

TEST_F(BpfUnderlayMtu, bars_an_access_port_that_is_wider) {
  add_pair("p1");
  run("ip link set p1 mtu 9000");
  underlay_mtu(9000);
  open();
  EXPECT_EQ(cause_of_port(*bpf_switch_, "p1", PortRole::kAccess),
            "p1: und: the underlay carries 9000 octets; access MTU 9000 and VXLAN need 9050 (raise the underlay's MTU "
            "or lower that of the access ports)");
  run("ip link set p1 mtu 8950");
  EXPECT_EQ(cause_of_port(*bpf_switch_, "p1", PortRole::kAccess), "");
}

TEST_F(BpfUnderlayMtu, raises_the_mtu_of_an_adopted_device) {
  underlay_mtu(9000);
  run("ip link add vx0 mtu 1400 type vxlan external dstport 4789 nolearning");
  open();
  EXPECT_EQ(mtu_of("vx0"), 8950u);
}

}  // namespace
}  // namespace splitnve::test
