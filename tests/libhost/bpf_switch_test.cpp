// SPDX-License-Identifier: Apache-2.0
// The eBPF switch on real interfaces: what a tenant sends is what another one receives, or nobody.
#include <algorithm>

#include "bpf_fixture.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::PortRole;
using host::BpfSwitch;

constexpr std::uint32_t kPort1 = 1, kPort2 = 2, kUplink = 3;
constexpr std::uint32_t kBlue = 10, kRed = 11;
const MacAddress kAlice = mac(1), kBob = mac(2), kCarol = mac(3), kStranger = mac(99);

Frame numbered(MacAddress to, MacAddress from, std::optional<std::uint16_t> tag, std::uint8_t number) {
  Frame frame{to, from, tag};
  frame.payload[0] = number;
  return frame;
}

// Two access ports; alice of blue on the first with tag 100, bob of blue on the second with tag 200.
class BpfWires : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    add_pair("p1");
    add_pair("p2");
    one_ = std::make_unique<Wire>("p1-t");
    two_ = std::make_unique<Wire>("p2-t");
    open();
    apply(base_rows());
  }

  static datapath::Rows base_rows() {
    datapath::Rows rows;
    rows.ports = {port_row(kPort1, "p1", PortRole::kAccess), port_row(kPort2, "p2", PortRole::kAccess)};
    rows.domains = {{DomainId(kBlue), true, 0, std::nullopt, {member(kPort1, 100), member(kPort2, 200)}, {}}};
    rows.access = {access_row(kPort1, 100, kBlue), access_row(kPort2, 200, kBlue)};
    rows.guards = {guard_row(kBlue, kPort1, kAlice, 1), guard_row(kBlue, kPort2, kBob, 2)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kPort1, 100), local_row(kBlue, kBob, 2, kPort2, 200)};
    return rows;
  }
  void own(const datapath::FdbRow& row) {
    datapath::Rows rows;
    rows.fdb = {row};
    apply(rows);
  }
  void expect_passes(const Wire& from, const Frame& sent, const Wire& to, std::uint16_t tag) {
    from.send(sent);
    Frame expected = sent;
    expected.tag = tag;
    EXPECT_EQ(to.receive(), expected);
  }

  std::unique_ptr<Wire> one_, two_;
};

TEST_F(BpfWires, exchange_the_tag_between_access_ports) {
  expect_passes(*one_, {kBob, kAlice, 100}, *two_, 200);
  expect_passes(*two_, {kAlice, kBob, 200}, *one_, 100);
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfWires, pass_nothing_of_a_reserved_address_and_everything_of_an_active_one) {
  own(no_owner(kBlue, kAlice));
  for (std::uint8_t i = 0; i < 10; ++i) one_->send(numbered(kBob, kAlice, 100, i));
  one_->send({kBroadcast, kAlice, 100});
  ASSERT_TRUE(eventually([&] { return counters(1).dropped_closed == 11; }));
  EXPECT_EQ(dropped(Drop::kClosed), 11u);
  EXPECT_EQ(counters(1).rx_frames, 0u);
  EXPECT_TRUE(two_->silent());

  own(local_row(kBlue, kAlice, 1, kPort1, 100));
  for (std::uint8_t i = 0; i < 10; ++i) expect_passes(*one_, numbered(kBob, kAlice, 100, i), *two_, 200);
  EXPECT_EQ(counters(1).rx_frames, 10u);
  EXPECT_EQ(counters(1).rx_octets, 600u);
  EXPECT_EQ(counters(1).dropped_closed, 11u);
  EXPECT_EQ(counters(2).tx_frames, 10u);
  EXPECT_EQ(counters(2).tx_octets, 600u);
  EXPECT_EQ(dropped_in_all(), 11u);
}

TEST_F(BpfWires, pass_nothing_to_a_reserved_address) {
  own(no_owner(kBlue, kBob));
  one_->send({kBob, kAlice, 100});
  ASSERT_TRUE(eventually([&] { return dropped(Drop::kUnknownUnicast) == 1; }));
  EXPECT_TRUE(two_->silent());
}

