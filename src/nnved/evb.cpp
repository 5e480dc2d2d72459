// SPDX-License-Identifier: Apache-2.0
// LLDP of the access ports, and the timers that follow from it.
#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

Port::Port(const AgentConfig& config, std::uint32_t port_index) : ecp(config.ecp), vdp(config.vdp) {
  const PortConfig& port = config.ports[port_index];
  if (!port.evb) return;
  evb.emplace(evb::Role::kBridge,
              agent::EvbPort::Config{port.id, port.interface_name, port.mac, config.ports.front().mac, config.ecp,
                                     config.vdp, config.lldp_interval});
}

void Impl::handle_lldp(std::uint32_t port_index, Octets octets, Instant now) {
  auto& evb = ports[port_index].evb;
  if (!evb) return drop("LLDP while EVB is off");
  BoundedReader reader(octets);
  const auto ethernet = decode_ethernet(reader);
  if (!ethernet) return drop(ethernet.error().cause);
  if (!policy.admits_station(port_index, ethernet->source)) return drop("station not admitted");
  if (const auto read = evb->machine().handle_frame(octets, now); !read)
    drop(read.error().cause);
  else
    ++frames_taken;
  settle_evb(port_index, now);
}

void Impl::settle_evb(std::uint32_t port_index, Instant now) {
  agent::EvbPort& evb = *ports[port_index].evb;
  if (evb.drain(journal.effects)) adopt_timers(port_index, now);
  if (const auto at = evb.machine().next_deadline()) {
    evb_deadlines.set(port_index, *at);
  } else {
    evb_deadlines.clear(port_index);
  }
}

/// With a shorter keep-alive timeout the ages begin anew: the stations' last renewals were by the longer one.
void Impl::adopt_timers(std::uint32_t port_index, Instant now) {
  Port& port = ports[port_index];
  const bool shorter = port.evb->vdp().keepalive_timeout() < port.vdp.keepalive_timeout();
  port.ecp = port.evb->ecp();
  port.vdp = port.evb->vdp();
  peers.for_each([&](Index, Peer& peer) {
    if (peer.port_index != port_index) return;
    peer.session.set_timing(port.ecp);
    peer.exchange.set_timing({port.ecp.ack_timer(), port.vdp.keepalive_interval()});
    peer.bridge.set_decision_deadline(port.decision_deadline(config));
  });
  if (!shorter) return;
  tsis.rows().for_each([&](Index instance, const TsiRow& row) {
    if (peers[row.peer].port_index != port_index) return;
    for (AddressRow& address : tsis[instance].addresses) address.renewed = now;
    ages.set(instance, now + port.vdp.keepalive_timeout());
  });
}

void Impl::shut_down(Instant now) {
  for (std::uint32_t i = 0; i < ports.size(); ++i) {
    if (!ports[i].evb) continue;
    ports[i].evb->machine().shut_down(now);
    ports[i].evb->drain(journal.effects);
  }
}

}  // namespace splitnve::nnved
