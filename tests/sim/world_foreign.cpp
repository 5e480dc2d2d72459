// SPDX-License-Identifier: Apache-2.0
// Stations of another make: one behind a port of its own at every switch.
#include <algorithm>

#include "world.hpp"

namespace splitnve::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kTick = milliseconds(200);

}  // namespace

void World::build_foreign() {
  vdp::Timing timing;
  timing.keepalive_exponent = parameters_.keepalive_exponent;
  for (unsigned i = 0; i < switch_count(); ++i) {
    ForeignStation::Identity identity;
    identity.own = MacAddress(0x020300000000u + i);
    identity.bridge = port_mac({i, foreign_port()});
    identity.vsi.octets[0] = 0xF0;
    for (unsigned octet = 0; octet < 4; ++octet)
      identity.vsi.octets[12 + octet] = static_cast<std::uint8_t>(i >> (24 - 8 * octet));
    identity.vn = GroupId(70001 + i % parameters_.vns);
    identity.mac = MacAddress(kForeignMacs + i);
    identity.renewal = timing.keepalive_interval() / 3;
    foreign_.push_back(
        std::make_unique<ForeignStation>(identity, EcpSequence(static_cast<std::uint16_t>(below(0x10000)))));
    at(now_ + microseconds(below(200000)), [this, i] { foreign_tick(i); });
  }
}

void World::foreign_tick(unsigned index) {
  ForeignStation& station = *foreign_[index];
  if (operating_ && station.settled() && chance(0.1)) {
    count("foreign-set");
    std::optional<IpPrefix> ip;
    if (chance(0.7))
      ip = chance(0.5) ? IpPrefix{IpFamily::kV4, 32, {10, 99, 0, 1}}
                       : IpPrefix{IpFamily::kV6, 128, {0xfd, 0x99}};            // nobody else's in the VN
    if (ip && chance(0.5)) ip->length = ip->family == IpFamily::kV4 ? 32 : 64;  // wider ones are refused (S6)
    if (ip && ip->is_single()) ip->octets[address_bits(ip->family) / 8 - 1] = 1;
    station.want(below(11), ip);
  }
  station.handle_time(now_);
  drain_foreign(index);
  at(now_ + kTick, [this, index] { foreign_tick(index); });
}

void World::drain_foreign(unsigned index) {
  OctetString frame;
  while (foreign_[index]->poll_frame(frame)) {
    Node& to = *nodes_[parameters_.hosts + index];
    over_link([this, &to, frame] { arrive(to, foreign_port(), frame); });
  }
  if (!foreign_[index]->fault().empty()) fail(foreign_[index]->fault() + " at switch " + std::to_string(index));
}

void World::to_foreign(unsigned index, const OctetString& frame) {
  over_link([this, index, frame] {
    foreign_[index]->handle_frame(frame, now_);
    drain_foreign(index);
  });
}

/// Its VIDs are those of the VN on its port, and lead into the VN; its IP is known.
void World::compare_foreign(unsigned index, std::vector<std::string>& out) const {
  const ForeignStation& station = *foreign_[index];
  const Node& node = *nodes_[parameters_.hosts + index];
  const std::string name = "foreign station of switch " + std::to_string(index) + ": ";
  if (!station.settled()) return out.push_back(name + "was not answered");
  std::vector<Vid> there;
  for (const auto& vap : node.nnved->vaps())
    if (vap.port == foreign_port() && vap.state == nnved::VapState::kConnected) there = vap.local_tags;
  std::vector<Vid> here = station.vids();
  std::ranges::sort(here);
  std::ranges::sort(there);
  if (here != there)
    return out.push_back(name + "has " + std::to_string(here.size()) + " VIDs, the switch " +
                         std::to_string(there.size()) + ", or others");
  for (const Vid vid : here) {
    const auto row = node.datapath.access().find({foreign_port(), vid});
    if (row == node.datapath.access().end() || row->second.domain != DomainId(station.identity().vn.value()))
      out.push_back(name + "its VID " + std::to_string(vid.value()) + " leads elsewhere");
  }
  for (std::uint32_t i = 0; i < node.nnved->tsi_slots(); ++i) {
    const auto view = node.nnved->tsi(i);
    if (!view || view->vsi != station.identity().vsi) continue;
    std::vector<IpPrefix> ips;
    if (station.ip()) ips.push_back(*station.ip());
    if (view->addresses.size() != 1 || view->addresses.front().ips != ips) out.push_back(name + "has other IPs there");
  }
}

void World::count_stations() {
  for (unsigned host = 0; host < parameters_.hosts; ++host)
    if (nodes_[host]->alive)
      for (const auto& peer : nodes_[host]->tnved->peers()) report_.actions["set-change"] += peer.set_changes;
  for (const auto& station : foreign_) {
    report_.actions["several-vids"] += station->stats().several;
    report_.actions["vid-limit"] += station->stats().beyond;
    report_.actions["ip-without-mac"] += station->stats().ips;
  }
}

}  // namespace splitnve::sim