TEST_F(BpfWires, drop_a_spoofed_source) {
  for (int i = 0; i < 5; ++i) one_->send({kBob, kStranger, 100});
  one_->send({kAlice, kBob, 100});
  ASSERT_TRUE(eventually([&] { return dropped(Drop::kSpoofedSource) == 6; }));
  EXPECT_TRUE(two_->silent());
  EXPECT_EQ(dropped_in_all(), 6u);
}

TEST_F(BpfWires, drop_stacked_tags_on_a_real_interface) {
  Frame stacked{kBob, kAlice, 100, 0x8100};
  one_->send(stacked);
  ASSERT_TRUE(eventually([&] { return dropped(Drop::kNestedTag) == 1; }));
  EXPECT_TRUE(two_->silent());
}

TEST_F(BpfWires, keep_domains_with_equal_addresses_apart) {
  datapath::Rows red;
  red.domains = {{DomainId(kRed), true, 0, std::nullopt, {member(kPort1, 101), member(kPort2, 201)}, {}}};
  red.access = {access_row(kPort1, 101, kRed), access_row(kPort2, 201, kRed)};
  red.guards = {guard_row(kRed, kPort1, kAlice, 11), guard_row(kRed, kPort2, kBob, 12)};
  red.fdb = {local_row(kRed, kAlice, 11, kPort1, 101), local_row(kRed, kBob, 12, kPort2, 201)};
  apply(red);
  expect_passes(*one_, {kBob, kAlice, 101}, *two_, 201);
  expect_passes(*one_, {kBob, kAlice, 100}, *two_, 200);
  expect_passes(*one_, {kBroadcast, kAlice, 101}, *two_, 201);
  expect_passes(*one_, {kBroadcast, kAlice, 100}, *two_, 200);
  EXPECT_TRUE(two_->silent());
  EXPECT_EQ(counters(12).tx_frames, 1u);
  EXPECT_EQ(counters(2).tx_frames, 1u);
}

TEST_F(BpfWires, flood_to_every_local_member_but_the_sender) {
  datapath::Rows rows;
  rows.access = {access_row(kPort1, 102, kBlue), access_row(kPort2, 0, kBlue)};
  rows.domains = {{DomainId(kBlue),
                   true,
                   0,
                   std::nullopt,
                   {member(kPort1, 100), member(kPort1, 102), member(kPort2, 0), member(kPort2, 200)},
                   {}}};
  apply(rows);
  one_->send({kBroadcast, kAlice, 100});
  std::vector<std::optional<std::uint16_t>> tags;
  for (int i = 0; i < 2; ++i) {
    const auto copy = two_->receive();
    ASSERT_TRUE(copy);
    EXPECT_EQ(copy->to, kBroadcast);
    EXPECT_EQ(copy->payload, Frame{}.payload);
    tags.push_back(copy->tag);
  }
  std::sort(tags.begin(), tags.end());
  EXPECT_EQ(tags, (std::vector<std::optional<std::uint16_t>>{std::nullopt, 200}));
  EXPECT_EQ(one_->receive(), (Frame{kBroadcast, kAlice, 102}));  // another tag of the same port
  EXPECT_TRUE(one_->silent());
  EXPECT_TRUE(two_->silent());
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfWires, flood_to_the_greatest_number_of_members) {
  datapath::Rows rows;
  datapath::DomainRow blue{DomainId(kBlue), true, 0, std::nullopt, {member(kPort1, 100)}, {}};
  for (std::uint16_t i = 1; i < limits::kFloodLocalMax; ++i)
    blue.local.push_back(member(kPort2, static_cast<std::uint16_t>(1000 + i)));
  rows.domains = {blue};
  apply(rows);
  one_->send({kBroadcast, kAlice, 100});
  for (std::uint16_t i = 1; i < limits::kFloodLocalMax; ++i) {
    const auto copy = two_->receive();
    ASSERT_TRUE(copy) << i;
    EXPECT_EQ(copy->tag, 1000 + i);
  }
  EXPECT_TRUE(two_->silent());
  EXPECT_TRUE(one_->silent());
  EXPECT_EQ(bpf_switch_->flooded().frames, 1u);
  EXPECT_EQ(bpf_switch_->flooded().copies, limits::kFloodLocalMax - 1);

  rows.domains[0].local.push_back(member(kPort2, 3000));
  const auto result = bpf_switch_->apply(BatchId(8), rows);
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].cause, "domain 10 has 65 local members to flood to; the limit is 64 (kFloodLocalMax)");
  rows.domains[0].local.pop_back();
  rows.domains[0].remote.assign(limits::kFloodRemoteMax + 1, *datapath::UnderlayAddress::from_string("192.0.2.9"));
  const auto remote = bpf_switch_->apply(BatchId(9), rows);
  ASSERT_EQ(remote.failures.size(), 1u);
  EXPECT_EQ(remote.failures[0].cause, "domain 10 has 65 remote nNVEs to flood to; the limit is 64 (kFloodRemoteMax)");
}

