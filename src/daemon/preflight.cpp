// SPDX-License-Identifier: Apache-2.0
#include "preflight.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "splitnve/base/limits.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/underlay.hpp"

namespace splitnve::daemon {
namespace {

/// What a VM takes for granted of Ethernet.
constexpr unsigned kFullMtu = 1500;

using Findings = std::vector<Finding>;

void miss(Findings& findings, std::string what, std::string where, std::string remedy) {
  findings.push_back({Error{std::move(what), std::move(where), std::move(remedy)}, false});
}

const char* name_of(Capability capability) {
  switch (capability) {
    case Capability::kNetAdmin: return "CAP_NET_ADMIN";
    case Capability::kNetRaw: return "CAP_NET_RAW";
    case Capability::kBpf: return "CAP_BPF";
    case Capability::kPerfmon: return "CAP_PERFMON";
  }
  return "";
}

const char* purpose_of(Capability capability) {
  switch (capability) {
    case Capability::kNetAdmin: return "to attach the switch to interfaces";
    case Capability::kNetRaw: return "to send and receive ECP frames";
    case Capability::kBpf: return "to load the switch";
    case Capability::kPerfmon: return "for the switch's access to packet memory";
  }
  return "";
}

bool lacks(const MachineFacts& facts, Capability capability) {
  const auto& missing = facts.missing_capabilities;
  return std::find(missing.begin(), missing.end(), capability) != missing.end();
}

void judge_capabilities(const MachineFacts& facts, Findings& findings) {
  for (const Capability capability : facts.missing_capabilities) {
    const bool covered = capability == Capability::kBpf || capability == Capability::kPerfmon;
    miss(findings, std::string("is missing, ") + purpose_of(capability), name_of(capability),
         covered ? "run as root, or add it to the service's capabilities; before Linux 5.8 it is CAP_SYS_ADMIN"
                 : "run as root, or add it to the service's capabilities");
  }
}

void judge_bpf(const MachineFacts& facts, Findings& findings) {
  if (facts.bpf_program == ENOSYS) {
    miss(findings, "this kernel has no BPF", "kernel", "boot one with CONFIG_BPF_SYSCALL, Linux 5.10 or newer");
  } else if (facts.bpf_program == EPERM || facts.bpf_program == EACCES) {
    // A missing capability has its own line already.
    if (!lacks(facts, Capability::kBpf) && !lacks(facts, Capability::kNetAdmin))
      miss(findings, "BPF is forbidden in spite of the capabilities", "kernel",
           "look for a seccomp filter of the service or container, and for kernel lockdown");
  } else if (facts.bpf_program != 0) {
    miss(findings, std::string("the kernel does not load a tc program: ") + std::strerror(facts.bpf_program), "kernel",
         "boot one with CONFIG_NET_CLS_BPF, Linux 5.10 or newer");
  }
  for (const auto& name : facts.missing_bpf)
    miss(findings, "this kernel lacks " + name + ", which the switch uses", "kernel", "boot Linux 5.10 or newer");
  if (!facts.btf)
    findings.push_back({Error{"this kernel has no BTF; bpftool will show rows as octets", "kernel",
                              "boot one with CONFIG_DEBUG_INFO_BTF to read them by name"},
                        true});
}

void judge_network_kernel(const MachineNeeds& needs, const MachineFacts& facts, Findings& findings) {
  const auto part = [&](std::optional<int> error, const char* what, const char* option) {
    if (!error || *error == 0) return;
    miss(findings, std::string("this kernel cannot make ") + what + ": " + std::strerror(*error), "kernel",
         std::string("load or build ") + option);
  };
  part(facts.clsact, "a clsact qdisc", "sch_ingress (CONFIG_NET_SCH_INGRESS)");
  part(facts.cls_bpf, "a BPF filter of tc", "cls_bpf (CONFIG_NET_CLS_BPF)");
  if (needs.local) part(facts.vxlan, "an external VXLAN device", "vxlan (CONFIG_VXLAN)");
}

void judge_places(const MachineNeeds& needs, const MachineFacts& facts, Findings& findings) {
  if (!facts.bpffs)
    miss(findings, "no bpffs is mounted here", needs.paths.pins, "mount -t bpf bpf /sys/fs/bpf, or correct paths.pins");
  for (const auto& path : facts.paths) {
    if (path.error == 0) continue;
    if (!facts.bpffs && path.path == needs.paths.pins) continue;
    const bool here = path.obstacle == path.path;
    miss(findings,
         (here ? "cannot be written: " : "cannot be created in " + path.obstacle + ": ") +
             std::string(std::strerror(path.error)),
         path.path,
         path.error == EROFS ? "add it to the unit's ReadWritePaths, or configure another path"
                             : "create the folder for this user, or configure another path");
  }
  for (const auto& group : facts.missing_groups)
    miss(findings, "there is no such group, which the control socket is to have", group,
         "groupadd " + group + ", or correct control.group");
}

void judge_interfaces(const MachineNeeds& needs, const MachineFacts& facts, Findings& findings) {
  for (const auto& link : facts.interfaces) {
    if (link.refusal)
      findings.push_back({*link.refusal, false});
    else if (needs.uplinks && link.mtu < kFullMtu)
      miss(findings, "the MTU of the uplink is " + std::to_string(link.mtu) + ": full-sized frames of VMs are lost",
           link.name, "ip link set " + link.name + " mtu " + std::to_string(kFullMtu) + ", on both ends");
  }
}

unsigned access_mtu(const MachineFacts& facts) {
  unsigned mtu = 0;
  for (const auto& link : facts.interfaces) mtu = std::max(mtu, link.mtu);
  return mtu == 0 ? kFullMtu : mtu;
}

void judge_underlay(const MachineNeeds& needs, const MachineFacts& facts, Findings& findings) {
  if (!needs.local) return;
  if (facts.local_address && *facts.local_address != 0)
    miss(findings, std::string("the tunnels cannot have this source: ") + std::strerror(*facts.local_address),
         needs.local->to_string(), "give the address to an underlay interface, or correct vxlan.local");
  if (facts.udp_port == EADDRINUSE)
    miss(findings, "UDP port " + std::to_string(needs.udp_port) + " is taken by another tunnel or program", needs.vxlan,
         "find it (ip -d link show type vxlan; ss -lun), or set vxlan.udp_port here and at the other nNVEs");
  const unsigned access = access_mtu(facts);
  for (const auto& route : facts.routes) {
    const std::string remote = route.remote.to_string();
    if (route.error != 0) {  // routing may come up later, and the daemon can wait for it
      findings.push_back({Error{std::string("no route to this nNVE now: ") + std::strerror(route.error), remote,
                                "check the underlay's routing"},
                          true});
      continue;
    }
    const unsigned needed = access + (route.remote.is_ipv4() ? host::kVxlanOverheadIpv4 : host::kVxlanOverheadIpv6);
    if (route.mtu < needed)
      miss(findings,
           "the underlay carries " + std::to_string(route.mtu) + " octets to this nNVE; access MTU " +
               std::to_string(access) + " and VXLAN need " + std::to_string(needed),
           remote, "raise the underlay's MTU or lower that of the access ports");
  }
}

// Made right or not: whatever did it is still on this machine and will do it to the next start as well.
void judge_losses(const MachineFacts& facts, Findings& findings) {
  for (const auto& loss : facts.losses)
    if (std::chrono::seconds(loss.seconds_ago) <= limits::kKernelMendsTime)
      miss(findings,
           "another tool on this machine changed what the running daemon needs, " + std::to_string(loss.seconds_ago) +
               " s ago: " + loss.what,
           loss.where, "find that tool and keep it away; vdpctl kernel show lists what it did");
}

}  // namespace

std::vector<Finding> judge(const MachineNeeds& needs, const MachineFacts& facts) {
  Findings findings;
  judge_capabilities(facts, findings);
  judge_bpf(facts, findings);
  judge_network_kernel(needs, facts, findings);
  judge_places(needs, facts, findings);
  judge_interfaces(needs, facts, findings);
  judge_underlay(needs, facts, findings);
  judge_losses(facts, findings);
  return findings;
}

MachineNeeds needs_of(const Settings& settings) {
  MachineNeeds needs;
  needs.paths = settings.paths;
  for (const auto& group : {settings.control.group, settings.control.admin_group})
    if (!group.empty()) needs.groups.push_back(group);
  return needs;
}

int report_machine(const std::string& config, const MachineNeeds& needs) {
  std::size_t missing = 0;
  for (const auto& finding : judge(needs, gather_facts(needs))) {
    missing += finding.note ? 0 : 1;
    std::fprintf(stderr, "%s%s\n", finding.note ? "note: " : "", host::printable(finding.error.to_string()).c_str());
  }
  if (missing == 0)
    std::printf("%s: well, and the machine has what it needs\n", config.c_str());
  else
    std::printf("%s: well, but the machine lacks %zu of what it needs\n", config.c_str(), missing);
  return missing == 0 ? 0 : 1;
}

}  // namespace splitnve::daemon
