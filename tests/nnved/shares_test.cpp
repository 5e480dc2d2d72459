// SPDX-License-Identifier: Apache-2.0
// S39: what one port may take, what stays for the others, and what one frame may cost.
#include "nnved/shares.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::ResponseStatus;
using vdp::TlvType;

constexpr std::uint32_t kBlue = 70001;

TEST(Shares, OnePortHasHalfAtMostAndEachCanAlwaysHaveItsReserve) {
  Shares shares(600, 0, 3);
  EXPECT_EQ(shares.share(), 300u);
  EXPECT_EQ(shares.reserve(), 100u);
  EXPECT_EQ(shares.room(0), 300u);
  shares.add(0, 300);
  EXPECT_FALSE(shares.admits(0, 1));
  EXPECT_EQ(shares.room(1), 200u) << "the third port's reserve stays";
  shares.add(1, 200);
  EXPECT_EQ(shares.room(1), 0u);
  EXPECT_EQ(shares.room(2), 100u);
  shares.add(2, 100);
  EXPECT_EQ(shares.sum(), 600u);
  EXPECT_EQ(shares.room(2), 0u);
  shares.remove(0, 250);
  EXPECT_EQ(shares.room(2), 200u) << "what the first lacks to its reserve is kept";
  EXPECT_EQ(shares.room(0), 250u);
}

TEST(Shares, ASmallTableAndAnOnlyPortAreNotDivided) {
  EXPECT_EQ(Shares(1000, 0, 1).room(0), 1000u);
  EXPECT_EQ(Shares(8, 0, 2).share(), 8u);
  EXPECT_EQ(Shares(600, 50, 3).share(), 50u) << "as it is configured";
}

/// Fills by full TLVs of one MAC each; returns how many were granted.
std::size_t fill(Rig& rig, Station& station, std::uint32_t first, std::size_t count) {
  std::size_t granted = 0;
  for (std::size_t i = 0; i < count;) {
    std::vector<Tlv> tlvs;
    for (std::size_t n = 0; n < 30 && i < count; ++n, ++i) {
      const auto number = static_cast<std::uint32_t>(first + i);
      Tlv one{TlvType::kPreAssociateRr, {}, {entry(kBlue, MacAddress(0x02BB00000000ull + number))}};
      one.id.octets[0] = static_cast<std::uint8_t>(station.address.value());
      for (unsigned b = 0; b < 4; ++b) one.id.octets[12 + b] = static_cast<std::uint8_t>(number >> (24 - 8 * b));
      tlvs.push_back(one);
    }
    station.received.clear();
    rig.send(station, tlvs);
    for (const Tlv& answer : station.received) granted += answer.response().success() ? 1 : 0;
    station.raw.clear();
  }
  return granted;
}

struct PortShares : testing::Test {
  static AgentConfig config() {
    AgentConfig made = make_config(3);
    made.instances_max = made.instances_per_station_max = 120;
    return made;
  }
  Rig rig{config()};
  Station& bad = rig.station(1, 1);
};

TEST_F(PortShares, AFullPortIsRefusedWithItsFiguresAndOthersAreServed) {
  EXPECT_EQ(fill(rig, bad, 0, 100), 60u) << "half of the table";
  EXPECT_NE(rig.agent.refusals().back().reason.find("60 TSIs of port p1, at most 60 of one port, 20 kept"),
            std::string::npos)
      << rig.agent.refusals().back().reason;
  EXPECT_EQ(fill(rig, rig.station(2, 2), 1000, 100), 40u) << "but for the reserve of the third";
  EXPECT_EQ(fill(rig, rig.station(3, 3), 2000, 100), 20u);
  EXPECT_EQ(rig.tsis(), 120u);
  EXPECT_TRUE(rig.consistent());
}

TEST_F(PortShares, WhatStandsIsRenewedWhenNothingIsLeft) {
  fill(rig, bad, 0, 100);
  fill(rig, rig.station(2, 2), 1000, 100);
  EXPECT_EQ(fill(rig, bad, 0, 60), 60u);
  EXPECT_EQ(fill(rig, rig.station(2, 2), 1000, 40), 40u);
}

TEST_F(PortShares, AreShown) {
  fill(rig, bad, 0, 30);
  for (const ShareView& view : rig.agent.shares())
    if (view.port == PortId(1) && view.what == std::string("tsis")) {
      EXPECT_EQ(view.used, 30u);
      EXPECT_EQ(view.share, 60u);
      EXPECT_EQ(view.reserve, 20u);
      EXPECT_EQ(view.total, 120u);
    }
}

