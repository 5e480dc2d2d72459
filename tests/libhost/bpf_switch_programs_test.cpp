// SPDX-License-Identifier: Apache-2.0
// Packet in, packet out: each drop reason and each verdict of the three programs.
#include <algorithm>

#include "bpf_fixture.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::PortRole;
using host::BpfSwitch;
using Program = BpfSwitch::Program;

constexpr std::uint32_t kAccess = 1, kVm = 2, kUplink = 3;
constexpr std::uint32_t kBlue = 10;
const MacAddress kAlice = mac(1), kBob = mac(2), kCarol = mac(3), kStranger = mac(99);

// Domain blue: alice on the access port with tag 100, bob on the VM port without tag, an uplink with tag 300.
class BpfPrograms : public BpfSwitchTest {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    for (const auto* name : {"acc", "vm", "upl"}) add_pair(name);
    open();
    datapath::Rows rows;
    rows.ports = {port_row(kAccess, "acc", PortRole::kAccess), port_row(kVm, "vm", PortRole::kVm),
                  port_row(kUplink, "upl", PortRole::kUplink)};
    rows.domains = {{DomainId(kBlue), true, 0, member(kUplink, 300), {member(kAccess, 100), member(kVm, 0)}, {}}};
    rows.access = {access_row(kAccess, 100, kBlue), access_row(kVm, 0, kBlue), access_row(kUplink, 300, kBlue)};
    rows.guards = {guard_row(kBlue, kAccess, kAlice, 1), guard_row(kBlue, kVm, kBob, 2),
                   guard_row(kBlue, kAccess, kCarol, 3)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kAccess, 100), local_row(kBlue, kBob, 2, kVm, 0)};
    apply(rows);
  }

  Outcome from_access(const Frame& frame) const {
    return run_program(*bpf_switch_, Program::kPort, "acc", frame.octets());
  }
  Outcome from_vm(const Frame& frame) const { return run_program(*bpf_switch_, Program::kPort, "vm", frame.octets()); }
  Outcome from_uplink(const Frame& frame) const {
    return run_program(*bpf_switch_, Program::kUplink, "upl", frame.octets());
  }

  /// The frame was dropped for exactly this reason, and counted once.
  void expect_drop(const Outcome& outcome, Drop reason) {
    EXPECT_EQ(outcome.verdict, kShot) << datapath::to_string(reason);
    auto expected = seen_;
    ++expected[static_cast<std::size_t>(reason)];
    seen_ = bpf_switch_->drops();
    EXPECT_EQ(seen_, expected) << datapath::to_string(reason);
  }
  host::DropCounters seen_{};
};

TEST_F(BpfPrograms, drop_a_tag_without_row_on_access_and_vm_ports) {
  expect_drop(from_access({kBob, kAlice, 99}), Drop::kUnknownTag);
  expect_drop(from_vm({kAlice, kBob, 100}), Drop::kUnknownTag);
}

TEST_F(BpfPrograms, take_no_service_tag_for_an_access_tag) {
  auto octets = Frame{kBob, kAlice, 100}.octets();
  octets[12] = 0x88;
  octets[13] = 0xA8;
  expect_drop(run_program(*bpf_switch_, Program::kPort, "acc", octets), Drop::kUnknownTag);
}

TEST_F(BpfPrograms, drop_untagged_frames_of_a_vm_port_without_an_untagged_row) {
  datapath::Rows rows;
  rows.access = {access_row(kVm, 0, std::nullopt)};
  apply(rows);
  expect_drop(from_vm({kAlice, kBob, {}}), Drop::kUntagged);
  expect_drop(from_vm({kAlice, kBob, 0}), Drop::kUntagged);
}

TEST_F(BpfPrograms, leave_untagged_control_frames_of_an_access_port_to_the_host) {
  for (const std::uint16_t type : std::initializer_list<std::uint16_t>{0x8940, 0x88CC, 0x888E, 0x88E5}) {
    const Frame frame{kBob, kStranger, {}, type};
    const auto outcome = from_access(frame);
    EXPECT_EQ(outcome.verdict, kPass);
    EXPECT_EQ(outcome.frame, frame.octets());
    EXPECT_EQ(from_access({kBob, kStranger, 0, type}).verdict, kPass);
  }
  EXPECT_EQ(dropped_in_all(), 0u);
  expect_drop(from_access({kBob, kStranger, 0, 0x8100}), Drop::kNestedTag);
}

