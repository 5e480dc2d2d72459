// SPDX-License-Identifier: Apache-2.0
#include "hosts.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "daemon.hpp"
#include "load.hpp"
#include "splitnve/ecp/header.hpp"
#include "splitnve/host/loop.hpp"
#include "splitnve/vdp/codec.hpp"

namespace splitnve::bench {
namespace {

constexpr std::uint64_t kFirstMac = 0x022000000000u;  // of hosts
constexpr std::uint64_t kFirstVmMac = 0x022100000000u;
constexpr std::uint64_t kSwitchMac = 0x020100000001u;  // of p1; as bench.sh sets it
constexpr Duration kTimersEvery = std::chrono::milliseconds(5);
constexpr PortId kUplink = PortId(1);

Instant now_at() { return host::Loop::now(); }

std::uint32_t low_word(Octets octets) {
  std::uint32_t value = 0;
  for (std::size_t n = octets.size() - 4; n < octets.size(); ++n) value = value << 8 | octets[n];
  return value;
}

VsiId vsi_of_host(std::uint32_t host, std::uint32_t n) {
  VsiId vsi;
  vsi.octets[0] = 0xBE;
  for (unsigned byte = 0; byte < 4; ++byte) {
    vsi.octets[8 + byte] = static_cast<std::uint8_t>(host >> (24 - 8 * byte));
    vsi.octets[12 + byte] = static_cast<std::uint8_t>(n >> (24 - 8 * byte));
  }
  return vsi;
}

tnved::AgentConfig config_of(std::uint32_t host) {
  tnved::AgentConfig config;
  for (unsigned byte = 0; byte < 4; ++byte)
    config.system[12 + byte] = static_cast<std::uint8_t>(host >> (24 - 8 * byte));
  config.system[0] = 0xBE;
  config.ecp = {3, 14};
  config.vdp = {3, 14, 20, 20};
  config.start_deadline = std::chrono::minutes(5);
  tnved::UplinkConfig uplink;
  uplink.id = kUplink;
  uplink.interface_name = "up0";
  uplink.mac = MacAddress(kFirstMac + host);
  uplink.nnve = MacAddress(kSwitchMac + host / kHostsPerPort);  // the hosts of a veth do not listen to each other
  config.uplinks.push_back(uplink);
  return config;
}

}  // namespace

Hosts::Hosts(std::uint32_t hosts, std::uint32_t tsis_each) : tsis_each_(tsis_each), hosts_(hosts) {
  if (hosts > kStormPorts * kHostsPerPort) give_up("at most " + std::to_string(kStormPorts * kHostsPerPort) + " hosts");
  for (std::size_t n = 0; n < kStormPorts; ++n) {
    auto port = host::FramePort::open("s" + std::to_string(n));
    if (!port) give_up(port.error().to_string());
    ports_[n] = std::move(*port);
  }
  for (std::uint32_t n = 0; n < hosts; ++n) {
    hosts_[n].agent = std::make_unique<tnved::Agent>(config_of(n), 1 + n);
    hosts_[n].port = n / kHostsPerPort;
    hosts_[n].agent->restore({}, now_at());
  }
  forget_answers();
}

void Hosts::start_vms() {
  const Instant now = now_at();
  for (std::uint32_t h = 0; h < hosts_.size(); ++h) {
    for (std::uint32_t n = 0; n < tsis_each_; ++n) {
      tnved::LifecycleEvent event;
      event.verb = tnved::Verb::kCreate;
      event.vsi = vsi_of_host(h, n);
      event.vn = GroupId(kFirstVn + (h * tsis_each_ + n) % kVns);
      event.macs = {MacAddress(kFirstVmMac + h * 0x10000u + n)};
      event.interface_name = "tap" + std::to_string(n);
      hosts_[h].agent->handle_event(event, now);
      event = {};
      event.verb = tnved::Verb::kStart;
      event.vsi = vsi_of_host(h, n);
      hosts_[h].agent->handle_event(event, now);
    }
    pump(hosts_[h], now);
  }
  flush();
}

void Hosts::set_links(bool up) {
  const Instant now = now_at();
  for (Host& host : hosts_) {
    host.agent->handle_link(kUplink, up, now);
    pump(host, now);
  }
  flush();
}

void Hosts::forget_answers() {
  for (Host& host : hosts_) {
    host.answered.assign(tsis_each_, false);
    host.open = tsis_each_;
  }
  unfinished_ = static_cast<std::uint32_t>(hosts_.size());
}

bool Hosts::run(double seconds) {
  const auto begun = Clock::now();
  while (unfinished_ > 0 && seconds_since(begun) < seconds) {
    std::array<pollfd, kStormPorts> waiting{};
    for (std::size_t n = 0; n < kStormPorts; ++n) waiting[n] = {ports_[n]->fd(), POLLIN, 0};
    poll(waiting.data(), waiting.size(), 2);
    const Instant now = now_at();
    for (std::size_t n = 0; n < kStormPorts; ++n)
      if ((waiting[n].revents & POLLIN) != 0) receive(n, now);
    for (const std::uint32_t which : touched_) {
      hosts_[which].touched = false;
      pump(hosts_[which], now);
    }
    touched_.clear();
    if (now - looked_ >= kTimersEvery) wake(now);
    flush();
  }
  return unfinished_ == 0;
}

void Hosts::receive(std::size_t port, Instant now) {
  ports_[port]->receive([&](Octets frame) {
    if (frame.size() < 6) return;
    MacAddress::Bytes destination{};
    std::copy_n(frame.begin(), destination.size(), destination.begin());
    const std::uint64_t which = low_word(destination);
    if (which >= hosts_.size() || MacAddress(destination) != MacAddress(kFirstMac + which)) return;
    Host& host = hosts_[which];
    take_answers(host, frame, now);
    host.agent->handle_frame(kUplink, frame, now);
    if (!std::exchange(host.touched, true)) touched_.push_back(static_cast<std::uint32_t>(which));
  });
}

void Hosts::take_answers(Host& host, Octets octets, Instant now) {
  const auto frame = ecp::decode_frame(octets);
  if (host.open == 0 || !frame || frame->operation != ecp::Operation::kRequest) return;
  vdp::VdpduReader reader(frame->payload);
  if (!reader.manager()) return;
  while (const auto tlv = reader.next()) {
    if (!*tlv) break;
    if (!vdp::is_association(static_cast<vdp::TlvType>((*tlv)->type))) continue;
    const auto association = vdp::decode_association(**tlv);
    if (!association || !association->is_response() || association->command != vdp::TlvType::kAssociate) continue;
    const std::uint32_t n = low_word(association->vsi.octets);
    if (!vdp::ResponseStatus::from_octet(association->status).success() || n >= tsis_each_ || host.answered[n])
      continue;
    host.answered[n] = true;
    if (--host.open > 0) continue;
    host.completed = now;
    --unfinished_;
  }
}

void Hosts::pump(Host& host, Instant now) {
  for (bool more = true; more;) {
    more = host.agent->handle_work(host::kFrameBatchMax, now);
    while (auto effect = host.agent->poll_effect()) {
      carry_out(host, std::move(*effect), now);
      more = true;
    }
  }
}

void Hosts::carry_out(Host& host, agent::Effect effect, Instant now) {
  if (auto* sent = std::get_if<agent::Transmit>(&effect))
    to_send_[host.port].push_back(std::move(sent->frame));
  else if (const auto* program = std::get_if<agent::Program>(&effect))
    host.agent->handle_result({program->batch, {}, {}}, now);
  else if (const auto* persist = std::get_if<agent::Persist>(&effect))
    host.agent->handle_result({persist->batch, {}, {}}, now);
}

void Hosts::wake(Instant now) {
  looked_ = now;
  for (Host& host : hosts_) {
    const auto deadline = host.agent->next_deadline();
    if (!deadline || *deadline > now) continue;
    host.agent->handle_time(now);
    pump(host, now);
  }
}

void Hosts::flush() {
  for (std::size_t n = 0; n < kStormPorts; ++n) {
    ports_[n]->send(to_send_[n]);
    to_send_[n].clear();
  }
}

std::vector<double> Hosts::completed_after(Instant begun) const {
  std::vector<double> seconds;
  for (const Host& host : hosts_) seconds.push_back(std::chrono::duration<double>(host.completed - begun).count());
  return seconds;
}

}  // namespace splitnve::bench
