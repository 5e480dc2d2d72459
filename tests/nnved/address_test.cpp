// SPDX-License-Identifier: Apache-2.0
// Addresses of one TSI that come, stop, start and go: what the authority and the datapath are told (C8, C16, D8).
#include <gtest/gtest.h>

#include <algorithm>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::TlvType;

Tlv command(TlvType type, std::vector<unsigned> macs) {
  Tlv tlv{type, vsi(1), {}};
  for (unsigned n : macs) tlv.entries.push_back(entry(70001, mac(n)));
  return tlv;
}

/// The VSI is Activated with addresses 1, 2 and 3.
struct Addresses : testing::Test {
  Addresses() : rig(make_config(1)), station(rig.station(1, 1)) {
    rig.ask(station, command(TlvType::kAssociate, {1, 2, 3}));
    forget();
  }
  void forget() {
    rig.programs.clear();
    rig.publishes.clear();
  }
  /// One row was published and no other FDB row than this address's was written.
  void expect_only(unsigned n, bool mapped, bool forwarding) {
    std::size_t rows = 0;
    for (const auto& publish : rig.publishes) {
      rows += publish.rows.size();
      for (const auto& row : publish.rows) {
        EXPECT_EQ(row.mac, mac(n));
        EXPECT_EQ(row.mapped, mapped);
        EXPECT_EQ(row.forwarding, forwarding);
      }
    }
    EXPECT_EQ(rows, 1u);
    for (const auto& program : rig.programs) {
      for (const auto& row : program.rows.fdb) EXPECT_EQ(row.mac, mac(n));
      for (const auto& row : program.rows.guards) EXPECT_EQ(row.mac, mac(n));
      EXPECT_TRUE(program.rows.access.empty());
    }
    EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
    EXPECT_TRUE(rig.consistent());
    forget();
  }
  Rig rig;
  Station& station;
};

TEST_F(Addresses, AllOfAForwardingTsiReachTheAuthority) {
  const auto rows = rig.agent.desired_authority();
  ASSERT_EQ(rows.size(), 3u);
  for (unsigned n : {1u, 2u, 3u})
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [n](const agent::AuthorityRow& row) {
      return row.mac == mac(n) && row.mapped && row.forwarding && row.vsi == vsi(1);
    }));
}

TEST_F(Addresses, OnlyTheDeltaOfAChangeReachesAuthorityAndDatapath) {
  EXPECT_TRUE(rig.ask(station, command(TlvType::kAssociate, {4}))->response().success());
  expect_only(4, true, true);
  EXPECT_TRUE(rig.ask(station, command(TlvType::kPreAssociateRr, {2}))->response().success());
  expect_only(2, true, false);
  EXPECT_TRUE(rig.ask(station, command(TlvType::kAssociate, {2}))->response().success());
  expect_only(2, true, true);
  EXPECT_TRUE(rig.ask(station, command(TlvType::kDeAssociate, {3}))->response().success());
  expect_only(3, false, false);
  EXPECT_EQ(rig.tsi(vsi(1))->addresses.size(), 3u);
}

}  // namespace
}  // namespace splitnve::nnved::test
