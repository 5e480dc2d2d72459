// SPDX-License-Identifier: Apache-2.0
// LLDP of the access ports, and the timers that follow from it.
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

Port::Port(const AgentConfig& config, std::uint32_t port_index) : ecp(config.ecp), vdp(config.vdp) {
  const PortConfig& port = config.ports[port_index];
  uses_evb = port.authentication.mode != auth::Mode::kRequire;
  if (!port.evb) return;
  evb.emplace(evb::Role::kBridge,
              agent::EvbPort::Config{port.id, port.interface_name, port.mac, config.ports.front().mac, config.ecp,
                                     config.vdp, config.lldp_interval, uses_evb});
}

void Impl::handle_lldp(std::uint32_t port_index, Octets octets, Instant now) {
  note_lldp_bridge(port_index, octets, now);
  auto& evb = ports[port_index].evb;
  if (!evb) return drop("LLDP while EVB is off");
  BoundedReader reader(octets);
  const auto ethernet = decode_ethernet(reader);
  if (!ethernet) return drop(ethernet.error().cause);
  if (!policy.admits_station(port_index, ethernet->source)) return drop("station not admitted");
  if (!ports[port_index].lldp.take(now)) return drop("LLDP more often than a port's neighbour sends it");
  if (const auto read = evb->machine().handle_frame(octets, now); !read)
    drop(read.error().cause);
  else
    ++frames_taken;
  settle_evb(port_index, now);
}

void Impl::settle_evb(std::uint32_t port_index, Instant now) {
  agent::EvbPort& evb = *ports[port_index].evb;
  if (evb.drain(journal.effects) && ports[port_index].uses_evb) adopt_timers(port_index, now);
  if (const auto at = evb.machine().next_deadline()) {
    evb_deadlines.set(port_index, *at);
  } else {
    evb_deadlines.clear(port_index);
  }
}

/// With a shorter keep-alive timeout the ages begin anew: the stations' last renewals were by the longer one.
void Impl::adopt_timers(std::uint32_t port_index, Instant now) {
  Port& port = ports[port_index];
  const Duration before = port.vdp.keepalive_timeout();
  const unsigned rka = port.vdp.keepalive_exponent;
  port.ecp = port.evb->ecp();
  port.vdp = port.evb->vdp();
  // Anybody can say goodbye in the neighbour's name: who renews by the longer interval is not aged by the shorter one.
  if (port.up && !port.evb->machine().operational().negotiated)
    port.vdp.keepalive_exponent = std::max(port.vdp.keepalive_exponent, rka);
  for (const Index member : port.members) {
    Peer& peer = peers[member];
    peer.session.set_timing(port.ecp);
    peer.exchange.set_timing({port.ecp.ack_timer(), port.vdp.keepalive_interval()});
    peer.bridge.set_decision_deadline(port.decision_deadline(config));
    if (port.vdp.keepalive_timeout() < before) peer.renewed_since = now;
  }
}

/// A station that has told its own interval is not aged by a shorter one, whatever LLDP on its port comes to.
vdp::Timing Impl::timing_of(const Peer& peer) const {
  if (peer.timers) return peer.timers->vdp;
  vdp::Timing timing = ports[peer.port_index].vdp;
  const auto& shown = peer.exchange.peer();
  if (shown && shown->has_timers() && shown->timers.rka <= evb::kParametersMost.rka)
    timing.keepalive_exponent = std::max<unsigned>(timing.keepalive_exponent, shown->timers.rka);
  return timing;
}

/// The timers of a station that has to sign: the greater of its own and ours, unless that is beyond our bound.
void Impl::adopt_signed_timers(Index index, Instant now) {
  Peer& peer = peers[index];
  const auto& shown = peer.exchange.peer();
  if (ports[peer.port_index].uses_evb || !shown || !shown->has_timers()) return;
  const Duration before = timing_of(peer).keepalive_timeout();
  peer.timers = agent::greater_timers(config.ecp, config.vdp, shown->timers);
  peer.session.set_timing(peer.timers->ecp);
  peer.exchange.set_timing({peer.timers->ecp.ack_timer(), peer.timers->vdp.keepalive_interval()});
  if (peer.timers->vdp.keepalive_timeout() < before) peer.renewed_since = now;
}

/// Does its timing lie beyond our bound, so that nothing new is granted to it?
bool Impl::refuses_timers(const Peer& peer) const {
  return (peer.timers && !peer.timers->acceptable) || ports[peer.port_index].refuses_timers();
}

std::string Impl::timers_in_words(const Peer& peer) const {
  const bool its_own = peer.timers && !peer.timers->acceptable;
  return its_own ? agent::to_string(peer.exchange.peer()->timers) : ports[peer.port_index].timers();
}

void Impl::shut_down(Instant now) {
  for (std::uint32_t i = 0; i < ports.size(); ++i) {
    if (!ports[i].evb) continue;
    ports[i].evb->machine().shut_down(now);
    ports[i].evb->drain(journal.effects);
  }
}

}  // namespace splitnve::nnved