TEST_F(BpfPrograms, drop_a_source_that_no_guard_names) {
  expect_drop(from_access({kBob, kStranger, 100}), Drop::kSpoofedSource);
  expect_drop(from_access({kAlice, kBob, 100}), Drop::kSpoofedSource);  // bob's, but not here
}

TEST_F(BpfPrograms, drop_a_reserved_source_and_count_it_to_its_instance) {
  expect_drop(from_access({kBob, kCarol, 100}), Drop::kClosed);
  EXPECT_EQ(counters(3).dropped_closed, 1u);
  EXPECT_EQ(counters(3).rx_frames, 0u);
}

TEST_F(BpfPrograms, drop_the_source_that_another_instance_or_a_remote_nnve_owns) {
  datapath::Rows rows;
  rows.fdb = {local_row(kBlue, kAlice, 9, kVm, 0)};
  apply(rows);
  expect_drop(from_access({kBob, kAlice, 100}), Drop::kClosed);
  rows.fdb = {remote_row(kBlue, kAlice, "192.0.2.9")};
  apply(rows);
  expect_drop(from_access({kBob, kAlice, 100}), Drop::kClosed);
  EXPECT_EQ(counters(1).dropped_closed, 2u);
}

TEST_F(BpfPrograms, drop_stacked_tags_and_llc) {
  expect_drop(from_access({kBob, kAlice, 100, 0x8100}), Drop::kNestedTag);
  expect_drop(from_access({kBob, kAlice, 100, 0x88A8}), Drop::kNestedTag);
  expect_drop(from_access({kBob, kAlice, 100, 38}), Drop::kLlc);
  expect_drop(from_vm({kAlice, kBob, {}, 0x05DC}), Drop::kLlc);
  expect_drop(from_vm({kAlice, kBob, 0, 0x8100}), Drop::kNestedTag);
}

TEST_F(BpfPrograms, drop_control_frames_of_tenants_wherever_they_come_from) {
  for (const std::uint16_t type : std::initializer_list<std::uint16_t>{0x8940, 0x88CC, 0x888E, 0x88E5}) {
    expect_drop(from_access({kBob, kAlice, 100, type}), Drop::kControlFrame);
    expect_drop(from_vm({kAlice, kBob, {}, type}), Drop::kControlFrame);
    expect_drop(from_uplink({kBob, kStranger, 300, type}), Drop::kControlFrame);
  }
  for (const std::uint64_t last : {0x00, 0x03, 0x0E, 0x0F})
    expect_drop(from_access({MacAddress(0x0180C2000000 + last), kAlice, 100}), Drop::kControlFrame);
  expect_drop(from_vm({MacAddress(0x0180C2000000), kBob, {}, 38}), Drop::kControlFrame);
  EXPECT_EQ(from_access({MacAddress(0x0180C2000010), kAlice, 100}).verdict, kConsumed);  // a group like any other
}

TEST_F(BpfPrograms, drop_group_and_zero_sources) {
  expect_drop(from_access({kBob, MacAddress(0x030000000001), 100}), Drop::kGroupSource);
  expect_drop(from_vm({kAlice, MacAddress(), {}}), Drop::kGroupSource);
}

TEST_F(BpfPrograms, drop_an_unknown_destination_where_there_is_no_uplink) {
  datapath::Rows rows;
  rows.domains = {{DomainId(kBlue), true, 5010, std::nullopt, {}, {}}};
  apply(rows);
  expect_drop(from_access({kStranger, kAlice, 100}), Drop::kUnknownUnicast);
}

TEST_F(BpfPrograms, drop_a_frame_that_would_leave_where_it_came_in) {
  datapath::Rows rows;
  rows.fdb = {local_row(kBlue, kCarol, 3, kAccess, 100)};
  apply(rows);
  expect_drop(from_access({kCarol, kAlice, 100}), Drop::kHairpin);
}

TEST_F(BpfPrograms, drop_what_the_tunnel_device_gives_without_a_known_vni) {
  expect_drop(run_program(*bpf_switch_, Program::kTunnel, "upl", Frame{kBob, kStranger, {}}.octets()),
              Drop::kUnknownVni);
}

TEST_F(BpfPrograms, drop_frames_with_a_local_source_that_return_by_the_uplink) {
  expect_drop(from_uplink({kBob, kAlice, 300}), Drop::kReturned);
}

TEST_F(BpfPrograms, drop_a_frame_that_ends_inside_its_tag) {
  auto octets = Frame{kBob, kAlice, 100}.octets();
  octets.resize(16);
  expect_drop(run_program(*bpf_switch_, Program::kPort, "acc", octets), Drop::kTooShort);
  expect_drop(run_program(*bpf_switch_, Program::kUplink, "upl", octets), Drop::kTooShort);
}

