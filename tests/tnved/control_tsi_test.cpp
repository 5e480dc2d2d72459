// SPDX-License-Identifier: Apache-2.0
#include "tnved/control_tsi.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace splitnve::tnved {
namespace {

using nlohmann::json;

constexpr const char* kVsi = "11111111-2222-3333-4444-555555555501";

AgentConfig config() {
  AgentConfig config;
  config.vns.push_back({GroupId(70001), "blue"});
  UplinkConfig uplink;
  uplink.id = PortId(2);
  uplink.interface_name = "up0";
  config.uplinks.push_back(uplink);
  return config;
}

daemon::TsiNames names() { return {config().vns, config().uplinks}; }

TEST(TnvedTsiRow, ShowsEverythingThatIsKnownOfATsi) {
  TsiView tsi;
  tsi.instance = InstanceId(200000);
  tsi.vsi = *VsiId::from_uuid(kVsi);
  tsi.vn = GroupId(70001);
  tsi.interface_name = "tap0";
  tsi.guest_tag = Vid(7);
  tsi.uplink = PortId(2);
  tsi.vm = VmState::kRunning;
  tsi.state = "activated";
  tsi.vid = Vid(4094);
  tsi.port_open = true;
  tsi.held = true;
  tsi.reason = "the switch says \"no\"";
  tsi.addresses.push_back({MacAddress(0x02AA00000001u),
                           vdp::Level::kActive,
                           vdp::Level::kActive,
                           Vid(4094),
                           false,
                           {*IpPrefix::from_string("192.0.2.0/24")},
                           Priority(6)});
  tsi.addresses.push_back(
      {MacAddress(0x02AA00000002u), vdp::Level::kActive, vdp::Level::kReserved, Vid(4094), true, {}});
  std::string text;
  write_tsi(host::JsonText(text), tsi, names(), {1, 2, 3, 4, ~std::uint64_t{0}}, false);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const json first{{"mac", "02:aa:00:00:00:01"},
                   {"vid", 4094},
                   {"desired", vdp::to_string(vdp::Level::kActive)},
                   {"confirmed", vdp::to_string(vdp::Level::kActive)},
                   {"active", true},
                   {"held", false},
                   {"priority", 6},
                   {"deactivated_ips", json::array()},
                   {"ips", {"192.0.2.0/24"}}};
  const json second{{"mac", "02:aa:00:00:00:02"},
                    {"vid", 4094},
                    {"desired", vdp::to_string(vdp::Level::kActive)},
                    {"confirmed", vdp::to_string(vdp::Level::kReserved)},
                    {"active", false},
                    {"held", true},
                    {"priority", nullptr},
                    {"deactivated_ips", json::array()},
                    {"ips", json::array()}};
  EXPECT_EQ(json::parse(text), (json{{"instance", 200000},
                                     {"vsi", kVsi},
                                     {"vn", 70001},
                                     {"vn_alias", "blue"},
                                     {"interface", "tap0"},
                                     {"guest_tag", 7},
                                     {"uplink", "up0"},
                                     {"vm", to_string(VmState::kRunning)},
                                     {"migration", "no"},
                                     {"state", "activated"},
                                     {"vid", 4094},
                                     {"port_open", true},
                                     {"unconfirmed", false},
                                     {"held", true},
                                     {"num_of_addr", 2},
                                     {"addresses", {first, second}},
                                     {"reason", "the switch says \"no\""},
                                     {"rx_frames", 1},
                                     {"rx_octets", 2},
                                     {"tx_frames", 3},
                                     {"tx_octets", 4},
                                     {"dropped_closed", ~std::uint64_t{0}},
                                     {"dropped_storm", 0}}));
}

}  // namespace
}  // namespace splitnve::tnved