TEST_F(BpfWires, move_an_address_between_ports_by_one_row) {
  datapath::Rows arrives;
  arrives.guards = {guard_row(kBlue, kPort2, kAlice, 7)};  // the same address, reserved at the other port
  apply(arrives);
  two_->send({kBroadcast, kAlice, 200});
  ASSERT_TRUE(eventually([&] { return counters(7).dropped_closed == 1; }));
  EXPECT_TRUE(one_->silent());
  expect_passes(*one_, {kBob, kAlice, 100}, *two_, 200);

  own(local_row(kBlue, kAlice, 7, kPort2, 200));
  one_->send({kBob, kAlice, 100});
  ASSERT_TRUE(eventually([&] { return counters(1).dropped_closed == 1; }));
  EXPECT_TRUE(two_->silent());
  expect_passes(*two_, {kBroadcast, kAlice, 200}, *one_, 100);
  EXPECT_EQ(counters(7).rx_frames, 1u);
}

TEST_F(BpfWires, forward_between_vm_ports_and_the_uplink_of_a_hypervisor) {
  add_pair("upl");
  const Wire up("upl-t");
  datapath::Rows rows;
  rows.ports = {port_row(kPort1, "p1", PortRole::kVm), port_row(kPort2, "p2", PortRole::kVm),
                port_row(kUplink, "upl", PortRole::kUplink)};
  rows.domains = {{DomainId(kBlue), true, 0, member(kUplink, 300), {member(kPort1, 0), member(kPort2, 0)}, {}}};
  rows.access = {access_row(kPort1, 0, kBlue), access_row(kPort2, 0, kBlue), access_row(kUplink, 300, kBlue)};
  rows.fdb = {local_row(kBlue, kAlice, 1, kPort1, 0), local_row(kBlue, kBob, 2, kPort2, 0)};
  apply(rows);

  one_->send({kBob, kAlice, {}});
  EXPECT_EQ(two_->receive(), (Frame{kBob, kAlice, {}}));
  EXPECT_TRUE(up.silent());
  expect_passes(*one_, {kStranger, kAlice, {}}, up, 300);
  expect_passes(*one_, {kBroadcast, kAlice, {}}, up, 300);
  EXPECT_EQ(two_->receive(), (Frame{kBroadcast, kAlice, {}}));
  up.send({kAlice, kStranger, 300});
  EXPECT_EQ(one_->receive(), (Frame{kAlice, kStranger, {}}));
  up.send({kBroadcast, kStranger, 300});
  EXPECT_EQ(one_->receive(), (Frame{kBroadcast, kStranger, {}}));
  EXPECT_EQ(two_->receive(), (Frame{kBroadcast, kStranger, {}}));
  up.send({kBroadcast, kAlice, 300});  // our own flood, reflected
  ASSERT_TRUE(eventually([&] { return dropped(Drop::kReturned) == 1; }));
  one_->send({kStranger, kAlice, {}, 0x8940});  // a VM that tries VDP
  ASSERT_TRUE(eventually([&] { return dropped(Drop::kControlFrame) == 1; }));
  for (const auto* wire : std::initializer_list<const Wire*>{one_.get(), two_.get(), &up}) EXPECT_TRUE(wire->silent());
}

