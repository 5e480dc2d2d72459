// SPDX-License-Identifier: Apache-2.0
#include "daemon/preflight.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace splitnve::daemon {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

datapath::UnderlayAddress address(const char* text) { return *datapath::UnderlayAddress::from_string(text); }

MachineNeeds switch_needs() {
  MachineNeeds needs;
  needs.interfaces = {"swp1", "swp2"};
  needs.paths = {"/run/splitnve/sw1.sock", "/var/lib/splitnve/sw1.db", "/sys/fs/bpf/splitnve/sw1/"};
  needs.vxlan = "vx0";
  needs.udp_port = 4789;
  needs.local = address("192.0.2.1");
  needs.remotes = {address("192.0.2.2")};
  return needs;
}

/// A machine on which `switch_needs` start.
MachineFacts good_machine() {
  MachineFacts facts;
  facts.clsact = facts.cls_bpf = facts.vxlan = facts.local_address = 0;
  facts.interfaces = {{"swp1", 1500, {}}, {"swp2", 1500, {}}};
  facts.routes = {{address("192.0.2.2"), 0, 1600}};
  return facts;
}

std::vector<std::string> lines(const std::vector<Finding>& findings) {
  std::vector<std::string> text;
  for (const auto& finding : findings) text.push_back((finding.note ? "note: " : "") + finding.error.to_string());
  return text;
}
std::vector<std::string> judged(const MachineFacts& facts) { return lines(judge(switch_needs(), facts)); }

TEST(Preflight, AMachineThatHasEverythingIsNotCommentedOn) { EXPECT_THAT(judged(good_machine()), IsEmpty()); }

TEST(Preflight, EachMissingCapabilityIsNamedWithItsPurpose) {
  auto facts = good_machine();
  facts.missing_capabilities = {Capability::kNetAdmin, Capability::kNetRaw, Capability::kBpf, Capability::kPerfmon};
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("CAP_NET_ADMIN: is missing"), HasSubstr("CAP_NET_RAW: is missing"),
                                         AllOf(HasSubstr("CAP_BPF: is missing"), HasSubstr("CAP_SYS_ADMIN")),
                                         AllOf(HasSubstr("CAP_PERFMON: is missing"), HasSubstr("CAP_SYS_ADMIN"))));
}

TEST(Preflight, AForbiddenBpfIsToldOnceWhenTheCapabilityIsMissingToo) {
  auto facts = good_machine();
  facts.bpf_program = EPERM;
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("seccomp")));
  facts.missing_capabilities = {Capability::kBpf};
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("CAP_BPF")));
}

TEST(Preflight, AKernelWithoutBpfIsNamed) {
  auto facts = good_machine();
  facts.bpf_program = ENOSYS;
  EXPECT_THAT(judged(facts), ElementsAre(AllOf(HasSubstr("no BPF"), HasSubstr("CONFIG_BPF_SYSCALL"))));
  facts.bpf_program = EINVAL;
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("does not load a tc program: Invalid argument")));
}

TEST(Preflight, EachMissingPartOfTheKernelNamesItsOption) {
  auto facts = good_machine();
  facts.missing_bpf = {"bpf_skb_vlan_push"};
  facts.clsact = ENOENT;
  facts.cls_bpf = ENOENT;
  facts.vxlan = EOPNOTSUPP;
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("lacks bpf_skb_vlan_push"), HasSubstr("CONFIG_NET_SCH_INGRESS"),
                                         HasSubstr("CONFIG_NET_CLS_BPF"), HasSubstr("CONFIG_VXLAN")));
}

TEST(Preflight, WhatCouldNotBeProbedIsNotCalledMissing) {
  auto facts = good_machine();
  facts.clsact.reset();
  facts.cls_bpf.reset();
  facts.vxlan.reset();
  facts.local_address.reset();
  EXPECT_THAT(judged(facts), IsEmpty());
}

TEST(Preflight, AHypervisorNeedsNoVxlan) {
  auto needs = switch_needs();
  needs.local.reset();
  auto facts = good_machine();
  facts.vxlan = EOPNOTSUPP;
  EXPECT_THAT(lines(judge(needs, facts)), IsEmpty());
}

TEST(Preflight, AKernelWithoutBtfIsANoteBecauseTheSwitchLoadsWithoutIt) {
  auto facts = good_machine();
  facts.btf = false;
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("note: kernel: this kernel has no BTF")));
}

TEST(Preflight, AMissingBpffsIsToldOnceWithTheMountCommand) {
  auto facts = good_machine();
  facts.bpffs = false;
  facts.paths = {{"/sys/fs/bpf/splitnve/sw1/", "/sys/fs/bpf", EROFS}};
  EXPECT_THAT(judged(facts),
              ElementsAre("/sys/fs/bpf/splitnve/sw1/: no bpffs is mounted here (mount -t bpf bpf /sys/fs/bpf, or "
                          "correct paths.pins)"));
}