TEST(FairShares, ManyRefusalsOfAPortNeitherFillTheLogNorPushOutAnothers) {
  Rig rig(make_config(2));
  rig.ask(rig.station(2, 2), {TlvType::kAssociate, vsi(7), {entry(99, mac(7))}});
  for (unsigned i = 0; i < 500; ++i) rig.send(rig.station(1, 1), {{TlvType::kAssociate, vsi(i), {entry(99, mac(1))}}});
  unsigned logged = 0;
  for (const auto& notice : rig.notices) logged += notice.id == std::string("nnved.refused") ? 1 : 0;
  EXPECT_LE(logged, limits::kRefusalNoticesBurst + 1);
  bool shown = false;
  for (const RefusalView& view : rig.agent.refusals()) shown = shown || view.port == PortId(2);
  EXPECT_TRUE(shown);
  EXPECT_LE(rig.agent.refusals().size(), 2 * limits::kRefusalsPerPort);
}

TEST(FairShares, ARefusalThatIsNotLoggedCostsNoText) {
  Rig rig(make_config(2));
  rig.ask(rig.station(2, 2), {TlvType::kAssociate, vsi(1000), {entry(70001, mac(7))}});
  const auto claims = [&](unsigned first) {
    for (unsigned i = first; i < first + 200; ++i)
      rig.send(rig.station(1, 1), {{TlvType::kAssociate, vsi(i), {entry(70001, mac(7))}}});
    return rig.agent.refusals().back().reason;
  };
  EXPECT_EQ(claims(0), info(Reason::kDuplicateMac).text);
  EXPECT_EQ(rig.agent.claims(rig.now).size(), limits::kClaimsPerPortMax);
  rig.advance(10s);
  rig.send(rig.station(1, 1), {{TlvType::kAssociate, vsi(500), {entry(70001, mac(7))}}});
  EXPECT_NE(rig.agent.refusals().back().reason.find("is held by VSI"), std::string::npos) << "a quiet port is told all";
}

TEST(FairShares, StationsThatNeverAcknowledgeAreHeldBackAtTheirPortsShare) {
  AgentConfig config = make_config(2);
  Rig rig(std::move(config));
  std::vector<vdp::FilterEntry> many(40, entry(99, mac(1)));
  for (unsigned round = 0; round < 60; ++round)
    for (unsigned n = 1; n <= 200; ++n) {
      Station& station = rig.station(n, 1);
      station.acks = false;
      rig.send_octets(
          station, vdpdu({{TlvType::kAssociate, vsi(round * 2), many}, {TlvType::kAssociate, vsi(round * 2 + 1), many}},
                         station.shows));
      rig.run();
      station.raw.clear();
    }
  for (const ShareView& view : rig.agent.shares())
    if (view.what == std::string("waiting_octets") && view.port == PortId(1)) {
      EXPECT_LE(view.used, view.share + 200 * vdp::Bridge::kVdpduOctetsHeldMax);
      EXPECT_GT(view.used, view.share / 2);
    }
  EXPECT_TRUE(
      rig.ask(rig.station(250, 2), {TlvType::kAssociate, vsi(999), {entry(kBlue, mac(9))}})->response().success());
}

TEST(FairShares, RequestsForOneVsiOfAnotherPortDoNotStandInTheWay) {
  Rig rig(make_config(2));
  Station& good = rig.station(2, 2);
  ASSERT_TRUE(rig.ask(good, {TlvType::kAssociate, vsi(1), {entry(kBlue, mac(1))}})->response().success());
  rig.hold_publish = true;
  for (unsigned n = 10; n < 40; ++n)
    rig.send(rig.station(n, 1), {{TlvType::kAssociate, vsi(1), {entry(kBlue, mac(n))}}});
  const auto renewed = rig.ask(good, {TlvType::kAssociate, vsi(1), {entry(kBlue, mac(1))}});
  ASSERT_TRUE(renewed) << "what stands is renewed at once";
  EXPECT_TRUE(renewed->response().success());
  rig.release_publishes();
  EXPECT_TRUE(rig.consistent());
}

TEST(Renewals, AreGrantedWhateverTheyWaitFor) {
  AgentConfig config = make_config(1);
  Rig rig(std::move(config));
  Station& station = rig.station(1, 1);
  const Tlv two{TlvType::kAssociate, vsi(1), {entry(kBlue, mac(1)), entry(kBlue, mac(2))}};
  ASSERT_TRUE(rig.ask(station, two)->response().success());
  rig.hold_publish = true;
  rig.send(station, {{TlvType::kAssociate, vsi(1), {entry(kBlue, mac(3))}}});
  station.received.clear();
  rig.send(station, {two});
  EXPECT_TRUE(station.received.empty()) << "it waits behind the work";
  rig.advance(limits::kDecisionDeadline + 1s);
  bool renewed = false;
  for (const Tlv& answer : station.received)
    if (answer.entries.size() == 2) renewed = answer.response().success();
  EXPECT_TRUE(renewed);
}

