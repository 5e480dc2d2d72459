// SPDX-License-Identifier: Apache-2.0
// What both agents share: EVB on one of their ports.
#pragma once
#include <optional>
#include <string>

#include "splitnve/agent/effects.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/evb/machine.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "splitnve/vdp/timers.hpp"

namespace splitnve::agent {

/// The EVB machine of a port, and the way from what it says to effects and timers. After any call of the machine, call
/// drain().
class EvbPort {
 public:
  struct Config {
    PortId port;
    std::string interface_name;
    MacAddress own_mac;
    MacAddress chassis;  ///< one for all ports of the agent
    ecp::Timing ecp;     ///< our own values, from the configuration
    vdp::Timing vdp;
    Duration interval = evb::kLldpInterval;
    bool used = true;  ///< false: what the neighbour says is shown only, since a signature is required
  };
  EvbPort(evb::Role role, const Config& config);

  evb::Machine& machine() { return machine_; }
  const evb::Machine& machine() const { return machine_; }

  /// Moves frames, transitions and notices into `effects`. The sum of what changed, if anything did.
  std::optional<evb::Machine::Change> drain(EffectQueue& effects);

  /// The timers that hold: the operational ones, or our own while the neighbour's are refused.
  ecp::Timing ecp() const;
  vdp::Timing vdp() const;
  /// Why VDP is not spoken with this neighbour (S19); empty: it is.
  std::string refusal() const;

 private:
  void report(const evb::Machine::Change& change, EffectQueue& effects) const;

  PortId port_;
  std::string interface_name_;
  bool used_;
  evb::Machine machine_;
};

/// A port with EVB, as the control socket shows it. The machine lives as long as its agent.
struct EvbView {
  std::string interface_name;
  const evb::Machine* machine = nullptr;
};

/// What two sides come to whose capabilities are signed: the greater of each value (S40).
struct SignedTimers {
  ecp::Timing ecp;
  vdp::Timing vdp;
  bool acceptable = true;  ///< false: the other side's are beyond what is allowed here, and ours stand above
};
SignedTimers greater_timers(const ecp::Timing& ecp, const vdp::Timing& vdp, const vdp::LocalTimers& theirs);
std::string to_string(const vdp::LocalTimers& timers);

/// Our own timers as capabilities tell them.
vdp::LocalTimers local_timers(const ecp::Timing& ecp, const vdp::Timing& vdp);

/// alone, negotiated, refused.
const char* to_string_state(const evb::Operational& operational);

}  // namespace splitnve::agent
