// SPDX-License-Identifier: Apache-2.0
// What the switch made in the kernel, compared with what shall be there (S38): other tools remove qdiscs, put filters
// before ours, delete the VXLAN device or lower an MTU, and nobody else would notice.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bpf_switch_state.hpp"
#include "splitnve/host/bpf_switch.hpp"

namespace splitnve::host {

const char* to_string(KernelPart part) {
  switch (part) {
    case KernelPart::kInterface: return "interface_replaced";
    case KernelPart::kFilter: return "program_lost";
    case KernelPart::kForeignProgram: return "program_replaced";
    case KernelPart::kForeignBefore: return "foreign_before";
    case KernelPart::kForeignXdp: return "foreign_xdp";
    case KernelPart::kPortRow: return "port_row_changed";
    case KernelPart::kTables: return "table_changed";
    case KernelPart::kClaim: return "port_claimed";
    case KernelPart::kTunnel: return "tunnel_changed";
    case KernelPart::kUnderlayMtu: return "underlay_mtu";
    case KernelPart::kUnderlayAddress: return "underlay_address";
    case KernelPart::kPins: return "pins_lost";
    case KernelPart::kUnread: return "looks_failed";
    case KernelPart::kCount_: break;
  }
  return "";
}

namespace {

constexpr std::size_t kLinkLocalsExamined = 4096;

KernelFault fault(KernelPart part, const std::string& where, std::string what) {
  return {part, where, std::move(what), false, std::nullopt};
}

KernelFault unread(const std::string& where, const std::string& why) {
  return fault(KernelPart::kUnread, where, "cannot be looked at now: " + why);
}

// Who decides before our program, in words.
std::string who_is_before(const bpf::Ingress& ingress) {
  if (ingress.netkit) return "a netkit program";
  if (ingress.shared) return "a block of filters that other interfaces share";
  if (!ingress.tcx.empty()) return "TCX program " + std::to_string(ingress.tcx.front());
  const auto& first = ingress.filters.front();
  return "filter " + first.name + " at priority " + std::to_string(first.priority);
}

}  // namespace

void BpfSwitch::State::examine_ingress(const bpf::Link& link, const std::string& name, Program program,
                                       std::optional<PortId> port, bool mend, KernelFaults& faults) {
  auto ingress = bpf::read_ingress(link.ifindex);
  if (!ingress) return faults.push_back(unread(name, ingress.error().what));
  if (const auto* claim = ingress->claim()) {
    auto found = fault(KernelPart::kClaim, name, "another instance, " + claim->owner() + ", was started on this port");
    if (mend) bpf::remove_claim(link.ifindex);
    found.mended = mend;
    faults.push_back(std::move(found));
  }
  const auto id = bpf::program_id(object->program_fd(program));
  const auto* ours = ingress->ours();
  std::optional<KernelFault> found;
  if (ours == nullptr && (ingress->tcx.empty() || ingress->tcx.front() != id))
    found = fault(KernelPart::kFilter, name, "our program is not attached any more");
  else if (ours != nullptr && ours->program != id)
    found = fault(KernelPart::kForeignProgram, name, "another program stands in our place: " + ours->name);
  else if (!is_in_front(*ingress, program))
    found = fault(KernelPart::kForeignBefore, name, who_is_before(*ingress) + " stands before our program");
  else if (ours == nullptr)
    found = fault(KernelPart::kFilter, name, "our filter is not attached any more");
  if (!found) return;
  found->exposed = port;
  if (mend) {
    const auto cause = attach(link, program, nullptr);
    ingress = bpf::read_ingress(link.ifindex);
    found->mended = cause.empty() && ingress && is_in_front(*ingress, program);
    if (!found->mended) found->what += cause.empty() ? "" : "; " + cause;
  }
  faults.push_back(std::move(*found));
}

void BpfSwitch::State::examine_port_row(PortId port, const bpf::Link& link, bool mend, KernelFaults& faults) {
  const auto* bound = ports.find(port);
  bpf::switch_port entry{};
  const bool there = maps().ports.get(link.ifindex, entry) && entry.port == port.value() &&
                     entry.role == static_cast<std::uint32_t>(bound->role);
  if (there && std::equal(link.mac.begin(), link.mac.end(), entry.mac)) return;
  auto found = fault(KernelPart::kPortRow, bound->name,
                     there ? "the MAC address is another one now" : "the programs do not know the port any more");
  if (!there) found.exposed = port;
  if (mend) {
    if (!there) entry = bound->entry;
    std::copy(link.mac.begin(), link.mac.end(), entry.mac);
    found.mended = maps().ports.put(link.ifindex, entry) && refresh_own_addresses().has_value();
  }
  faults.push_back(std::move(found));
}

KernelFaults BpfSwitch::examine(PortId port, bool mend) {
  KernelFaults faults;
  const auto* bound = state_ ? state_->ports.find(port) : nullptr;
  bpf::Link link;
  if (bound == nullptr || !bound->attached) return faults;
  if (const int error = bpf::find_link(bound->ifindex, link); error != 0) {
    if (error != ENODEV) faults.push_back(unread(bound->name, std::strerror(error)));
    return faults;  // of an interface that is gone, the link monitor tells
  }
  const bool is_vm = bound->role == datapath::PortRole::kVm;
  state_->examine_port_row(port, link, mend, faults);
  state_->examine_ingress(link, bound->name, bpf::program_of(bound->role), is_vm ? std::optional(port) : std::nullopt,
                          mend, faults);
  if (!link.xdp) return faults;
  auto found = fault(KernelPart::kForeignXdp, bound->name, "an XDP program sees its frames before ours");
  if (is_vm) {  // a VM's interface is ours alone; what the host does with its own is its affair
    found.exposed = port;
    found.mended = mend && bpf::detach_xdp(link.ifindex);
  }
  faults.push_back(std::move(found));
  return faults;
}

void BpfSwitch::State::examine_tunnel(bool mend, KernelFaults& faults) {
  const auto& name = config.vxlan->name;
  bpf::Link link;
  const int error = bpf::find_link(name, link);
  if (error != 0 && error != ENODEV) return faults.push_back(unread(name, std::strerror(error)));
  std::string difference;
  if (error == ENODEV)
    difference = "the VXLAN device is not there";
  else if (link.ifindex != vxlan_ifindex)
    difference = "another device has the name now";
  else
    difference = bpf::vxlan_difference(link, *config.vxlan, vxlan_mtu);
  if (!difference.empty()) {
    auto found = fault(KernelPart::kTunnel, name, difference);
    if (mend) {
      // Under another name it would keep the UDP port from the new one.
      if (bpf::Link renamed; error == ENODEV && bpf::find_link(vxlan_ifindex, renamed) == 0 && renamed.kind == "vxlan")
        bpf::delete_link(vxlan_ifindex);
      const auto made = bpf::ensure_vxlan(*config.vxlan, vxlan_mtu, true);
      if (made) {
        vxlan_ifindex = own_settings.vxlan_ifindex = *made;
        const auto attached = attach_tunnel();
        found.mended = attached.has_value() && maps().settings.put(0, own_settings);
        if (!attached) found.what += "; " + attached.error().to_string();
      } else {
        found.what += "; " + made.error().to_string();
      }
    }
    faults.push_back(std::move(found));
    return;
  }
  examine_ingress(link, name, Program::kTunnel, std::nullopt, mend, faults);
}

void BpfSwitch::State::set_tunnel_mtu(unsigned mtu) {
  mtu = std::min(mtu, 65535u);
  if (own_settings.tunnel_mtu == mtu) return;
  own_settings.tunnel_mtu = static_cast<std::uint16_t>(mtu);
  maps().settings.put(0, own_settings);
}

// The tables that no row of an agent stands for: what all ports share. Whoever writes into our maps is found here.
void BpfSwitch::State::examine_tables(bool mend, KernelFaults& faults) {
  bpf::switch_settings actual{};
  const bool settings_differ = !maps().settings.get(0, actual) || !bpf::OctetEqual()(actual, own_settings);
  const auto addresses = examine_own_addresses(mend);
  const auto vnis = examine_vnis(mend);
  // This is done on the loop, by a timer too: a table of many is left to the reconcile at a start.
  const bool few = link_locals.size() <= kLinkLocalsExamined;
  const auto locals = few ? link_locals.examine(maps().link_locals, mend) : Result<std::size_t>(0u);
  if (!addresses || !vnis || !locals)
    return faults.push_back(unread(bpf::owner_name(config.pin_root), "the kernel does not say what our tables hold"));
  std::string what = settings_differ ? "settings" : "";
  const auto add = [&](std::size_t count, const char* table) {
    if (count != 0) what += (what.empty() ? "" : ", ") + std::to_string(count) + " of " + table;
  };
  add(*addresses, "own_addresses");
  add(*vnis, "vnis");
  add(*locals, "link_locals");
  if (what.empty()) return;
  auto found = fault(KernelPart::kTables, bpf::owner_name(config.pin_root), "rows missing or modified: " + what);
  found.mended = mend && (!settings_differ || maps().settings.put(0, own_settings));
  faults.push_back(std::move(found));
}

// Neither an address nor an MTU of the underlay is ours to set: it is told, and what does not fit is dropped and
// counted instead of being fragmented in silence.
void BpfSwitch::State::examine_underlay(KernelFaults& faults) {
  const auto& vxlan = *config.vxlan;
  if (vxlan.local) {
    const auto holder = holder_of(*vxlan.local);
    bpf::Link link;
    if (!holder || (!holder->empty() && bpf::find_link(*holder, link) != 0))
      return faults.push_back(unread(vxlan.local->to_string(), "the kernel does not say who has the address"));
    underlay_ifindex = link.ifindex;
    if (holder->empty())
      faults.push_back(fault(KernelPart::kUnderlayAddress, vxlan.local->to_string(),
                             "no interface has the source address of the tunnels; give it back"));
  }
  underlay = underlay_room(vxlan.local, vxlan.remotes);
  const auto room = check_room(vxlan.access_mtu, underlay);
  set_tunnel_mtu(room || vxlan.allow_small_mtu ? 0 : underlay->inner_mtu);
  if (!room && !vxlan.allow_small_mtu)
    faults.push_back(
        fault(KernelPart::kUnderlayMtu, room.error().where, room.error().what + "; larger frames are dropped"));
}

void BpfSwitch::State::examine_pins(bool mend, KernelFaults& faults) {
  const auto missing = object->examine_pins(mend);
  if (missing.empty()) return;
  auto found = fault(KernelPart::kPins, bpf::owner_name(config.pin_root),
                     std::to_string(missing.size()) + " pins are missing or another's, " + missing.front() + " first");
  found.mended = mend && object->examine_pins(false).empty();
  faults.push_back(std::move(found));
}

KernelFaults BpfSwitch::examine_shared(bool thorough, bool mend) {
  KernelFaults faults;
  if (!state_) return faults;
  if (state_->config.vxlan) {
    state_->examine_tunnel(mend, faults);
    if (thorough) state_->examine_underlay(faults);
  }
  if (thorough) state_->examine_pins(mend, faults);
  if (thorough) state_->examine_tables(mend, faults);
  return faults;
}

bool BpfSwitch::is_shared(unsigned ifindex) const {
  return state_ && (ifindex == state_->vxlan_ifindex || ifindex == state_->underlay_ifindex);
}

bool BpfSwitch::shut(PortId port, bool down) {
  const auto* bound = state_ ? state_->ports.find(port) : nullptr;
  if (bound == nullptr || bpf::set_up(bound->ifindex, !down) != 0) return false;
  if (down)
    bpf::mark_closed(bound->ifindex, bpf::owner_name(state_->config.pin_root));
  else
    bpf::unmark_closed(bound->ifindex);
  return true;
}

bool BpfSwitch::is_shut(PortId port) const {
  const auto* bound = state_ ? state_->ports.find(port) : nullptr;
  bpf::Link link;
  if (bound == nullptr || bound->role != datapath::PortRole::kVm || bpf::find_link(bound->ifindex, link) != 0 ||
      link.up)
    return false;
  const auto ingress = bpf::read_ingress(bound->ifindex);
  return ingress && ingress->is_marked_closed();
}

}  // namespace splitnve::host
