// SPDX-License-Identifier: Apache-2.0
// Who there is in the simulation, how each is configured, and how it starts, again and again.
#include <algorithm>

#include "world.hpp"

namespace splitnve::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Virtual networks get IDs that differ from tags and indexes, so that a mix-up shows.
constexpr std::uint32_t kFirstVn = 70001;

vdp::SystemId system_of(bool is_switch, unsigned index) {
  vdp::SystemId system{};
  system[0] = is_switch ? 2 : 1;
  for (unsigned octet = 0; octet < 4; ++octet)
    system[12 + octet] = static_cast<std::uint8_t>(index >> (24 - 8 * octet));
  return system;
}

}  // namespace

void World::build() {
  now_ = Instant(seconds(1000));
  for (unsigned i = 0; i < parameters_.hosts + switch_count(); ++i) {
    auto node = std::make_unique<Node>();
    node->is_switch = i >= parameters_.hosts;
    node->index = node->is_switch ? i - parameters_.hosts : i;
    nodes_.push_back(std::move(node));
  }
  build_vms();
  for (auto& node : nodes_) start_node(*node);
  build_foreign();
}

/// Two keys of a segment, in the middle of a roll-over: which one signs differs from node to node.
std::shared_ptr<const auth::KeyRing> World::keys(unsigned segment) {
  std::vector<auth::Key> ring;
  for (std::uint16_t id = 1; id <= 2; ++id) {
    std::array<std::uint8_t, auth::kKeyOctets> secret{};
    secret.fill(static_cast<std::uint8_t>(id * 64 + segment % 64));
    ring.emplace_back(auth::KeyId(id), secret);
  }
  if (chance(0.5)) std::swap(ring.front(), ring.back());
  return std::make_shared<auth::KeyRing>(std::move(ring));
}

/// What an access port asks of its stations: a quarter of the ports require signatures, a quarter accept them.
auth::Mode World::port_mode(unsigned segment) const {
  if (segment % 4 >= 2) return auth::Mode::kOff;
  bool any_legacy = false;
  for (unsigned i = 0; i < parameters_.hosts_per_port; ++i)
    any_legacy = any_legacy || is_legacy(segment * parameters_.hosts_per_port + i);
  return segment % 4 == 1 && !any_legacy ? auth::Mode::kRequire : auth::Mode::kAccept;
}

/// A legacy station has no keys; behind a port that accepts signatures some stations insist on them, some do not sign.
auth::Mode World::host_mode(unsigned host) const {
  const auth::Mode port = port_mode(segment_of(host));
  if (port == auth::Mode::kOff || is_legacy(host)) return auth::Mode::kOff;
  if (port == auth::Mode::kRequire) return host % 2 == 0 ? auth::Mode::kAccept : auth::Mode::kRequire;
  return host % 3 == 0 ? auth::Mode::kOff : host % 3 == 1 ? auth::Mode::kAccept : auth::Mode::kRequire;
}

nnved::AgentConfig World::switch_config(const Node& node) {
  nnved::AgentConfig config;
  config.system = system_of(true, node.index);
  for (unsigned p = 0; p < 2 * parameters_.ports_per_switch; ++p) {
    const unsigned segment = node.index * parameters_.ports_per_switch + p % parameters_.ports_per_switch;
    const bool second = p >= parameters_.ports_per_switch;
    if (second && (!is_dual(segment) || segment >= parameters_.hosts)) continue;
    nnved::PortConfig port;
    port.id = PortId(1 + p);
    port.interface_name = "p" + std::to_string(1 + p);
    port.segment = port.interface_name;
    port.mac = port_mac({node.index, port.id});
    port.vids = {Vid(100), Vid(static_cast<std::uint16_t>(100 + parameters_.vns * 2))};
    port.authentication = {port_mode(segment), keys(segment)};
    port.takeover = nnved::Takeover::kAny;  // migrations cross ports of every kind
    config.ports.push_back(port);
  }
  nnved::PortConfig foreign;
  foreign.id = foreign_port();
  foreign.interface_name = foreign.segment = "foreign";
  foreign.mac = port_mac({node.index, foreign.id});
  foreign.vids = {Vid(100), Vid(130)};
  config.ports.push_back(foreign);
  for (unsigned v = 0; v < parameters_.vns; ++v) {
    nnved::VnConfig vn;
    vn.id = GroupId(kFirstVn + v);
    vn.alias = "vn" + std::to_string(v);
    vn.vni = kFirstVn + v;
    config.vns.push_back(vn);
  }
  config.vid_quarantine = milliseconds(500);
  config.vdp.keepalive_exponent = parameters_.keepalive_exponent;
  return config;
}

