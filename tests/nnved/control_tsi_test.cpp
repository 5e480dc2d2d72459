// SPDX-License-Identifier: Apache-2.0
#include "nnved/control_tsi.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "nnved/reason.hpp"

namespace splitnve::nnved {
namespace {

using nlohmann::json;

constexpr const char* kVsi = "11111111-2222-3333-4444-555555555501";

AgentConfig config() {
  AgentConfig config;
  config.vns.push_back({GroupId(70001), "blue", "", 0, {}});
  config.vns.push_back({GroupId(70002), "red \"quoted\"", "", 0, {}});
  PortConfig port;
  port.id = PortId(1);
  port.interface_name = "p1";
  config.ports.push_back(port);
  return config;
}

daemon::TsiNames names() { return {config().vns, config().ports}; }

TsiView tsi() {
  TsiView view;
  view.instance = InstanceId(7);
  view.vsi = *VsiId::from_uuid(kVsi);
  view.type = {0x123456, 3};
  view.vn = GroupId(70001);
  view.port = PortId(1);
  view.station = MacAddress(0x020000000101u);
  view.state = TsiState::kActivated;
  view.vid = Vid(100);
  view.migration = vdp::Migration::kArriving;
  view.last_refusal = "no resources";
  view.addresses.push_back({MacAddress(0x02AA00000001u),
                            Vid(100),
                            true,
                            false,
                            {*IpPrefix::from_string("192.0.2.7"), *IpPrefix::from_string("2001:db8::/64")}});
  view.addresses.push_back({MacAddress(0x02AA00000002u), Vid(101), false, true, {}});
  return view;
}

json written(const TsiView& view, const std::string& latched = "") {
  std::string text;
  write_tsi(host::JsonText(text), view, names(), {1, 2, 3, 4, 5, 6}, latched);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  return json::parse(text);
}

json expected() {
  return {{"instance", 7},
          {"vsi", kVsi},
          {"vsi_format", 5},
          {"type_id", 0x123456},
          {"type_version", 3},
          {"vn", 70001},
          {"vn_alias", "blue"},
          {"port", "p1"},
          {"station", "02:00:00:00:01:01"},
          {"state", "activated"},
          {"vid", 100},
          {"guard", "mac"},
          {"migration", "arriving"},
          {"migrating", true},
          {"suspended", false},
          {"superseded", false},
          {"num_of_addr", 2},
          {"addresses",
           {{{"mac", "02:aa:00:00:00:01"},
             {"vid", 100},
             {"active", true},
             {"superseded", false},
             {"deactivated_ips", json::array()},
             {"ips", {"192.0.2.7", "2001:db8::/64"}},
             {"source", "signalled"}},
            {{"mac", "02:aa:00:00:00:02"},
             {"vid", 101},
             {"active", false},
             {"superseded", true},
             {"deactivated_ips", json::array()},
             {"ips", json::array()},
             {"source", "signalled"}}}},
          {"last_refusal", "no resources"},
          {"rx_frames", 1},
          {"rx_octets", 2},
          {"tx_frames", 3},
          {"tx_octets", 4},
          {"dropped_closed", 5},
          {"dropped_storm", 6}};
}

TEST(NnvedTsiRow, ShowsEverythingThatIsKnownOfATsi) { EXPECT_EQ(written(tsi()), expected()); }

TEST(NnvedTsiRow, ATsiWithDeactivatedAddressesSaysWhy) {
  json row = expected();
  row["latched"] = true;
  row["last_refusal"] = "down: maintenance";
  EXPECT_EQ(written(tsi(), "down: maintenance"), row);
}

TEST(NnvedTsiRow, ATsiWithoutAddressesAndNamesIsStillARow) {
  TsiView view;
  view.vn = GroupId(9);
  view.guarded = false;
  const json row = written(view);
  EXPECT_EQ(row["state"], "init");
  EXPECT_EQ(row["addresses"], json::array());
  EXPECT_EQ(row["vn_alias"], "");
  EXPECT_EQ(row["guard"], "none");
}

TEST(NnvedTsiRow, ALatchedVsiStandsWhereItsTsiWas) {
  LatchView latch;
  latch.vn = GroupId(70002);
  latch.vsi = VsiId::from_uuid(kVsi);
  latch.reason = "rack \"4\"\n";
  std::string text;
  write_latch(host::JsonText(text), latch, names());
  EXPECT_EQ(json::parse(text), (json{{"instance", 0},
                                     {"vsi", kVsi},
                                     {"vn", 70002},
                                     {"vn_alias", "red \"quoted\""},
                                     {"state", "init"},
                                     {"latched", true},
                                     {"addresses", json::array()},
                                     {"last_refusal", words(Reason::kAdminDown, "rack \"4\"\n")}}));
}

}  // namespace
}  // namespace splitnve::nnved
