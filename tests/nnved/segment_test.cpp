// SPDX-License-Identifier: Apache-2.0
#include "nnved/segment.hpp"

#include <gtest/gtest.h>

namespace splitnve::nnved {
namespace {

using namespace std::chrono_literals;
constexpr Instant kStart{1h};
constexpr MacAddress kOther{0x020000000301ull}, kStation{0x020000000101ull}, kSecond{0x020000000102ull};

PortConfig port(unsigned n, std::uint16_t first, std::uint16_t last) {
  PortConfig out;
  out.id = PortId(n);
  out.interface_name = out.segment = "p" + std::to_string(n);
  out.mac = MacAddress(0x020000000200ull + n);
  out.vids = {Vid(first), Vid(last)};
  return out;
}
PortConfig direct_port(unsigned n) {
  PortConfig out = port(n, 2, 4094);
  out.direct = true;
  out.vids_given = false;
  return out;
}

class Segment : public ::testing::Test {
 protected:
  SegmentWatch& watch(std::vector<PortConfig> ports) {
    config_.ports = std::move(ports);
    config_.announces = true;
    config_.system[0] = 1;
    watch_.emplace(config_);
    watch_->begin(kStart);
    return *watch_;
  }
  vdp::Capabilities shown(std::uint16_t first, std::uint16_t last, std::uint8_t system = 2) const {
    vdp::Capabilities out;
    out.version = 2;
    out.role = vdp::Role::kBridge;
    out.system[0] = system;
    out.nonce[0] = system;
    out.timers.rka = 10;
    out.vids.push_back({Vid(first), Vid(last)});
    return out;
  }
  std::vector<std::uint32_t> changes() {
    std::vector<std::uint32_t> out;
    while (const auto port = watch_->poll_change()) out.push_back(*port);
    return out;
  }
  unsigned announcements(Instant now) {
    unsigned count = 0;
    while (watch_->poll_announcement(now)) ++count;
    return count;
  }
  Duration interval() const { return config_.vdp.keepalive_interval(); }

  AgentConfig config_;
  std::optional<SegmentWatch> watch_;
};

TEST_F(Segment, AnotherNnveWithTheSameVidsClosesThePortUntilItIsGone) {
  SegmentWatch& on = watch({port(1, 100, 199)});
  on.handle_bridge(0, kOther, shown(150, 250), kStart);
  EXPECT_EQ(on.verdict(0).closed, Reason::kVidOverlap);
  EXPECT_NE(on.verdict(0).text.find("150-199"), std::string::npos) << on.verdict(0).text;
  EXPECT_NE(on.verdict(0).text.find(kOther.to_string()), std::string::npos);
  EXPECT_EQ(on.why(0, Reason::kVidOverlap), on.verdict(0).text);
  EXPECT_EQ(on.why(0, Reason::kVidPoolEmpty), "");
  EXPECT_EQ(changes(), std::vector<std::uint32_t>{0});
  on.handle_bridge(0, kOther, shown(150, 250), kStart + interval());
  EXPECT_TRUE(changes().empty()) << "the same is not told again";
  on.handle_time(kStart + interval() + kAnnouncementIntervals * interval() - 1ms);
  EXPECT_EQ(on.verdict(0).closed, Reason::kVidOverlap);
  on.handle_time(kStart + interval() + kAnnouncementIntervals * interval());
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone);
  EXPECT_EQ(changes(), std::vector<std::uint32_t>{0});
  EXPECT_EQ(on.neighbours(0), 0u);
}

TEST_F(Segment, DisjointVidsDisturbNobody) {
  SegmentWatch& on = watch({port(1, 100, 199)});
  on.handle_bridge(0, kOther, shown(200, 299), kStart);
  EXPECT_EQ(on.verdict(0).seen, Reason::kNone);
  on.handle_bridge(0, kOther, shown(199, 299), kStart);
  EXPECT_EQ(on.verdict(0).closed, Reason::kVidOverlap) << "its configuration was changed";
  on.handle_bridge(0, kOther, shown(200, 299), kStart);
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone);
}

TEST_F(Segment, AnNnveThatTellsNoVidsMayGiveOutAny) {
  SegmentWatch& on = watch({port(1, 100, 199)});
  auto old = shown(200, 299);
  old.version = 1;
  on.handle_bridge(0, kOther, old, kStart);
  EXPECT_EQ(on.verdict(0).closed, Reason::kVidOverlap);
}

TEST_F(Segment, TwoPortsOfOneSwitchOnOneBridge) {
  SegmentWatch& on = watch({port(1, 100, 199), port(2, 150, 299), port(3, 300, 399)});
  on.handle_bridge(1, config_.ports[0].mac, shown(100, 199, 1), kStart);
  EXPECT_EQ(on.verdict(1).closed, Reason::kVidOverlap);
  EXPECT_NE(on.verdict(1).text.find("port p1 of this switch"), std::string::npos);
  on.handle_bridge(2, config_.ports[0].mac, shown(100, 199, 1), kStart);
  EXPECT_EQ(on.verdict(2).closed, Reason::kNone) << "disjoint";
  on.handle_bridge(0, config_.ports[0].mac, shown(100, 199, 1), kStart);
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone) << "a frame that a bridge sends back";
}

