// SPDX-License-Identifier: Apache-2.0
#include "agent_pair.hpp"

#include <algorithm>
#include <chrono>
#include <type_traits>
#include <variant>

namespace splitnve::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kVns = 100, kFirstVn = 70000;
constexpr std::uint32_t kTsisAtOnce = 400;  // as a request of the bench
constexpr std::size_t kWorkBudget = 64;     // as the driver's
constexpr PortId kPort = PortId(1);

VsiId vsi_of_agent(std::uint32_t n) {
  VsiId vsi;
  for (unsigned byte = 0; byte < 4; ++byte) vsi.octets[12 + byte] = static_cast<std::uint8_t>(n >> (24 - 8 * byte));
  return vsi;
}

tnved::AgentConfig station() {
  tnved::AgentConfig config;
  config.system[0] = 1;
  tnved::UplinkConfig uplink;
  uplink.id = kPort;
  uplink.interface_name = "up0";
  uplink.mac = MacAddress(0x020000000001u);
  config.uplinks.push_back(uplink);
  return config;
}

nnved::AgentConfig bridge() {
  nnved::AgentConfig config;
  config.system[0] = 2;
  nnved::PortConfig port;
  port.id = kPort;
  port.interface_name = port.segment = "p1";
  port.mac = MacAddress(0x020100000001u);
  config.ports.push_back(port);
  for (std::uint32_t n = 0; n < kVns; ++n) {
    nnved::VnConfig vn;
    vn.id = GroupId(kFirstVn + n);
    vn.alias = "vn" + std::to_string(n);
    vn.vni = kFirstVn + n;
    config.vns.push_back(vn);
  }
  return config;
}

}  // namespace

AgentPair::AgentPair() : tnved_(station(), 1), nnved_(bridge(), 2) {
  nnved_.restore({}, now_);
  tnved_.restore({}, now_);
  run_until(now_ + seconds(1));  // they get to know each other
}

template <class Agent>
bool AgentPair::drain(Agent& agent, std::deque<OctetString>& wire) {
  bool any = false;
  while (auto effect = agent.poll_effect()) {
    any = true;
    if (auto* sent = std::get_if<agent::Transmit>(&*effect))
      wire.push_back(std::move(sent->frame));
    else if (const auto* program = std::get_if<agent::Program>(&*effect))
      agent.handle_result({program->batch, {}, {}}, now_);
    else if (const auto* persist = std::get_if<agent::Persist>(&*effect))
      agent.handle_result({persist->batch, {}, {}}, now_);
    else if (const auto* publish = std::get_if<agent::Publish>(&*effect))
      agent.handle_result(authority_.handle(*publish), now_);
  }
  return any;
}

/// One turn of both; false if neither had anything to do.
bool AgentPair::exchange() {
  bool any = tnved_.handle_work(kWorkBudget, now_);
  any = drain(tnved_, up_) || any;
  for (; !up_.empty(); up_.pop_front(), any = true) {
    nnved_.handle_frame(kPort, up_.front(), now_);
    drain(nnved_, down_);
  }
  any = nnved_.handle_work(kWorkBudget, now_) || any;
  any = drain(nnved_, down_) || any;
  for (; !down_.empty(); down_.pop_front(), any = true) {
    tnved_.handle_frame(kPort, down_.front(), now_);
    drain(tnved_, up_);
  }
  return any || !up_.empty();
}

void AgentPair::settle() {
  while (exchange()) {
  }
}

void AgentPair::run_until(Instant end) {
  settle();
  while (true) {
    const auto next = earliest(tnved_.next_deadline(), nnved_.next_deadline());
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    if (tnved_.next_deadline() && *tnved_.next_deadline() <= now_) tnved_.handle_time(now_);
    if (nnved_.next_deadline() && *nnved_.next_deadline() <= now_) nnved_.handle_time(now_);
    settle();
  }
  now_ = end;
}

void AgentPair::tell(tnved::Verb verb, std::uint32_t n) {
  tnved::LifecycleEvent event;
  event.verb = verb;
  event.vsi = vsi_of_agent(n);
  if (verb == tnved::Verb::kCreate) {
    event.vn = GroupId(kFirstVn + n % kVns);
    event.macs = {MacAddress(0x02AA00000000u + n)};
    event.interface_name = "trunk0";
    event.guest_tag = Vid(static_cast<std::uint16_t>(1000 + n % kVns));
    event.starts = true;  // as tsi.apply asks
  }
  tnved_.handle_event(event, now_);
}

std::uint32_t AgentPair::nnved_tsis() const {
  std::uint32_t active = 0;
  for (std::uint32_t slot = 0; slot < nnved_.tsi_slots(); ++slot) {
    const auto tsi = nnved_.tsi(slot);
    active += tsi && tsi->state == nnved::TsiState::kActivated ? 1 : 0;
  }
  return active;
}

std::uint32_t AgentPair::associate(std::uint32_t count) {
  for (std::uint32_t n = 0; n < count; ++n) {
    tell(tnved::Verb::kCreate, n);
    if (n % kTsisAtOnce == kTsisAtOnce - 1 || n + 1 == count) run_until(now_ + milliseconds(1));
  }
  return nnved_tsis();
}

std::uint32_t AgentPair::lookup(std::uint32_t count) {
  std::uint32_t found = 0;
  for (std::uint32_t n = 0; n < count; ++n) {
    const auto slot = tnved_.find(vsi_of_agent(n));
    found += slot && tnved_.tsi(*slot)->vsi == vsi_of_agent(n) ? 1 : 0;
  }
  return found;
}

std::uint32_t AgentPair::keepalive(std::uint32_t) {
  const auto before = tnved_.peers().front().keepalives;
  run_until(now_ + vdp::Timing().keepalive_interval());
  return static_cast<std::uint32_t>(tnved_.peers().front().keepalives - before);
}

std::uint32_t AgentPair::removal(std::uint32_t count) {
  const std::uint32_t before = nnved_tsis();
  for (std::uint32_t n = 0; n < count; ++n) {
    tell(tnved::Verb::kShutdown, n);
    if (n % kTsisAtOnce == kTsisAtOnce - 1 || n + 1 == count) run_until(now_ + milliseconds(1));
  }
  return before - nnved_tsis();
}

}  // namespace splitnve::bench
