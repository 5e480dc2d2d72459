// SPDX-License-Identifier: Apache-2.0
#include "splitnve/datapath/difference.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitnve::datapath {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const DomainId kBlue(70001);
const PortId kPort(1);
const MacAddress kMac(0x02AA00000001ull);

Rows rows() {
  Rows rows;
  rows.ports.push_back({kPort, "p1", PortRole::kAccess, true});
  rows.domains.push_back({kBlue, true, 70001, {}, {{kPort, Vid(100)}, {PortId(2), Vid(200)}}, {}});
  rows.access.push_back({kPort, Vid(100), kBlue, false});
  rows.guards.push_back({kBlue, kPort, kMac, InstanceId(7)});
  rows.ips.push_back({InstanceId(7), kMac, *IpPrefix::from_string("192.0.2.0/24"), true});
  rows.fdb.push_back({kBlue, kMac, LocalOwner{InstanceId(7), kPort, Vid(100)}});
  return rows;
}

std::vector<std::string> lines(const Rows& want, const Rows& have) {
  std::vector<std::string> lines;
  for (const auto& difference : differences(want, have))
    lines.push_back(difference.row + ": " + to_string(difference.kind));
  return lines;
}

TEST(Difference, EqualSetsHaveNoneWhateverTheOrderOfFloodMembers) {
  Rows turned = rows();
  std::swap(turned.domains[0].local[0], turned.domains[0].local[1]);
  EXPECT_THAT(lines(rows(), turned), IsEmpty());
}

TEST(Difference, EveryTableIsNamedWhenNothingIsThere) {
  EXPECT_THAT(lines(rows(), {}),
              ElementsAre("port 1: missing", "domain 70001: missing", "access port 1 vid 100: missing",
                          "ip instance 7 02:aa:00:00:00:01 192.0.2.0/24: missing",
                          "guard domain 70001 port 1 02:aa:00:00:00:01: missing",
                          "fdb domain 70001 02:aa:00:00:00:01: missing"));
}

TEST(Difference, WhatNobodyWantsIsStale) {
  Rows want = rows();
  want.fdb.clear();
  want.guards.clear();
  EXPECT_THAT(lines(want, rows()), ElementsAre("guard domain 70001 port 1 02:aa:00:00:00:01: stale",
                                               "fdb domain 70001 02:aa:00:00:00:01: stale"));
}

TEST(Difference, AnotherValueUnderOneKeyDiffers) {
  Rows have = rows();
  have.domains[0].local.pop_back();
  have.access[0].unguarded = true;
  have.guards[0].instance = InstanceId(8);
  have.fdb[0].owner = RemoteOwner{};
  EXPECT_THAT(lines(rows(), have), ElementsAre("domain 70001: differs", "access port 1 vid 100: differs",
                                               "guard domain 70001 port 1 02:aa:00:00:00:01: differs",
                                               "fdb domain 70001 02:aa:00:00:00:01: differs"));
}

TEST(Difference, WhatAGuardLetsPassDiffersWhetherAFamilyIsGuardedOrNot) {
  Rows want = rows();
  want.guards[0].ip.may_route = true;
  EXPECT_THAT(lines(want, rows()), ElementsAre("guard domain 70001 port 1 02:aa:00:00:00:01: differs"));
}

TEST(Difference, ARowThatSaysAbsentIsWantedAbsent) {
  Rows want = rows();
  want.fdb[0].owner.reset();
  want.ports[0].present = false;
  Rows have = rows();
  have.fdb.clear();
  have.ports.clear();
  EXPECT_THAT(lines(want, have), IsEmpty());
  EXPECT_THAT(lines(want, rows()), ElementsAre("port 1: stale", "fdb domain 70001 02:aa:00:00:00:01: stale"));
}

}  // namespace
}  // namespace splitnve::datapath
