// SPDX-License-Identifier: Apache-2.0
// Network interfaces as the eBPF switch needs them: tc attachment, the VXLAN device, and whose ifindexes these are.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/result.hpp"
#include "splitnve/datapath/rows.hpp"
#include "splitnve/host/bpf_switch.hpp"

namespace splitnve::host::bpf {

/// The network namespace and boot in which an ifindex means something.
struct Epoch {
  std::uint64_t netns = 0;
  std::array<std::uint8_t, 16> boot{};
  friend bool operator==(const Epoch&, const Epoch&) = default;
};
Epoch current_epoch();

/// 0 if there is no such interface.
std::uint32_t ifindex_of(const std::string& name);
std::string name_of(std::uint32_t ifindex);
std::optional<std::array<std::uint8_t, 6>> mac_of_interface(const std::string& name);

/// Attaches a program at an interface's tc ingress, or replaces ours there without a gap. Returns whether the clsact
/// qdisc was made for it.
Result<bool> attach_ingress(std::uint32_t ifindex, const std::string& name, int program_fd);
/// Takes our program off; `with_clsact` takes the qdisc too, unless somebody else uses it. Nothing there is fine.
void detach_ingress(std::uint32_t ifindex, bool with_clsact);

/// What the host itself does with an interface.
struct HostUse {
  struct Vlan {
    std::string name;
    std::uint16_t vid = 0;
  };
  std::string master;       ///< the bridge, bond or team that it is a port of; a VRF changes nothing for frames
  std::vector<Vlan> vlans;  ///< the host's VLAN devices on it
  std::string filter;       ///< somebody else's tc filter in our place
};
HostUse host_use_of(std::uint32_t ifindex);
/// Empty: there is none.
std::string foreign_filter_at(std::uint32_t ifindex);
/// Why an interface in such use cannot have a role (S26); empty: it can.
std::string refusal_of(const HostUse& use, datapath::PortRole role);
unsigned mtu_of_interface(std::uint32_t ifindex);

/// The collect-metadata VXLAN device, made and brought up, or adopted if it is one. Returns its ifindex. Error: the
/// name is taken by something else, or the kernel refuses.
Result<std::uint32_t> ensure_vxlan(const BpfSwitch::Vxlan& wanted, std::uint32_t mtu);
Result<void> delete_link(std::uint32_t ifindex);

}  // namespace splitnve::host::bpf
