// SPDX-License-Identifier: Apache-2.0
// What of the machine a daemon would miss, told before it is started. Gathering asks the kernel and leaves nothing
// behind; judging is a pure function of what was gathered.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "settings.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::daemon {

/// What a configuration asks of the machine.
struct MachineNeeds {
  std::vector<std::string> interfaces;  ///< must exist before the start; the VXLAN device is made by the daemon
  bool uplinks = false;                 ///< the interfaces are a hypervisor's uplinks, which carry full-sized frames
  host::Paths paths;
  std::vector<std::string> groups;                 ///< of the control socket
  std::string vxlan;                               ///< name of the VXLAN device
  std::uint16_t udp_port = 0;                      ///< of the tunnels
  std::optional<datapath::UnderlayAddress> local;  ///< set: this is an nNVE with a VXLAN device
  std::vector<datapath::UnderlayAddress> remotes;  ///< nNVEs that are reached through it; may repeat
};

enum class Capability : std::uint8_t { kNetAdmin, kNetRaw, kBpf, kPerfmon };

/// What the machine has. An `int` is an errno: 0 all well; an unset optional: could not be told.
struct MachineFacts {
  struct Interface {
    std::string name;
    unsigned mtu = 0;
    std::optional<Error> refusal;  ///< set: it does not exist or cannot be a port
  };
  struct Path {
    std::string path;
    std::string obstacle;  ///< the file or folder that stands in the way
    int error = 0;
  };
  struct Route {
    datapath::UnderlayAddress remote;
    int error = 0;
    unsigned mtu = 0;
  };
  /// What another tool undid of what the running daemon of this configuration had made in the kernel (S38).
  struct Loss {
    std::string where;
    std::string what;
    std::uint64_t seconds_ago = 0;
  };
  std::vector<Loss> losses;
  std::vector<Capability> missing_capabilities;
  int bpf_program = 0;                        ///< loading a trivial tc program
  std::vector<std::string> missing_bpf;       ///< helpers and map types by the kernel's names
  std::optional<int> clsact, cls_bpf, vxlan;  ///< making each in a namespace of its own
  bool btf = true;                            ///< the kernel describes its types
  bool bpffs = true;                          ///< where the pins will lie
  std::vector<Interface> interfaces;
  std::vector<Path> paths;  ///< socket, store and pins
  std::vector<std::string> missing_groups;
  std::optional<int> local_address;  ///< binding to `MachineNeeds::local`
  int udp_port = 0;                  ///< binding to `MachineNeeds::udp_port`, unless the VXLAN device is there
  std::vector<Route> routes;         ///< one per distinct remote
};

/// One line for the operator. A note stops no start and does not count as missing.
struct Finding {
  Error error;
  bool note = false;
};

/// What is missing, in the order in which it is best repaired. Empty: the daemon will start.
std::vector<Finding> judge(const MachineNeeds& needs, const MachineFacts& facts);
/// Asks the kernel. Probes that make something make it in a network namespace of a child process that ends at once.
MachineFacts gather_facts(const MachineNeeds& needs);

/// The needs that both daemons have in common.
MachineNeeds needs_of(const Settings& settings);
/// Prints the findings to stderr, a line each, and the verdict to stdout. Exit status: 0 well, 1 something is missing.
int report_machine(const std::string& config, const MachineNeeds& needs);

}  // namespace splitnve::daemon
