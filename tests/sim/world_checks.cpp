// SPDX-License-Identifier: Apache-2.0
// What must hold at every step.
#include <algorithm>
#include <cstdio>
#include <sstream>

#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "tnved/vswitch.hpp"
#include "world.hpp"

namespace splitnve::sim {

void World::fail(const std::string& what) {
  if (!report_.failure.empty()) return;
  std::ostringstream out;
  out << what << " (event " << report_.events << ", seed " << parameters_.seed << ")";
  report_.failure = out.str();
}

void World::trace(const std::string& line) const {
  if (!parameters_.trace) return;
  std::fprintf(stderr, "%.6f %s\n", std::chrono::duration<double>(now_.time_since_epoch()).count(), line.c_str());
}

void World::trace_frame(const Node& from, const Node& to, const OctetString& frame) const {
  const auto ecp = ecp::decode_frame(frame);
  if (!ecp) return;
  const Node& host = from.is_switch ? to : from;
  trace("host " + std::to_string(host.index) + (from.is_switch ? " < " : " > ") +
        (ecp->operation == ecp::Operation::kAck ? "ack " : "request ") + std::to_string(ecp->sequence.value()) + ", " +
        std::to_string(frame.size()) + " octets" + (to.alive ? "" : ", nobody there"));
}

void World::check_program(Node& node, const agent::Program& effect, const Owners& before) {
  for (std::size_t i = 0; i < effect.rows.fdb.size(); ++i) {
    const auto& row = effect.rows.fdb[i];
    const bool closed = before[i] && !node.datapath.open_owner(row.domain, row.mac);
    if (node.is_switch) {
      check_one_owner(row.domain, row.mac);
      if (closed) check_undisturbed(node, row.mac, before[i]->port);
    } else {
      if (closed) check_host_closed(node, row);
      if (const Vm* vm = vm_of(row.mac)) check_one_uplink(node, *vm, row.mac);
    }
  }
  for (const auto& row : effect.rows.access) check_tag(node, row);
}

/// S8: an open VM port closes only by the host's own event, the nNVE's word or a completed failover, never by silence.
void World::check_host_closed(const Node& node, const datapath::FdbRow& row) {
  unsigned which = 0;
  const Vm* vm = vm_of(row.mac, &which);
  if (vm == nullptr || vm->excused.contains(node.index) || vm->addresses[which].may_close) return;
  const auto uplink = vm->host == node.index ? uplink_of(*vm) : std::nullopt;
  if (uplink && row.domain.value() >> 24 != *uplink + 1) return;
  fail("S8: host " + std::to_string(node.index) + " closed the port of " + vm->interface_name + " unasked");
}

/// D3: an address is open towards one nNVE at a time.
void World::check_one_uplink(const Node& host, const Vm& vm, MacAddress mac) {
  unsigned open = 0;
  for (unsigned uplink = 0; uplink < uplinks_of(host.index); ++uplink)
    if (host.datapath.open_owner(tnved::domain_of(PortId(1 + uplink), vm.vn), mac)) ++open;
  if (open > 1) fail("D3: " + mac.to_string() + " is active on two uplinks of host " + std::to_string(host.index));
}

/// S9: no crash, loss or repetition takes forwarding away from a VM that runs and that nobody touched.
void World::check_undisturbed(const Node& node, MacAddress mac, PortId port) {
  unsigned which = 0;
  const Vm* vm = vm_of(mac, &which);
  if (vm == nullptr || vm->phase != Phase::kRunning || !vm->plan.empty() || vm->waiting || vm->removed) return;
  const Address& address = vm->addresses[which];
  if (!address.present || !address.certain || address.deactivated || vm->latched_at != nullptr) return;
  if (vm->excused.contains(vm->host)) return;
  const auto uplink = is_dual(vm->host) ? uplink_of(*vm) : 0;
  if (!uplink || &switch_of(vm->host, *uplink) != &node || port_of(vm->host, *uplink) != port) return;
  const Node& host = *nodes_[vm->host];
  if (link_held(host, *uplink)) return;
  // Who goes over to another nNVE leaves the first one, and may be back before that De-Associate is there.
  if (now_ - host.path_changed < std::chrono::seconds(1)) return;
  fail("S9: switch " + std::to_string(node.index) + " took " + vm->interface_name + " off, which runs undisturbed");
}

/// The link is down, or came back so lately that its hold time may have ended meanwhile.
bool World::link_held(const Node& host, unsigned uplink) const {
  return !host.link_up[uplink] || now_ - host.link_changed[uplink] < std::chrono::seconds(1);
}

void World::check_datapaths() {
  for (const auto& node : nodes_) {
    if (!node->alive || node->programs_done >= now_) continue;
    const auto wanted = node->is_switch ? node->nnved->desired_rows() : node->tnved->desired_rows();
    const auto lines = node->datapath.differences(wanted);
    if (!lines.empty())
      fail((node->is_switch ? "switch " : "host ") + std::to_string(node->index) + " at rest: " + lines.front());
  }
}

/// A9: over all switches at most one open owner of an address, and only one that a VM event activated.
void World::check_one_owner(DomainId domain, MacAddress mac) {
  if (mac.value() >= kForeignMacs) return;
  const Vm* vm = vm_of(mac);
  unsigned owners = 0;
  for (std::size_t i = parameters_.hosts; i < nodes_.size(); ++i) {
    const auto owner = nodes_[i]->datapath.open_owner(domain, mac);
    if (!owner) continue;
    if (vm == nullptr || !vm->ever_started) fail(mac.to_string() + " is forwarded, but no TSI activated it");
    if (vm != nullptr && !may_linger(*nodes_[i], owner->port, *vm)) ++owners;
  }
  if (owners > 1) fail("A9: " + mac.to_string() + " is active on two switches");
}

/// A host that leaves a nNVE behind a dead link tells it when it can (D3). Until then that one has an owner who sends
/// it nothing: the host's port is open towards the other (check_one_uplink).
bool World::may_linger(const Node& node, PortId port, const Vm& vm) const {
  if (!is_dual(vm.host)) return false;
  const auto uplink = uplink_of(vm);
  return !uplink || &switch_of(vm.host, *uplink) != &node || port_of(vm.host, *uplink) != port;
}

/// A4: a tag means one VN on a segment; the host's own tables must agree with the switch's while a port is open.
void World::check_tag(const Node& node, const datapath::AccessRow& row) {
  if (!row.domain) return;
  if (node.is_switch) {
    for (const auto& [key, other] : node.datapath.access())
      if (key.first == row.port && key.second == row.tag && other.domain != row.domain) fail("A4: one tag, two VNs");
    return;
  }
  if (row.port.value() > uplinks_of(node.index)) return;
  const unsigned uplink = row.port.value() - 1;
  const auto& access = switch_of(node.index, uplink).datapath.access();
  const auto at_switch = access.find({port_of(node.index, uplink), row.tag});
  if (at_switch == access.end()) return;
  const std::uint32_t vn_here = row.domain->value() & 0xFFFFFFu;
  if (at_switch->second.domain->value() != vn_here)
    fail("A4: host " + std::to_string(node.index) + " maps VID " + std::to_string(row.tag.value()) + " to VN " +
         std::to_string(vn_here) + ", the switch to " + std::to_string(at_switch->second.domain->value()));
}

/// The nNVE's word, read from the wire: a refusal without KEEP or a De-Associate lets the host close the port.
void World::excuse_refusals(const Node& host, const OctetString& frame) {
  const auto ecp = ecp::decode_frame(frame);
  if (!ecp || ecp->operation != ecp::Operation::kRequest) return;
  vdp::VdpduReader reader(ecp->payload);
  if (!reader.manager()) return;
  while (true) {
    const auto tlv = reader.next();
    if (!tlv || !*tlv) return;
    const auto head = vdp::decode_association_head(**tlv);
    if (!head) continue;
    const auto status = vdp::ResponseStatus::from_octet(head->status);
    const bool response = (head->status & vdp::kStatusResponse) != 0;
    const bool refused = response && !status.success() && !status.keep;
    const bool command = !response || head->command == vdp::TlvType::kDeAssociate;
    if (const auto vm = vm_by_vsi_.find(head->vsi); vm != vm_by_vsi_.end() && (refused || command))
      vms_[vm->second].excused.insert(host.index);
  }
}

/// What is on the wire: counted, and checked for what may not be there (E7, S16).
void World::observe(const Node& from, const Node& host, unsigned uplink, const OctetString& frame) {
  const auto ecp = ecp::decode_frame(frame);
  if (!ecp || ecp->operation != ecp::Operation::kRequest) return;
  vdp::VdpduReader reader(ecp->payload);
  if (!reader.manager()) return fail("a VDPDU without manager");
  const bool required = port_mode(segment_of(host.index)) == auth::Mode::kRequire;
  bool sealed = false, associations = false;
  while (true) {
    const auto tlv = reader.next();
    if (!tlv) return fail("a VDPDU that cannot be read");
    if (!*tlv) break;
    if (const auto type = vdp::extension_type(**tlv)) {
      if (is_legacy(host.index) && *type != vdp::ExtensionType::kCapabilities)
        fail("E7: a TLV of ours at legacy host " + std::to_string(host.index));
      sealed = sealed || *type == vdp::ExtensionType::kAuthentication;
      if (*type == vdp::ExtensionType::kReason) count("tlv-reason");
      if (*type == vdp::ExtensionType::kMigration) count("tlv-migration");
      continue;
    }
    const auto association = vdp::decode_association(**tlv);
    if (!association) {  // but for the answer to one that nnved could not read
      if (!from.is_switch) fail("an association that cannot be read");
      continue;
    }
    associations = true;
    const auto format = static_cast<unsigned>(association->format);
    if (format > 4 && is_legacy(host.index)) fail("E7: an IP format at legacy host " + std::to_string(host.index));
    if (!from.is_switch) count("format-" + std::string(format > 15 ? "8" : "0") + std::to_string(format & 15u));
  }
  if (sealed) count("signed");
  if (required && associations && !sealed)
    fail("S16: an unsigned association of host " + std::to_string(host.index) + " on uplink " + std::to_string(uplink));
}

}  // namespace splitnve::sim
