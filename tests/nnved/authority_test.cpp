// SPDX-License-Identifier: Apache-2.0
// What the authority is told and keeps: who has an address, who may forward to it, which tags are in use (A10, B10, C4,
// C5, C11).
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::TlvType;

constexpr EmbeddedAuthority::Nnve kSource = 1, kDestination = 2;

agent::Publish claim(std::uint32_t generation, bool mapped, bool forwarding) {
  agent::Publish publish;
  publish.rows.push_back({GroupId(70001), mac(1), vsi(1), generation, mapped, forwarding});
  return publish;
}
Tlv command(TlvType type, unsigned n) { return {type, vsi(n), {entry(70001, mac(n))}}; }

/// The VSI was active at the source and is now at the destination.
struct MovedClaim : testing::Test {
  MovedClaim() {
    EXPECT_TRUE(authority.handle(claim(0, true, true), kSource).ok());
    EXPECT_TRUE(authority.handle(claim(1, true, true), kDestination).ok());
  }
  EmbeddedAuthority authority;
};

TEST_F(MovedClaim, TheLastToClaimForwardingHasItAlone) {
  ASSERT_EQ(authority.claims().size(), 2u);
  EXPECT_TRUE(authority.rows(kSource).at(0).mapped);
  EXPECT_FALSE(authority.rows(kSource).at(0).forwarding);
  EXPECT_TRUE(authority.rows(kDestination).at(0).forwarding);
  EXPECT_FALSE(authority.handle(claim(0, true, true), kSource).ok()) << "an older generation";
  EXPECT_TRUE(authority.rows(kDestination).at(0).forwarding);
}

TEST_F(MovedClaim, ALateWithdrawalTakesNothingFromTheNewOwner) {
  EXPECT_TRUE(authority.handle(claim(0, false, false), kSource).ok());
  const auto claims = authority.claims();
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].nnve, kDestination);
  EXPECT_EQ(claims[0].row.generation, 1u);
  EXPECT_TRUE(claims[0].row.mapped && claims[0].row.forwarding);
}

TEST(Authority, AnAssociatedTsiIsMappedOnlyAndAnActivatedOneForwards) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  const auto told = [&rig] {
    const auto rows = rig.authority.rows();
    return rows.empty() ? std::string("nothing") : rows[0].forwarding ? "forwarding" : rows[0].mapped ? "mapped" : "?";
  };
  rig.ask(station, command(TlvType::kPreAssociateRr, 1));
  EXPECT_EQ(told(), "mapped");
  rig.ask(station, command(TlvType::kAssociate, 1));
  EXPECT_EQ(told(), "forwarding");
  rig.ask(station, command(TlvType::kPreAssociateRr, 1));
  EXPECT_EQ(told(), "mapped");
  rig.ask(station, command(TlvType::kDeAssociate, 1));
  EXPECT_EQ(told(), "nothing");
}

TEST(Authority, TheTagOfAVnGoesWithItsLastTsiThereAndInTheDatapath) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  rig.ask(station, command(TlvType::kAssociate, 1));
  rig.ask(station, command(TlvType::kAssociate, 2));
  const Vid vid = rig.tsi(vsi(1))->vid;
  rig.ask(station, command(TlvType::kDeAssociate, 1));
  ASSERT_EQ(rig.authority.tags().size(), 1u);
  EXPECT_EQ(rig.authority.tags()[0].vid, vid);
  EXPECT_TRUE(rig.datapath.access.contains({PortId(1), vid}));
  rig.ask(station, command(TlvType::kDeAssociate, 2));
  EXPECT_TRUE(rig.authority.tags().empty());
  EXPECT_TRUE(rig.datapath.access.empty());
}

}  // namespace
}  // namespace splitnve::nnved::test