TEST(Preflight, AFolderThatCannotBeMadeNamesWhatStandsInTheWay) {
  auto facts = good_machine();
  facts.paths = {{"/run/splitnve/sw1.sock", "/run", EACCES}, {"/var/lib/splitnve/sw1.db", "/var/lib", EROFS}};
  EXPECT_THAT(judged(facts),
              ElementsAre(HasSubstr("/run/splitnve/sw1.sock: cannot be created in /run: Permission denied"),
                          AllOf(HasSubstr("Read-only file system"), HasSubstr("ReadWritePaths"))));
}

TEST(Preflight, AMissingGroupOfTheControlSocketIsNamed) {
  auto facts = good_machine();
  facts.missing_groups = {"operators"};
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("operators: there is no such group")));
}

TEST(Preflight, AMissingInterfaceIsNamed) {
  auto facts = good_machine();
  facts.interfaces[1] = {"swp2", 0, Error{"no such network interface", "swp2", "create it"}};
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("swp2: no such network interface")));
}

TEST(Preflight, ASmallMtuIsRefusedOnAnUplinkOnly) {
  auto facts = good_machine();
  facts.interfaces[0].mtu = 1400;
  EXPECT_THAT(judged(facts), IsEmpty());
  auto needs = switch_needs();
  needs.uplinks = true;
  EXPECT_THAT(lines(judge(needs, facts)), ElementsAre(HasSubstr("swp1: the MTU of the uplink is 1400")));
}

TEST(Preflight, AnUnderlayMustCarryTheLargestAccessMtuAndTheOverheadOfItsFamily) {
  auto facts = good_machine();
  facts.routes[0].mtu = 1550;
  EXPECT_THAT(judged(facts), IsEmpty());
  facts.routes[0].mtu = 1549;
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("carries 1549 octets")));
  facts.routes[0] = {address("2001:db8::2"), 0, 1569};
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("need 1570")));
  facts.routes[0].mtu = 1570;
  EXPECT_THAT(judged(facts), IsEmpty());
  facts.interfaces[1].mtu = 9000;
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("access MTU 9000 and VXLAN need 9070")));
}

TEST(Preflight, AMissingRouteIsANoteAndAForeignTunnelAddressIsMissing) {
  auto facts = good_machine();
  facts.routes[0] = {address("192.0.2.2"), ENETUNREACH, 0};
  facts.local_address = EADDRNOTAVAIL;
  EXPECT_THAT(judged(facts), ElementsAre(HasSubstr("192.0.2.1: the tunnels cannot have this source"),
                                         HasSubstr("note: 192.0.2.2: no route")));
}

TEST(Preflight, ATunnelPortThatAnotherHasIsNamed) {
  auto facts = good_machine();
  facts.udp_port = EADDRINUSE;
  EXPECT_THAT(judged(facts), ElementsAre(AllOf(HasSubstr("UDP port 4789 is taken"), HasSubstr("vxlan.udp_port"))));
}

TEST(Preflight, GatheringFindsWhatThisMachineHasAndLeavesNothingBehind) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(::testing::TempDir()) / ("preflight." + std::to_string(::getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "file") << "no folder";
  MachineNeeds needs;
  needs.interfaces = {"lo", "no-such-link"};
  needs.groups = {"root", "no-such-group"};
  needs.paths = {folder / "new/control.sock", folder / "file/below.db", folder / "pins/"};
  needs.local = address("127.0.0.1");
  needs.remotes = {address("127.0.0.2"), address("127.0.0.2")};
  const auto facts = gather_facts(needs);
  ASSERT_EQ(facts.interfaces.size(), 2u);
  ASSERT_TRUE(facts.interfaces[0].refusal) << "the loopback interface is no Ethernet";
  EXPECT_THAT(facts.interfaces[0].refusal->to_string(), HasSubstr("Ethernet"));
  ASSERT_TRUE(facts.interfaces[1].refusal);
  EXPECT_THAT(facts.interfaces[1].refusal->to_string(), HasSubstr("no such network interface"));
  EXPECT_THAT(facts.missing_groups, ElementsAre("no-such-group"));
  ASSERT_EQ(facts.paths.size(), 3u);
  EXPECT_EQ(facts.paths[0].error, 0);
  EXPECT_EQ(facts.paths[1].error, ENOTDIR);
  EXPECT_FALSE(facts.bpffs) << "a temporary folder is no bpffs";
  EXPECT_EQ(facts.local_address, 0);
  ASSERT_EQ(facts.routes.size(), 1u);
  EXPECT_TRUE(facts.routes[0].error != 0 || facts.routes[0].mtu > 0);
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++entries;
  EXPECT_EQ(entries, 1u) << "looking makes no folder";
  EXPECT_NE(::access("/sys/class/net/probe0", F_OK), 0);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace splitnve::daemon
