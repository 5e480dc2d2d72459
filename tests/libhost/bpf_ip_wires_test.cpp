// SPDX-License-Identifier: Apache-2.0
// The IP guard on real interfaces: what is received, how addresses come and go under traffic, and how a daemon that
// starts again finds them.
#include <algorithm>
#include <atomic>
#include <thread>

#include "ip_frames.hpp"

namespace splitnve::test {
namespace {

using datapath::Drop;
using datapath::IpGuard;
using datapath::PortRole;
using host::BpfSwitch;

constexpr std::uint32_t kIn = 1, kOut = 2, kBlue = 10;
const MacAddress kAlice = mac(1), kBob = mac(2);
const OctetString kData(40, 0xA5);
using Tag = std::optional<std::uint16_t>;

/// 10.x.y.z with a number below 2^24.
std::string numbered(std::uint32_t n) {
  return "10." + std::to_string(n >> 16 & 0xFF) + "." + std::to_string(n >> 8 & 0xFF) + "." + std::to_string(n & 0xFF);
}

// Alice behind `in` with 192.0.2.7 and 2001:db8::/64, bob behind `out` with no IP guard.
class BpfIpWires : public BpfSwitchTest, public ::testing::WithParamInterface<Tag> {
 protected:
  void SetUp() override {
    BpfSwitchTest::SetUp();
    for (const auto* name : {"in", "out"}) add_pair(name);
    in_ = std::make_unique<Wire>("in-t");
    out_ = std::make_unique<Wire>("out-t");
    open();
    apply(base_rows());
  }

  static datapath::GuardRow alices_guard(IpGuard ip = {true, true, false, false}) {
    auto row = guard_row(kBlue, kIn, kAlice, 1);
    row.ip = ip;
    return row;
  }
  static datapath::Rows base_rows() {
    const std::uint16_t vid = GetParam().value_or(0);
    datapath::Rows rows;
    rows.ports = {port_row(kIn, "in", GetParam() ? PortRole::kAccess : PortRole::kVm),
                  port_row(kOut, "out", PortRole::kVm)};
    rows.domains = {{DomainId(kBlue), true, 0, std::nullopt, {member(kIn, vid), member(kOut, 0)}, {}}};
    rows.access = {access_row(kIn, vid, kBlue), access_row(kOut, 0, kBlue)};
    rows.ips = {ip_row(1, kAlice, "192.0.2.7"), ip_row(1, kAlice, "2001:db8::/64")};
    rows.guards = {alices_guard(), guard_row(kBlue, kOut, kBob, 2)};
    rows.fdb = {local_row(kBlue, kAlice, 1, kIn, vid), local_row(kBlue, kBob, 2, kOut, 0)};
    return rows;
  }
  void change(const datapath::IpRow& row) {
    datapath::Rows rows;
    rows.ips = {row};
    apply(rows);
  }