tnved::AgentConfig World::host_config(const Node& node) {
  tnved::AgentConfig config;
  config.system = system_of(false, node.index);
  config.vdp.keepalive_exponent = parameters_.keepalive_exponent;
  for (unsigned i = 0; i < uplinks_of(node.index); ++i) {
    tnved::UplinkConfig uplink;
    uplink.id = PortId(1 + i);
    uplink.interface_name = "up" + std::to_string(i);
    uplink.mac = station_mac(node.index, i);
    uplink.legacy = is_legacy(node.index);
    uplink.authentication = {host_mode(node.index), keys(segment_of(node.index))};
    if (parameters_.hosts_per_port > 1) uplink.nnve = port_mac(access_of(node.index));
    config.uplinks.push_back(uplink);
  }
  for (unsigned v = 0; v < parameters_.vns; ++v) {
    tnved::VnConfig vn;
    vn.id = GroupId(kFirstVn + v);
    vn.connect = vn.id == connected_vn(node.index);
    if (is_dual(node.index)) vn.uplinks = {PortId(1 + v % 2), PortId(2 - v % 2)};
    config.vns.push_back(vn);
  }
  return config;
}

void World::start_node(Node& node) {
  const std::uint64_t seed = random_();
  ++node.incarnation;
  node.alive = true;
  node.wake.reset();
  std::vector<agent::StoreRecord> records;
  for (const auto& [key, value] : node.store) records.push_back({key, value});
  if (node.is_switch) {
    node.nnved = std::make_unique<nnved::Agent>(switch_config(node), seed);
    node.nnved->restore(records, now_);
    authority_.reconcile({BatchId(0), node.nnved->desired_authority(), node.nnved->desired_tags()}, node.index);
    node.datapath.reconcile(node.nnved->desired_rows());
  } else {
    node.tnved = std::make_unique<tnved::Agent>(host_config(node), seed);
    node.tnved->restore(records, now_);
    node.datapath.reconcile(node.tnved->desired_rows());
  }
  for (unsigned host = 0; host < parameters_.hosts; ++host) {
    for (unsigned uplink = 0; uplink < uplinks_of(host); ++uplink) {
      if (nodes_[host]->link_up[uplink]) continue;
      if (&switch_of(host, uplink) == &node && parameters_.hosts_per_port == 1)
        node.nnved->handle_link(port_of(host, uplink), false, now_);
      if (nodes_[host].get() == &node) node.tnved->handle_link(PortId(1 + uplink), false, now_);
    }
  }
  pump(node);
}

void World::crash(Node& node) {
  ++report_.crashes;
  count(node.is_switch ? "switch-crash" : "host-crash");
  trace((node.is_switch ? "switch " : "host ") + std::to_string(node.index) + " crashes");
  node.alive = false;
  node.nnved.reset();
  node.tnved.reset();
  at(now_ + milliseconds(10 + below(490)), [this, &node] {
    start_node(node);
    // Whoever waited for an answer of the dead process asks again, as an operator's tool would.
    std::vector<std::uint64_t> lost;
    for (const auto& [asker, asked] : asked_)
      if (!node.is_switch && asked.step.host == node.index && asked.incarnation < node.incarnation)
        lost.push_back(asker);
    for (auto asker : lost) answered(asker, false, kRestarted);
  });
}

}  // namespace splitnve::sim
