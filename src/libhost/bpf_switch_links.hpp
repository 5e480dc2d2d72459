// SPDX-License-Identifier: Apache-2.0
// Network interfaces as the eBPF switch needs them: the VXLAN device, and whose ifindexes these are.
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

/// An interface as rtnetlink describes it.
struct Link {
  std::uint32_t ifindex = 0;
  std::string name;
  std::vector<std::string> alternative_names;
  std::string kind;
  std::uint32_t master = 0;
  std::uint32_t lower = 0;  ///< of a VLAN device: what it stands on
  std::uint16_t vid = 0;
  std::uint32_t mtu = 0;
  bool up = false;  ///< administratively
  std::array<std::uint8_t, 6> mac{};
  bool xdp = false;  ///< an XDP program sees its frames first
  // Of a VXLAN device.
  bool collect_metadata = false;
  bool learning = false;
  bool other_header = false;  ///< GPE or GBP, which our peers do not speak
  std::uint16_t udp_port = 0;
  std::optional<datapath::UnderlayAddress> local;

  bool has_name(const std::string& wanted) const;
};
/// 0, or an errno: ENODEV says that there is no such interface, every other that the kernel did not say.
int find_link(std::uint32_t ifindex, Link& found);
int find_link(const std::string& name, Link& found);
/// Takes XDP programs off, whatever their mode. False: one is left, which an open descriptor holds there.
bool detach_xdp(std::uint32_t ifindex);
/// 0 or an errno.
int set_up(std::uint32_t ifindex, bool up);

/// What the host itself does with an interface.
struct HostUse {
  struct Vlan {
    std::string name;
    std::uint16_t vid = 0;
  };
  std::string master;       ///< the bridge, bond or team that it is a port of; a VRF changes nothing for frames
  std::vector<Vlan> vlans;  ///< the host's VLAN devices on it
  std::string filter;       ///< somebody else's tc filter in our place
  std::string instance;     ///< the pin root of another instance that serves it, or words for an unknown one
};
/// Bridges and VLAN devices; not `filter` and `instance`.
HostUse host_use_of(const Link& link);
/// Why an interface in such use cannot have a role (S26); empty: it can.
std::string refusal_of(const HostUse& use, datapath::PortRole role);
unsigned mtu_of_interface(std::uint32_t ifindex);

/// How a device differs from the VXLAN device that is wanted; empty: it does not.
std::string vxlan_difference(const Link& found, const BpfSwitch::Vxlan& wanted, std::uint32_t mtu);
/// The collect-metadata VXLAN device, made and brought up, or adopted if it is one. Returns its ifindex. Another VXLAN
/// device of the name is made anew if `replace`. Error: the name is taken by something else, or the kernel refuses.
Result<std::uint32_t> ensure_vxlan(const BpfSwitch::Vxlan& wanted, std::uint32_t mtu, bool replace);
Result<void> delete_link(std::uint32_t ifindex);

}  // namespace splitnve::host::bpf