TEST_F(BpfWires, name_the_missing_interface_and_carry_out_the_rest) {
  datapath::Rows rows;
  rows.ports = {port_row(8, "nowhere", PortRole::kVm)};
  rows.access = {access_row(8, 0, kBlue), access_row(kPort1, 103, kBlue)};
  rows.guards = {guard_row(kBlue, 8, kCarol, 3), guard_row(kBlue, kPort1, kCarol, 3)};
  rows.fdb = {local_row(kBlue, kCarol, 3, kPort1, 103)};
  const auto result = bpf_switch_->apply(BatchId(5), rows);
  EXPECT_EQ(result.batch, BatchId(5));
  ASSERT_EQ(result.failures.size(), 3u);
  EXPECT_EQ(result.failures[0].table, datapath::Table::kPort);
  EXPECT_EQ(result.failures[0].cause, "there is no interface nowhere");
  EXPECT_EQ(result.failures[1].table, datapath::Table::kAccess);
  EXPECT_EQ(result.failures[1].cause, "port 8 has no interface");
  EXPECT_EQ(result.failures[2].table, datapath::Table::kGuard);
  EXPECT_EQ(result.failures[2].index, 0u);
  expect_passes(*one_, {kBob, kCarol, 103}, *two_, 200);
}

TEST_F(BpfWires, let_the_last_row_of_a_key_win_in_a_batch) {
  datapath::Rows rows;
  rows.fdb = {no_owner(kBlue, kAlice), local_row(kBlue, kAlice, 1, kPort1, 100), local_row(kBlue, kBob, 9, kPort2, 200),
              no_owner(kBlue, kBob)};
  apply(rows);
  const auto dump = bpf_switch_->dump();
  ASSERT_TRUE(dump);
  EXPECT_EQ(dump->fdb, (std::vector<datapath::FdbRow>{local_row(kBlue, kAlice, 1, kPort1, 100)}));
}

TEST_F(BpfWires, stop_forwarding_when_a_port_goes_and_leave_the_interface_clean) {
  datapath::Rows rows = base_rows();
  rows.domains = {{DomainId(kBlue), true, 0, std::nullopt, {member(kPort2, 200)}, {}}};
  rows.ports = {port_row(kPort1, "p1", PortRole::kAccess)};
  rows.ports[0].present = false;
  rows.access = {access_row(kPort1, 100, std::nullopt)};
  rows.guards = {guard_row(kBlue, kPort1, kAlice, std::nullopt)};
  rows.fdb = {no_owner(kBlue, kAlice)};
  apply(rows);
  run("test -z \"$(tc qdisc show dev p1 clsact)\"");
  one_->send({kBob, kAlice, 100});
  two_->send({kAlice, kBob, 200});
  ASSERT_TRUE(eventually([&] { return dropped(Drop::kUnknownUnicast) == 1; }));
  EXPECT_TRUE(two_->silent());
  EXPECT_EQ(dropped_in_all(), 1u);
}

TEST_F(BpfWires, keep_the_filters_of_others_on_a_port_that_goes) {
  run("tc filter add dev p1 egress prio 5 bpf bytecode '1,6 0 0 0,'");
  datapath::Rows rows;
  rows.ports = {port_row(kPort1, "p1", PortRole::kAccess)};
  rows.ports[0].present = false;
  apply(rows);
  run("tc filter show dev p1 egress | grep -q bytecode");
  run("test -z \"$(tc filter show dev p1 ingress)\"");
}

TEST_F(BpfWires, follow_a_port_whose_interface_was_made_anew) {
  run("ip link del p1");
  add_pair("p1");
  one_ = std::make_unique<Wire>("p1-t");
  datapath::Rows rows = base_rows();  // the agent tells the rows of that port again
  apply(rows);
  expect_passes(*one_, {kBob, kAlice, 100}, *two_, 200);
  expect_passes(*two_, {kBroadcast, kBob, 200}, *one_, 100);
  expect_passes(*two_, {kAlice, kBob, 200}, *one_, 100);
}

