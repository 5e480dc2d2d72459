// SPDX-License-Identifier: Apache-2.0
// What must hold at every step, and the comparison of all views at the end.
#include <algorithm>
#include <cstdio>
#include <sstream>

#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/codec.hpp"
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

void World::check_program(Node& node, const agent::Program& effect, const std::vector<bool>& opened) {
  for (std::size_t i = 0; i < effect.rows.fdb.size(); ++i) {
    const auto& row = effect.rows.fdb[i];
    const bool closed = opened[i] && !node.datapath.open_owner(row.domain, row.mac);
    if (node.is_switch) {
      check_one_owner(row.domain, row.mac);
      if (closed) check_undisturbed(node, row.mac);
      continue;
    }
    // S8: an open VM port closes only by the host's own event or the nNVE's word, never by silence.
    if (!closed) continue;
    const auto vm = std::find_if(vms_.begin(), vms_.end(), [&](const Vm& v) { return v.mac == row.mac; });
    if (vm != vms_.end() && !vm->excused.contains(node.index))
      fail("S8: host " + std::to_string(node.index) + " closed the port of " + vm->interface_name + " unasked");
  }
  for (const auto& row : effect.rows.access) check_tag(node, row);
}

/// S9: no crash, loss or repetition takes forwarding away from a VM that runs and that nobody touched.
void World::check_undisturbed(const Node& node, MacAddress mac) {
  const auto vm = std::find_if(vms_.begin(), vms_.end(), [&](const Vm& v) { return v.mac == mac; });
  if (vm == vms_.end() || vm->phase != Phase::kRunning || !vm->plan.empty() || vm->waiting || vm->removed) return;
  if (&switch_of(vm->host) != &node || vm->excused.contains(vm->host) || link_held(*nodes_[vm->host])) return;
  fail("S9: switch " + std::to_string(node.index) + " took " + vm->interface_name + " off, which runs undisturbed");
}

/// The link is down, or came back so lately that its hold time may have ended meanwhile.
bool World::link_held(const Node& host) const {
  return !host.link_up || now_ - host.link_changed < std::chrono::seconds(1);
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
  unsigned owners = 0;
  for (const auto& node : nodes_)
    if (node->is_switch && node->datapath.open_owner(domain, mac)) ++owners;
  if (owners > 1) fail("A9: " + mac.to_string() + " is active on two switches");
  if (owners == 0) return;
  const auto vm = std::find_if(vms_.begin(), vms_.end(), [&](const Vm& v) { return v.mac == mac; });
  if (vm == vms_.end() || !vm->ever_started) fail(mac.to_string() + " is forwarded, but no TSI activated it");
}

/// A4: a tag means one VN on a segment; the host's own tables must agree with the switch's while a port is open.
void World::check_tag(const Node& node, const datapath::AccessRow& row) {
  if (!row.domain) return;
  if (node.is_switch) {
    for (const auto& [key, other] : node.datapath.access())
      if (key.first == row.port && key.second == row.tag && other.domain != row.domain) fail("A4: one tag, two VNs");
    return;
  }
  if (row.port != PortId(1)) return;
  const auto& access = switch_of(node.index).datapath.access();
  const auto at_switch = access.find({port_of(node.index), row.tag});
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

std::vector<std::string> World::compare_all() const {
  std::vector<std::string> out;
  for (const auto& node : nodes_) {
    if (node->is_switch)
      compare_switch(*node, out);
    else
      compare_host(*node, out);
  }
  for (const auto& vm : vms_) {
    const auto& sw = switch_of(vm.host);
    const auto owner = sw.datapath.open_owner(DomainId(vm.vn.value()), vm.mac);
    const bool want = vm.phase == Phase::kRunning;
    const bool closed_at_host = is_legacy(vm.host) && vm.phase == Phase::kSuspended;  // S20
    if (owner.has_value() != want && !closed_at_host)
      out.push_back(vm.interface_name + (want ? ": runs but is not forwarded" : ": forwarded but not running"));
    if (owner && want && owner->port != port_of(vm.host))
      out.push_back(vm.interface_name + ": forwarded to the wrong port");
  }
  return out;
}

void World::compare_host(const Node& host, std::vector<std::string>& out) const {
  const std::string name = "host " + std::to_string(host.index) + ": ";
  for (auto& line : host.datapath.differences(host.tnved->desired_rows())) out.push_back(name + line);
  const auto& sw = *switch_of(host.index).nnved;
  std::map<std::pair<VsiId, GroupId>, nnved::TsiView> at_switch;
  for (std::uint32_t i = 0; i < sw.tsi_slots(); ++i)
    if (const auto view = sw.tsi(i); view && view->station == station_mac(host.index))
      at_switch[{view->vsi, view->vn}] = *view;
  for (std::uint32_t i = 0; i < host.tnved->tsi_slots(); ++i) {
    const auto mine = host.tnved->tsi(i);
    if (!mine) continue;
    const auto theirs = at_switch.find({mine->vsi, mine->vn});
    if (theirs == at_switch.end()) {
      out.push_back(name + mine->vsi.to_string() + " is unknown to the switch");
      continue;
    }
    const bool active = std::string_view(mine->state) == "activated";
    // A legacy nNVE cannot be told to deactivate: the VM's port is closed here, and the request carries S (S20).
    const bool closed_here_only = is_legacy(host.index) && !active && theirs->second.suspended;
    if (active != (theirs->second.state == nnved::TsiState::kActivated) && !closed_here_only)
      out.push_back(name + mine->vsi.to_string() + " is " + mine->state + ", at the switch " +
                    to_string(theirs->second.state));
    if (mine->vid != theirs->second.vid) out.push_back(name + mine->vsi.to_string() + " has another VID at the switch");
    at_switch.erase(theirs);
  }
  for (const auto& [key, view] : at_switch) out.push_back(name + "the switch still has " + key.first.to_string());
  if (is_legacy(host.index)) return;
  const auto mine = host.tnved->vns();
  const auto theirs = sw.vaps();
  const auto vap = std::ranges::find_if(theirs, [&](const nnved::VapView& one) {
    return one.port == port_of(host.index) && one.vn == connected_vn(host.index);
  });
  if (mine.size() != 1 || std::string_view(mine[0].state) != "connected")
    out.push_back(name + "the VN of its configuration is not connected");
  else if (vap == theirs.end() || vap->connects == 0 || vap->local_tag != mine[0].vid)
    out.push_back(name + "the switch does not have the VN connected with its VID");
}

void World::compare_switch(const Node& node, std::vector<std::string>& out) const {
  const std::string name = "switch " + std::to_string(node.index) + ": ";
  for (auto& line : node.datapath.differences(node.nnved->desired_rows())) out.push_back(name + line);
  const auto have = authority_.rows(node.index);
  const auto want = node.nnved->desired_authority();
  const auto said = [](const agent::AuthorityRow& row) {
    return row.mac.to_string() + " of VN " + std::to_string(row.vn.value()) + (row.mapped ? " mapped" : "") +
           (row.forwarding ? " forwarding" : "") + " for " + row.vsi.to_string();
  };
  std::set<std::string> there;
  for (const auto& row : have) there.insert(said(row));
  for (const auto& row : want)
    if (there.erase(said(row)) == 0) out.push_back(name + "the authority lacks " + said(row));
  for (const auto& row : there) out.push_back(name + "the authority still has " + row);
}

}  // namespace splitnve::sim