  Frame of_alice(std::uint16_t type, const OctetString& payload, MacAddress to = kBob) const {
    return {to, kAlice, GetParam(), type, payload};
  }
  void expect_passes(std::uint16_t type, const OctetString& payload, MacAddress to = kBob) {
    in_->send(of_alice(type, payload, to));
    EXPECT_EQ(out_->receive(), (Frame{to, kAlice, {}, type, payload}));
  }
  void expect_drop(std::uint16_t type, const OctetString& payload, Drop reason, MacAddress to = kBob) {
    const auto before = dropped(reason), in_all = dropped_in_all();
    in_->send(of_alice(type, payload, to));
    EXPECT_TRUE(eventually([&] { return dropped(reason) == before + 1; })) << datapath::to_string(reason);
    EXPECT_EQ(dropped_in_all(), in_all + 1);
    EXPECT_TRUE(out_->silent());
  }
  void expect_source(const std::string& ip, bool passes) {
    SCOPED_TRACE(ip);
    const bool four = ip.find(':') == std::string::npos;
    const auto payload = four ? ipv4(ip, kTcp, kData) : ipv6(ip, kTcp, kData);
    if (passes)
      expect_passes(four ? kIpv4Type : kIpv6Type, payload);
    else
      expect_drop(four ? kIpv4Type : kIpv6Type, payload, Drop::kSpoofedIp);
  }
  host::ReconcileReport reconcile(const datapath::Rows& rows) {
    const auto report = bpf_switch_->reconcile(rows);
    EXPECT_TRUE(report) << report.error().to_string();
    return report ? *report : host::ReconcileReport{};
  }
  std::vector<std::string> dumped_ips() const {
    std::vector<std::string> lines;
    const auto dump = bpf_switch_->dump();
    EXPECT_TRUE(dump);
    for (const auto& row : dump->ips)
      lines.push_back(std::to_string(row.instance.value()) + " " + row.mac.to_string() + " " + row.prefix.to_string());
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  std::unique_ptr<Wire> in_, out_;
};

INSTANTIATE_TEST_SUITE_P(Tagged, BpfIpWires, ::testing::Values(Tag(100)));
INSTANTIATE_TEST_SUITE_P(Untagged, BpfIpWires, ::testing::Values(Tag()));

TEST_P(BpfIpWires, deliver_what_is_the_senders_own) {
  expect_source("192.0.2.7", true);
  expect_source("2001:db8::1234", true);
  expect_passes(kArpType, arp(1, kAlice, "192.0.2.7"), kBroadcast);
  expect_passes(kArpType, arp(1, kAlice, "0.0.0.0"), kBroadcast);
  expect_passes(kIpv4Type, ipv4("0.0.0.0", kUdp, udp(68, 67)), kBroadcast);
  const auto solicit = neighbour(kSolicit, "2001:db8::9", link_option(1, kAlice));
  expect_passes(kIpv6Type, ipv6("fe80::1", kIcmpv6, solicit), MacAddress(0x3333FF000009));
  expect_passes(kIpv6Type, ipv6("2001:db8::1", kIcmpv6, neighbour(kAdvert, "2001:db8::1", link_option(2, kAlice))));
  expect_passes(kIpv4Type, ipv4("192.0.2.7", kUdp, kData, 0x0010));
  EXPECT_EQ(dropped_in_all(), 0u);
  EXPECT_EQ(counters(1).rx_frames, 8u);
}

TEST_P(BpfIpWires, deliver_nothing_that_is_anothers) {
  expect_source("192.0.2.8", false);
  expect_source("2001:db8:1::1", false);
  expect_drop(kArpType, arp(2, kAlice, "192.0.2.1"), Drop::kSpoofedArp, kBroadcast);
  expect_drop(kArpType, arp(1, kBob, "192.0.2.7"), Drop::kSpoofedArp, kBroadcast);
  expect_drop(kIpv6Type, ipv6("fe80::1", kIcmpv6, neighbour(kAdvert, "2001:db8:1::1")), Drop::kSpoofedNeighbour);
  expect_drop(kIpv6Type, ipv6("fe80::1", kIcmpv6, router_advert()), Drop::kRouter, MacAddress(0x333300000001));
  expect_drop(kIpv4Type, ipv4("192.0.2.7", kUdp, udp(67, 68)), Drop::kDhcpServer, kBroadcast);
  expect_drop(kIpv6Type, ipv6("fe80::1", kUdp, udp(547, 546)), Drop::kDhcpServer);
  expect_drop(kIpv4Type, ipv4("192.0.2.8", kUdp, kData, 0x0010), Drop::kSpoofedIp);
  expect_drop(38, join({{0xAA, 0xAA, 3}, OctetString(43)}), Drop::kLlc);
  EXPECT_EQ(counters(1).rx_frames, 0u);
}

TEST_P(BpfIpWires, drop_every_header_that_is_cut) {
  const auto four = ipv4("192.0.2.7", kUdp, udp(1, 2)),
             six = ipv6("2001:db8::1", kIcmpv6, neighbour(kAdvert, "2001:db8::1"));
  const std::size_t least = GetParam() ? 2 : 0;  // the kernel itself drops a tag with less behind it
  const auto cut = [](const OctetString& whole, std::size_t size) {
    return OctetString(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
  };
  for (std::size_t size = least; size < four.size(); ++size)
    expect_drop(kIpv4Type, cut(four, size), Drop::kUnparsableIp);
  for (std::size_t size = least; size < six.size(); ++size) expect_drop(kIpv6Type, cut(six, size), Drop::kUnparsableIp);
  for (std::size_t size = least; size < 18; ++size)
    expect_drop(kArpType, cut(arp(1, kAlice, "192.0.2.7"), size), Drop::kUnparsableIp);
}

TEST_P(BpfIpWires, ask_nothing_of_frames_to_a_guarded_vm) {
  datapath::Rows rows;
  rows.guards = {guard_row(kBlue, kOut, kBob, 2)};
  rows.guards[0].ip = {false, false, true, true};  // bob may be a router and a DHCP server
  apply(rows);
  for (const auto& [type, payload] :
       {std::pair(kIpv4Type, ipv4("203.0.113.5", kUdp, udp(67, 68))), std::pair(kArpType, arp(2, kBob, "192.0.2.7")),
        std::pair(kIpv6Type, ipv6("fe80::2", kIcmpv6, router_advert(link_option(1, mac(77)))))}) {
    out_->send({kAlice, kBob, {}, type, payload});
    EXPECT_EQ(in_->receive(), (Frame{kAlice, kBob, GetParam(), type, payload}));
  }
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_P(BpfIpWires, take_and_leave_two_hundred_addresses_one_by_one) {
  constexpr std::uint32_t kAddresses = 200;
  for (std::uint32_t n = 0; n < kAddresses; ++n) change(ip_row(1, kAlice, numbered(2 * n)));
  for (std::uint32_t n = 0; n < kAddresses; n += 7) {
    expect_source(numbered(2 * n), true);
    expect_source(numbered(2 * n + 1), false);
  }
  EXPECT_EQ(dumped_ips().size(), kAddresses + 2);
  for (std::uint32_t n = 0; n < kAddresses; ++n) change(ip_row(1, kAlice, numbered(2 * n), false));
  change(ip_row(1, kAlice, numbered(1), false));  // was never there
  expect_source(numbered(0), false);
  expect_source("192.0.2.7", true);
  EXPECT_EQ(dumped_ips().size(), 2u);
}

TEST_P(BpfIpWires, lose_no_frame_of_an_address_while_others_come_and_go) {
  std::atomic<bool> stop = false;
  std::uint32_t sent = 0;
  std::thread sender([&] {
    auto frame = of_alice(kIpv4Type, ipv4("192.0.2.7", kTcp, kData));
    while (!stop) {
      frame.payload[20] = static_cast<std::uint8_t>(sent);
      in_->send(frame);
      ++sent;
      std::this_thread::sleep_for(std::chrono::microseconds(50));  // a rate, not a wait
    }
  });
  datapath::Rows rows;
  for (const bool present : {true, false, true, false}) {
    rows.ips.clear();
    for (std::uint32_t n = 0; n < 200; ++n) rows.ips.push_back(ip_row(1, kAlice, numbered(n), present));
    rows.ips.push_back(ip_row(1, kAlice, "192.0.2.0/24", present));  // above and below it, too
    rows.ips.push_back(ip_row(1, kAlice, "2001:db8::/64", present));
    apply(rows);
    apply(base_rows());
  }
  stop = true;
  sender.join();
  for (std::uint32_t expected = 0; expected < sent; ++expected) {
    const auto frame = out_->receive();
    ASSERT_TRUE(frame) << expected << " of " << sent;
    ASSERT_EQ(frame->payload[20], static_cast<std::uint8_t>(expected));
  }
  EXPECT_EQ(dropped_in_all(), 0u);
}

TEST_P(BpfIpWires, guard_a_family_from_its_first_address_to_its_last) {
  datapath::Rows rows;
  rows.ips = {ip_row(1, kAlice, "192.0.2.7", false), ip_row(1, kAlice, "2001:db8::/64", false)};
  rows.guards = {alices_guard({})};
  apply(rows);
  expect_source("10.0.0.1", true);
  rows.ips = {ip_row(1, kAlice, "10.0.0.2")};
  rows.guards = {alices_guard({true, false, false, false})};
  apply(rows);
  expect_source("10.0.0.1", false);
  expect_source("10.0.0.2", true);
  expect_source("2001:db8::1", true);
  rows.ips = {ip_row(1, kAlice, "10.0.0.2", false)};
  rows.guards = {alices_guard({})};
  apply(rows);
  expect_source("10.0.0.1", true);
}

TEST_P(BpfIpWires, adopt_their_addresses_when_the_daemon_starts_again) {
  bpf_switch_.reset();
  expect_source("192.0.2.7", true);
  open();
  expect_source("192.0.2.8", false);
  const auto report = reconcile(base_rows());
  EXPECT_EQ(report.differences(), 0u);
  EXPECT_EQ(report.unchanged, 11u);
  expect_source("2001:db8::1", true);
  EXPECT_EQ(dumped_ips(),
            (std::vector<std::string>{"1 02:00:00:00:00:01 192.0.2.7", "1 02:00:00:00:00:01 2001:db8::/64"}));
  const auto dump = bpf_switch_->dump();
  EXPECT_EQ(std::count(dump->guards.begin(), dump->guards.end(), alices_guard()), 1);
}

TEST_P(BpfIpWires, repair_addresses_and_drop_strange_ones_by_reconciling) {
  datapath::Rows rows;
  rows.ips = {ip_row(1, kAlice, "192.0.2.7", false), ip_row(1, kAlice, "192.0.2.0/28"), ip_row(1, kAlice, "0.0.0.0/0"),
              ip_row(9, kBob, "2001:db8::/64"), ip_row(1, kAlice, "2001:db8::/48")};
  rows.guards = {alices_guard({true, false, true, true})};
  apply(rows);
  expect_source("10.0.0.1", true);
  const auto report = reconcile(base_rows());
  EXPECT_EQ(report.added, 1u);
  EXPECT_EQ(report.changed, 1u);
  EXPECT_EQ(report.removed, 4u);
  EXPECT_EQ(report.unchanged, 9u);
  EXPECT_EQ(dumped_ips(),
            (std::vector<std::string>{"1 02:00:00:00:00:01 192.0.2.7", "1 02:00:00:00:00:01 2001:db8::/64"}));
  expect_source("10.0.0.1", false);
  expect_source("192.0.2.7", true);
  expect_drop(kIpv6Type, ipv6("fe80::1", kIcmpv6, router_advert()), Drop::kRouter);
}

TEST_P(BpfIpWires, say_what_is_no_prefix_and_that_the_table_is_full) {
  bpf_switch_->tear_down();
  config_.instances_max = 2;
  open();
  apply(base_rows());
  datapath::Rows rows;
  for (std::uint32_t n = 0; n < 8; ++n) rows.ips.push_back(ip_row(1, kAlice, numbered(n)));
  rows.ips[1].prefix = IpPrefix{};
  rows.ips[2].prefix.length = 24;
  rows.ips[3].prefix.length = 33;
  const auto result = bpf_switch_->apply(BatchId(8), rows);
  ASSERT_EQ(result.failures.size(), 3u);
  for (const auto& failure : result.failures) {
    EXPECT_EQ(failure.table, datapath::Table::kIp);
    EXPECT_EQ(failure.cause, "a row of instance 1 is no IP prefix");
  }
  EXPECT_EQ(dumped_ips().size(), 7u);
  rows.ips = {ip_row(1, kAlice, "192.0.2.9"), ip_row(1, kAlice, "192.0.2.10"), ip_row(1, kAlice, "192.0.2.11")};
  const auto full = bpf_switch_->apply(BatchId(9), rows);
  ASSERT_EQ(full.failures.size(), 2u);
  EXPECT_EQ(full.failures[0].table, datapath::Table::kIp);
  EXPECT_EQ(full.failures[0].index, 1u);
  EXPECT_EQ(full.failures[0].cause, "the table is full");
  expect_source("192.0.2.9", true);
  expect_source("192.0.2.10", false);
}

TEST_P(BpfIpWires, write_and_read_back_tens_of_thousands_of_addresses) {
  constexpr std::uint32_t kRows = 40000;
  datapath::Rows rows = base_rows();
  for (std::uint32_t n = 0; n < kRows; ++n) rows.ips.push_back(ip_row(1000 + n / 4, mac(1000 + n / 4), numbered(n)));
  apply(rows);
  EXPECT_EQ(dumped_ips().size(), kRows + 2);
  EXPECT_EQ(reconcile(rows).differences(), 0u);
  EXPECT_EQ(reconcile(base_rows()).removed, kRows);
  EXPECT_EQ(dumped_ips().size(), 2u);
}

}  // namespace
}  // namespace splitnve::test
