// SPDX-License-Identifier: Apache-2.0
#include "agent/evb_port.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace splitnve::agent {
namespace {

evb::Machine::Config machine_config(evb::Role role, const EvbPort::Config& config) {
  evb::Machine::Config machine;
  machine.role = role;
  machine.own_mac = config.own_mac;
  const auto& chassis = config.chassis.octets();
  machine.chassis = {evb::LldpId::kChassisMac, OctetString(chassis.begin(), chassis.end())};
  machine.port = {evb::LldpId::kPortInterfaceName,
                  OctetString(config.interface_name.begin(), config.interface_name.end())};
  machine.values = {config.ecp.retries_max, config.ecp.retransmission_exponent, config.vdp.resource_wait_exponent,
                    config.vdp.keepalive_exponent};
  machine.interval = config.interval;
  return machine;
}

}  // namespace

SignedTimers greater_timers(const ecp::Timing& ecp, const vdp::Timing& vdp, const vdp::LocalTimers& theirs) {
  const evb::Parameters most = evb::kParametersMost;
  if (theirs.retries > most.retries || theirs.rte > most.rte || theirs.rwd > most.rwd || theirs.rka > most.rka)
    return {ecp, vdp, false};
  SignedTimers out{ecp, vdp, true};
  out.ecp.retries_max = out.vdp.retries_max = std::max<unsigned>(ecp.retries_max, theirs.retries);
  out.ecp.retransmission_exponent = out.vdp.retransmission_exponent =
      std::max<unsigned>(ecp.retransmission_exponent, theirs.rte);
  out.vdp.resource_wait_exponent = std::max<unsigned>(vdp.resource_wait_exponent, theirs.rwd);
  out.vdp.keepalive_exponent = std::max<unsigned>(vdp.keepalive_exponent, theirs.rka);
  return out;
}

std::string to_string(const vdp::LocalTimers& timers) {
  return evb::to_string(evb::Parameters{timers.retries, timers.rte, timers.rwd, timers.rka});
}

vdp::LocalTimers local_timers(const ecp::Timing& ecp, const vdp::Timing& vdp) {
  const auto octet = [](unsigned value) { return static_cast<std::uint8_t>(value); };
  return {octet(ecp.retries_max), octet(ecp.retransmission_exponent), octet(vdp.resource_wait_exponent),
          octet(vdp.keepalive_exponent), false};
}

const char* to_string_state(const evb::Operational& operational) {
  if (!operational.negotiated) return "alone";
  return operational.acceptable ? "negotiated" : "refused";
}

EvbPort::EvbPort(evb::Role role, const Config& config)
    : port_(config.port),
      interface_name_(config.interface_name),
      used_(config.used),
      machine_(machine_config(role, config)) {}

std::optional<evb::Machine::Change> EvbPort::drain(EffectQueue& effects) {
  OctetString frame;
  while (machine_.poll_frame(frame)) effects.push_back(Transmit{port_, std::exchange(frame, {})});
  std::optional<evb::Machine::Change> sum;
  while (const auto change = machine_.poll_change()) {
    report(*change, effects);
    if (!sum) sum = change;
    sum->now = change->now;
    sum->restarted = sum->restarted || change->restarted;
  }
  return sum;
}

void EvbPort::report(const evb::Machine::Change& change, EffectQueue& effects) const {
  const char* from = to_string_state(change.before);
  const char* to = to_string_state(change.now);
  if (std::strcmp(from, to) != 0) effects.push_back(Transition{"evb", interface_name_, from, to, change.reason});
  if (!used_) return;
  if (!change.now.acceptable)
    effects.push_back(Notice{"EVB_REFUSED", Notice::Level::kWarning, "port=" + interface_name_ + " " + refusal()});
  else if (change.now.values != change.before.values)
    effects.push_back(
        Notice{"EVB_TIMERS", Notice::Level::kInfo,
               "port=" + interface_name_ + " now " + evb::to_string(change.now.values) + ": " + change.reason});
}

std::string EvbPort::refusal() const {
  const evb::Operational& runs = machine_.operational();
  if (runs.acceptable) return "";
  return "the timers of the EVB neighbour on " + interface_name_ + " are beyond what is allowed here (" +
         evb::to_string(runs.values) + "; at most " + evb::to_string(evb::kParametersMost) + "): lower them there";
}

ecp::Timing EvbPort::ecp() const {
  const evb::Operational& runs = machine_.operational();
  const evb::Parameters& values = runs.acceptable ? runs.values : machine_.config().values;
  return {values.retries, values.rte};
}

vdp::Timing EvbPort::vdp() const {
  const evb::Operational& runs = machine_.operational();
  const evb::Parameters& values = runs.acceptable ? runs.values : machine_.config().values;
  return {values.retries, values.rte, values.rwd, values.rka};
}

}  // namespace splitnve::agent