TEST_F(Segment, PortsThatShareAPoolNeverCollide) {
  auto one = port(1, 100, 199), two = port(2, 100, 199);
  one.segment = two.segment = "rack";
  SegmentWatch& on = watch({one, two});
  on.handle_time(kStart + interval());
  on.handle_bridge(1, one.mac, shown(100, 199, 1), kStart + interval());
  EXPECT_EQ(on.verdict(1).seen, Reason::kNone);
}

TEST_F(Segment, ADirectPortWithAnotherBridgeIsNone) {
  SegmentWatch& on = watch({direct_port(1), direct_port(2)});
  EXPECT_TRUE(on.is_direct(0));
  on.handle_lldp(0, kOther, 5s, kStart);
  EXPECT_EQ(on.verdict(0).closed, Reason::kNotDirect);
  EXPECT_FALSE(on.is_direct(0));
  EXPECT_TRUE(on.is_direct(1));
  on.handle_time(kStart + 5s);
  EXPECT_TRUE(on.is_direct(0));
  on.handle_bridge(0, config_.ports[1].mac, shown(2, 4094, 1), kStart + 5s);
  EXPECT_EQ(on.verdict(0).closed, Reason::kVidOverlap);
  EXPECT_FALSE(on.is_direct(0));
}

TEST_F(Segment, TwoStationsAtOnceOnADirectPort) {
  SegmentWatch& on = watch({direct_port(1)});
  on.handle_station(0, kStation, kStart);
  on.handle_station(0, kSecond, kStart + 1s);
  EXPECT_EQ(on.verdict(0).closed, Reason::kNotDirect);
  EXPECT_NE(on.verdict(0).text.find(kStation.to_string()), std::string::npos);
  const auto look = on.next_deadline();
  ASSERT_TRUE(look);
  on.handle_time(kStart + config_.vdp.keepalive_timeout());
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone) << "the first is silent: it was replaced";
  on.handle_link(0, false, kStart + 100s);
  on.handle_link(0, true, kStart + 101s);
  on.handle_station(0, kStation, kStart + 101s);
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone) << "another cable";
}

TEST_F(Segment, WithConfiguredVidsAWrongDirectIsAnAlarmOnly) {
  auto one = direct_port(1);
  one.vids = {Vid(100), Vid(199)};
  one.vids_given = true;
  SegmentWatch& on = watch({one});
  on.handle_bridge(0, kOther, shown(200, 299), kStart);
  EXPECT_EQ(on.verdict(0).seen, Reason::kNotDirect);
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone);
  EXPECT_FALSE(on.is_direct(0));
}

TEST_F(Segment, WhereStationsMustSignNobodyElseIsBelieved) {
  auto one = port(1, 100, 199);
  one.authentication.mode = auth::Mode::kRequire;
  SegmentWatch& on = watch({one});
  on.handle_bridge(0, kOther, shown(100, 199), kStart);
  EXPECT_EQ(on.verdict(0).seen, Reason::kVidOverlap);
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone);
}

TEST_F(Segment, ASharedPortListensFirst) {
  auto one = port(1, 100, 199);
  one.segment = "rack";
  SegmentWatch& on = watch({one, port(2, 200, 299)});
  EXPECT_EQ(on.verdict(0).closed, Reason::kListening);
  EXPECT_EQ(on.verdict(1).closed, Reason::kNone);
  on.handle_time(kStart + interval() - 1ms);
  EXPECT_EQ(on.verdict(0).closed, Reason::kListening);
  on.handle_time(kStart + interval());
  EXPECT_EQ(on.verdict(0).closed, Reason::kNone);
}

TEST_F(Segment, AnnouncesAtTheStartThenEachIntervalAndToWhoeverIsNew) {
  SegmentWatch& on = watch({port(1, 100, 199)});
  EXPECT_EQ(announcements(kStart), 1u);
  EXPECT_EQ(announcements(kStart + 1s), 1u) << "in a hurry: one may be lost";
  EXPECT_EQ(announcements(kStart + 2s), 1u);
  EXPECT_EQ(announcements(kStart + 3s), 0u);
  EXPECT_EQ(announcements(kStart + 2s + interval()), 1u);
  const Instant later = kStart + 3s + interval();
  on.handle_bridge(0, kOther, shown(200, 299), later);
  EXPECT_EQ(announcements(later), 1u) << "it has not heard us yet";
  on.handle_bridge(0, kOther, shown(200, 299), later + 1s);
  EXPECT_EQ(announcements(later + 1s), 0u) << "it has";
  auto restarted = shown(200, 299);
  restarted.nonce[0] = 9;
  on.handle_bridge(0, kOther, restarted, later + 1s);
  on.handle_bridge(0, kSecond, shown(300, 399, 3), later + 1s);
  EXPECT_EQ(announcements(later + 1s), 1u);
  on.handle_bridge(0, kStation, shown(400, 499, 4), later + 1s);
  EXPECT_EQ(announcements(later + 1s), 0u) << "not faster than the pause";
  EXPECT_EQ(announcements(later + 1s + kAnnouncementPause), 1u);
}

TEST_F(Segment, AFloodOfBridgesTakesNoMemory) {
  SegmentWatch& on = watch({port(1, 100, 199)});
  for (unsigned n = 0; n < 100; ++n)
    on.handle_bridge(0, MacAddress(0x020000001000ull + n), shown(200, 299, static_cast<std::uint8_t>(n + 2)), kStart);
  EXPECT_EQ(on.neighbours(0), kNeighboursPerPortMax);
}

}  // namespace
}  // namespace splitnve::nnved
