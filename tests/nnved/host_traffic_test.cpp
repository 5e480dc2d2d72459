// SPDX-License-Identifier: Apache-2.0
// S41: which ports are open to the host, over an upgrade and after it.
#include "nnved/host_traffic.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace splitnve::nnved {
namespace {

using datapath::HostTraffic;
using namespace std::chrono_literals;
constexpr auto kClosed = HostTraffic::kClosed, kOpen = HostTraffic::kOpen, kInherited = HostTraffic::kInherited;

AgentConfig config_of(std::vector<std::pair<const char*, std::optional<bool>>> ports) {
  AgentConfig config;
  for (const auto& [name, said] : ports) {
    PortConfig port;
    port.interface_name = name;
    port.host_traffic = said;
    config.ports.push_back(port);
  }
  return config;
}

/// What a start with these records comes to, by port; `records` are then what is stored.
struct Life {
  Life(AgentConfig said, std::vector<agent::StoreRecord>& records) : config(std::move(said)) {
    written = traffic.restore(records);
    for (const auto& port : config.ports) ports.push_back(traffic.of(port));
    if (!written) return;
    std::erase_if(records, [&](const auto& record) { return record.key == traffic.record().key; });
    records.push_back(traffic.record());
  }
  AgentConfig config;
  nnved::HostTraffic traffic{config};
  bool written = false;
  std::vector<HostTraffic> ports;
};
using States = std::vector<HostTraffic>;

TEST(HostTraffic, OfANewSwitchIsWhatItsConfigurationSays) {
  std::vector<agent::StoreRecord> records;
  Life life(config_of({{"p1", {}}, {"p2", true}, {"p3", false}}), records);
  EXPECT_EQ(life.ports, (States{kClosed, kOpen, kClosed}));
  EXPECT_TRUE(life.written);
  EXPECT_FALSE(life.traffic.next_deadline());
  EXPECT_EQ(life.traffic.due(Instant{} + 48h), "");
}

TEST(HostTraffic, OfAnUpgradedSwitchGoesOnUntilEachPortIsDecided) {
  std::vector<agent::StoreRecord> records = {agent::encode_epoch(7)};
  Life first(config_of({{"p1", {}}, {"p2", true}, {"p3", {}}, {"p4", false}}), records);
  EXPECT_EQ(first.ports, (States{kInherited, kOpen, kInherited, kClosed}));
  EXPECT_TRUE(first.written);

  Life again(config_of({{"p1", {}}, {"p3", {}}, {"new", {}}}), records);
  EXPECT_EQ(again.ports, (States{kInherited, kInherited, kClosed}));
  EXPECT_FALSE(again.written);

  Life decided(config_of({{"p1", false}, {"p3", {}}}), records);
  EXPECT_EQ(decided.ports, (States{kClosed, kInherited}));
  EXPECT_TRUE(decided.written);
  Life forgotten(config_of({{"p1", {}}, {"p3", {}}}), records);
  EXPECT_EQ(forgotten.ports, (States{kClosed, kInherited})) << "what was decided is not opened again";
}

TEST(HostTraffic, IsWarnedOfEachDayWhileAPortIsUndecided) {
  std::vector<agent::StoreRecord> records = {agent::encode_epoch(7)};
  Life life(config_of({{"p1", {}}, {"p2", {}}}), records);
  const Instant start = Instant{} + 5h;
  ASSERT_TRUE(life.traffic.next_deadline() && *life.traffic.next_deadline() <= start);
  EXPECT_NE(life.traffic.due(start).find("by p1, p2,"), std::string::npos);
  EXPECT_EQ(life.traffic.due(start + 23h), "");
  EXPECT_EQ(life.traffic.next_deadline(), start + 24h);
  EXPECT_NE(life.traffic.due(start + 24h), "");
}

TEST(HostTraffic, IsClosedWhereItsRecordCannotBeRead) {
  std::vector<agent::StoreRecord> records = {agent::encode_epoch(7)};
  Life first(config_of({{"p1", {}}}), records);
  records.back().value = {1, 9, 'p'};
  Life life(config_of({{"p1", {}}}), records);
  EXPECT_EQ(life.ports, (States{kClosed}));
}

}  // namespace
}  // namespace splitnve::nnved