TEST_F(BpfWires, say_that_a_table_is_full) {
  bpf_switch_->tear_down();
  config_.instances_max = 4;
  open();
  datapath::Rows rows;
  rows.ports = base_rows().ports;
  for (std::uint32_t i = 0; i < 6; ++i) rows.guards.push_back(guard_row(kBlue, kPort1, mac(i + 1), i + 1));
  const auto result = bpf_switch_->apply(BatchId(1), rows);
  ASSERT_EQ(result.failures.size(), 2u);
  EXPECT_EQ(result.failures[0].table, datapath::Table::kGuard);
  EXPECT_EQ(result.failures[0].index, 4u);
  EXPECT_EQ(result.failures[0].cause, "the table is full");
  EXPECT_EQ(bpf_switch_->dump()->guards.size(), 4u);
}

TEST_F(BpfWires, write_and_read_back_tens_of_thousands_of_rows) {
  constexpr std::uint32_t kRows = 50000;
  datapath::Rows rows;
  for (std::uint32_t i = 0; i < kRows; ++i) {
    rows.guards.push_back(guard_row(kRed, kPort1, mac(1000 + i), 1000 + i));
    rows.fdb.push_back(local_row(kRed, mac(1000 + i), 1000 + i, kPort1, 101));
  }
  apply(rows);
  auto dump = bpf_switch_->dump();
  ASSERT_TRUE(dump);
  EXPECT_EQ(dump->guards.size(), kRows + 2);
  EXPECT_EQ(dump->fdb.size(), kRows + 2);
  for (std::uint32_t i = 0; i < kRows; i += 2) {  // half of them, and as many that are not there
    rows.guards[i + 1] = guard_row(kRed, kPort2, mac(i), std::nullopt);
    rows.guards[i].instance.reset();
    rows.fdb[i].owner.reset();
  }
  apply(rows);
  dump = bpf_switch_->dump();
  ASSERT_TRUE(dump);
  EXPECT_EQ(dump->guards.size(), kRows / 2 + 2);
  EXPECT_EQ(dump->fdb.size(), kRows / 2 + 2);
}

// Two switches over an underlay: alice at ours, bob at one in the namespace `far`.
class BpfTunnels : public BpfWires {
 protected:
  void SetUp() override {
    BpfWires::SetUp();
    run("ip netns add far");
    run("ip netns exec far sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    run("ip link add und mtu 1600 type veth peer name und mtu 1600 netns far && ip link set und up && ip -n far link "
        "set und up");
    run("ip addr add 192.0.2.1/24 dev und && ip -n far addr add 192.0.2.2/24 dev und");
    InNetns there("far");
    run("ip link add p9 type veth peer name p9-t && ip link set p9 up && ip link set p9-t up");
    nine_ = std::make_unique<Wire>("p9-t");
  }
  void TearDown() override {
    {
      InNetns there("far");
      far_.reset();
    }
    BpfWires::TearDown();
    run("ip link del und && ip netns del far");
  }

  void join(const std::string& here_address, const std::string& there_address) {
    bpf_switch_->tear_down();
    config_.vxlan = BpfSwitch::Vxlan{"vx0", 4789, datapath::UnderlayAddress::from_string(here_address)};
    open();
    auto rows = base_rows();
    rows.domains[0].vni = 5010;
    rows.domains[0].remote = {*datapath::UnderlayAddress::from_string(there_address)};
    rows.guards.pop_back();
    rows.fdb[1] = remote_row(kBlue, kBob, there_address);
    apply(rows);

    InNetns there("far");
    far_ = open_at(
        {pin_root_ + "_far", BpfSwitch::Vxlan{"vx0", 4789, datapath::UnderlayAddress::from_string(there_address)}});
    datapath::Rows far;
    far.ports = {port_row(kPort1, "p9", PortRole::kAccess)};
    far.domains = {{DomainId(77),
                    true,
                    5010,
                    std::nullopt,
                    {member(kPort1, 900)},
                    {*datapath::UnderlayAddress::from_string(here_address)}}};
    far.access = {access_row(kPort1, 900, 77)};
    far.guards = {guard_row(77, kPort1, kBob, 1)};
    far.fdb = {local_row(77, kBob, 1, kPort1, 900), remote_row(77, kAlice, here_address)};
    EXPECT_TRUE(far_->apply(BatchId(1), far).ok());
  }
  void expect_traffic_both_ways() {
    expect_passes(*one_, {kBob, kAlice, 100}, *nine_, 900);
    expect_passes(*nine_, {kAlice, kBob, 900}, *one_, 100);
    expect_passes(*one_, {kBroadcast, kAlice, 100}, *nine_, 900);
    EXPECT_EQ(two_->receive(), (Frame{kBroadcast, kAlice, 200}));  // the local member has its copy
    expect_passes(*nine_, {kBroadcast, kBob, 900}, *one_, 100);
    EXPECT_EQ(two_->receive(), (Frame{kBroadcast, kBob, 200}));
    Frame full{kBob, kAlice, 100};
    full.payload.assign(1400, 0x5A);
    expect_passes(*one_, full, *nine_, 900);
    for (const auto* wire : {one_.get(), two_.get(), nine_.get()}) EXPECT_TRUE(wire->silent());
    EXPECT_EQ(dropped_in_all(), 0u);
    EXPECT_EQ(counters(1).rx_frames, 3u);
    EXPECT_EQ(counters(1).tx_frames, 1u);
  }
  std::uint64_t far_dropped(Drop reason) const { return far_->drops()[static_cast<std::size_t>(reason)]; }