TEST_F(BpfPrograms, count_a_copy_that_the_kernel_refuses) {
  run("ip link del vm");
  EXPECT_EQ(from_access({kBroadcast, kAlice, 100}).verdict, kConsumed);
  EXPECT_EQ(dropped(Drop::kRedirect), 1u);
}

TEST_F(BpfPrograms, count_a_remote_destination_without_tunnel_device) {
  datapath::Rows rows;
  rows.fdb = {remote_row(kBlue, kStranger, "192.0.2.9")};
  apply(rows);
  expect_drop(from_access({kStranger, kAlice, 100}), Drop::kRedirect);
}

TEST_F(BpfPrograms, redirect_to_a_local_owner_without_the_ingress_tag_and_count_both_ends) {
  const auto outcome = from_access({kBob, kAlice, 100});
  EXPECT_EQ(outcome.verdict, kRedirected);
  EXPECT_EQ(outcome.frame, (Frame{kBob, kAlice, {}}.octets()));
  EXPECT_EQ(from_vm({kAlice, kBob, {}}).verdict, kRedirected);
  EXPECT_EQ(from_vm({kAlice, kBob, 0}).verdict, kRedirected);  // priority-tagged is untagged
  EXPECT_EQ(counters(1).rx_frames, 1u);
  EXPECT_EQ(counters(1).rx_octets, 60u);
  EXPECT_EQ(counters(1).tx_frames, 2u);
  EXPECT_EQ(counters(2).rx_frames, 2u);
  EXPECT_EQ(counters(2).tx_frames, 1u);
  EXPECT_EQ(counters(2).tx_octets, 60u);
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfPrograms, redirect_an_unknown_destination_to_the_uplink) {
  EXPECT_EQ(from_vm({kStranger, kBob, {}}).verdict, kRedirected);
  EXPECT_EQ(counters(2).rx_frames, 1u);
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfPrograms, pass_the_hosts_own_traffic_on_the_uplink) {
  for (const Frame& frame : {Frame{kBob, kAlice, {}}, Frame{kBob, kAlice, 301}, Frame{kBob, kAlice, {}, 0x8940}}) {
    const auto outcome = from_uplink(frame);
    EXPECT_EQ(outcome.verdict, kPass);
    EXPECT_EQ(outcome.frame, frame.octets());
  }
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_F(BpfPrograms, deliver_from_the_uplink_to_local_owners_only) {
  EXPECT_EQ(from_uplink({kBob, kStranger, 300}).verdict, kRedirected);
  EXPECT_EQ(counters(2).tx_frames, 1u);
  expect_drop(from_uplink({kCarol, kStranger, 300}), Drop::kUnknownUnicast);
  EXPECT_EQ(from_uplink({kBroadcast, kStranger, 300}).verdict, kConsumed);
}

TEST_F(BpfPrograms, check_no_source_on_an_unguarded_tag) {
  datapath::Rows rows;
  rows.access = {access_row(kAccess, 100, kBlue)};
  rows.access[0].unguarded = true;
  apply(rows);
  EXPECT_EQ(from_access({kBob, kStranger, 100}).verdict, kRedirected);
  EXPECT_EQ(from_access({kBob, kAlice, 100}).verdict, kRedirected);
  EXPECT_EQ(counters(1).rx_frames, 1u);  // the owner is known all the same
  expect_drop(from_access({kBob, kAlice, 100, 0x8940}), Drop::kControlFrame);
}

TEST_F(BpfPrograms, let_no_tenant_speak_as_or_to_the_port_itself) {
  run("ip link set acc address 02:00:00:00:00:77");
  datapath::Rows rows;
  rows.ports = {port_row(kAccess, "acc", PortRole::kAccess)};
  apply(rows);
  expect_drop(from_access({mac(0x77), kAlice, 100}), Drop::kControlFrame);
  expect_drop(from_access({kBob, mac(0x77), 100}), Drop::kControlFrame);
}

TEST_F(BpfPrograms, forget_the_counters_of_an_instance_on_request) {
  from_access({kBob, kAlice, 100});
  EXPECT_EQ(counters(1).rx_frames, 1u);
  bpf_switch_->clear_counters(InstanceId(1));
  EXPECT_EQ(counters(1).rx_frames, 0u);
}

}  // namespace
}  // namespace splitnve::test