// --- what one frame costs ---

/// Seconds of the fastest of some runs: what is left is the work, not the machine.
template <class F>
double fastest(F&& run) {
  double least = 1e9;
  for (int i = 0; i < 7; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return least;
}

/// A switch with so many TSIs of the hostile station, and one hostile frame of each kind.
struct Costs {
  explicit Costs(std::size_t tsis) : rig(make_config(2)), bad(rig.station(1, 1)) {
    fill(rig, bad, 0, tsis);
    rig.programs.clear();
    rig.persists.clear();
    rig.publishes.clear();
  }
  double epoch_flap() {
    return fastest([&] {
      for (int i = 0; i < 20; ++i) {
        ++bad.shows->epoch;
        rig.send(bad, {{TlvType::kDeAssociate, vsi(60000), {}}});
      }
    });
  }
  double new_session() {
    return fastest([&] {
      for (int i = 0; i < 20; ++i) {
        ++bad.shows->nonce[0];
        rig.send(bad, {{TlvType::kDeAssociate, vsi(60000), {}}});
      }
    });
  }
  double vn_disconnect() {
    return fastest([&] {
      for (int i = 0; i < 20; ++i) rig.ask_vn(bad, vdp::VnRequest::Operation::kDisconnect, kBlue);
    });
  }
  double refused() {
    return fastest([&] {
      for (int i = 0; i < 20; ++i) rig.send(bad, {{TlvType::kAssociate, vsi(60001), {entry(99, mac(1))}}});
    });
  }
  double link_flap() {
    return fastest([&] {
      for (int i = 0; i < 20; ++i) {
        rig.agent.handle_link(PortId(1), false, rig.now);
        rig.agent.handle_link(PortId(1), true, rig.now);
        rig.run();
      }
    });
  }

  Rig rig;
  Station& bad;
};

TEST(WorkPerFrame, DoesNotGrowWithTheTables) {
  Costs small(100), large(60000);
  const auto within = [](const char* what, double little, double much) {
    EXPECT_LE(much, 4 * little + 20 * 20e-6)
        << what << ": " << 1e6 * little / 20 << " us with 100 TSIs, " << 1e6 * much / 20 << " us with 60,000";
  };
  within("another epoch", small.epoch_flap(), large.epoch_flap());
  within("another session", small.new_session(), large.new_session());
  within("disconnect of a VN", small.vn_disconnect(), large.vn_disconnect());
  within("a refused Associate", small.refused(), large.refused());
  within("a link that flaps", small.link_flap(), large.link_flap());
}

TEST(WorkPerFrame, OneVsiAtManyStationsAndVnsIsBounded) {
  Rig rig(make_config(1));
  for (unsigned n = 1; n <= 200; ++n)
    rig.send(rig.station(n, 1), {{TlvType::kPreAssociateRr, vsi(1), {entry(kBlue, mac(1))}}});
  std::size_t places = rig.tsis();
  EXPECT_EQ(places, limits::kPlacesPerAddressMax);
}

TEST(WorkPerFrame, AStationsManyRequestsForOneVsiAreBounded) {
  Rig rig(make_config(1));
  Station& station = rig.station(1, 1);
  rig.hold_publish = true;
  for (unsigned n = 0; n < 200; ++n) rig.send(station, {{TlvType::kAssociate, vsi(1), {entry(kBlue, mac(n + 1))}}});
  for (const PeerView& peer : rig.agent.peers()) {
    EXPECT_GT(peer.overflow, 100u);
    EXPECT_LE(peer.requests, limits::kRequestsPerVsiMax + 1);
  }
  rig.release_publishes();
  EXPECT_TRUE(rig.consistent());
}

TEST(LostLink, ItsTsisGoPieceByPieceAndAnotherPortIsServedMeanwhile) {
  Rig rig(make_config(2));
  fill(rig, rig.station(1, 1), 0, 3000);
  rig.agent.handle_link(PortId(1), false, rig.now);
  rig.now += limits::kLinkDownHold;
  rig.agent.handle_time(rig.now);
  EXPECT_TRUE(rig.agent.handle_work(1, rig.now));
  EXPECT_GT(rig.tsis(), 2000u) << "not all at once";
  EXPECT_TRUE(
      rig.ask(rig.station(2, 2), {TlvType::kAssociate, vsi(5000), {entry(kBlue, mac(5000))}})->response().success());
  rig.run();
  EXPECT_EQ(rig.tsis(), 1u);
  EXPECT_EQ(rig.agent.peers().size(), 1u);
  EXPECT_TRUE(rig.consistent());
}

}  // namespace
}  // namespace splitnve::nnved::test