  std::unique_ptr<BpfSwitch> far_;
  std::unique_ptr<Wire> nine_;
};

TEST_F(BpfTunnels, carry_unicast_and_broadcast_over_an_ipv4_underlay) {
  join("192.0.2.1", "192.0.2.2");
  expect_traffic_both_ways();
}

TEST_F(BpfTunnels, carry_unicast_and_broadcast_over_an_ipv6_underlay) {
  run("sysctl -qw net.ipv6.conf.und.disable_ipv6=0 net.ipv6.conf.und.accept_dad=0");
  run("ip netns exec far sysctl -qw net.ipv6.conf.und.disable_ipv6=0 net.ipv6.conf.und.accept_dad=0");
  run("ip addr add 2001:db8::1/64 dev und nodad && ip -n far addr add 2001:db8::2/64 dev und nodad");
  join("2001:db8::1", "2001:db8::2");
  expect_traffic_both_ways();
}

TEST_F(BpfTunnels, drop_what_a_tunnel_must_not_bring) {
  join("192.0.2.1", "192.0.2.2");
  own(remote_row(kBlue, kStranger, "192.0.2.2"));
  one_->send({kStranger, kAlice, 100});
  EXPECT_TRUE(eventually([&] { return far_dropped(Drop::kUnknownUnicast) == 1; }));
  datapath::Rows far;
  far.fdb = {local_row(77, kAlice, 5, kPort1, 900)};
  EXPECT_TRUE(far_->apply(BatchId(2), far).ok());
  one_->send({kBob, kAlice, 100});
  EXPECT_TRUE(eventually([&] { return far_dropped(Drop::kReturned) == 1; }));
  far.fdb = {remote_row(77, kAlice, "192.0.2.1")};
  far.domains = {{DomainId(77), true, 6010, std::nullopt, {member(kPort1, 900)}, {}}};  // the VNI moves on
  EXPECT_TRUE(far_->apply(BatchId(3), far).ok());
  one_->send({kBob, kAlice, 100});
  EXPECT_TRUE(eventually([&] { return far_dropped(Drop::kUnknownVni) == 1; }));
  EXPECT_TRUE(nine_->silent());
}

TEST_F(BpfTunnels, adopt_a_fitting_vxlan_device_and_refuse_another) {
  bpf_switch_->tear_down();
  run("ip link add vx0 type vxlan external dstport 4789 nolearning");
  config_.vxlan = BpfSwitch::Vxlan{"vx0", 4789, {}};
  open();
  run("ip link show vx0 up | grep -q vx0");
  bpf_switch_->tear_down();
  run("! ip link show vx0 2>/dev/null");
  run("ip link add vx0 type vxlan id 5 dstport 4789");
  const auto refused = BpfSwitch::open(config_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().to_string(),
            "vx0: exists, but is no external VXLAN device on UDP port 4789 (remove it or configure another name)");
  run("ip link del vx0");
  config_.vxlan.reset();
  open();
}

}  // namespace
}  // namespace splitnve::test
