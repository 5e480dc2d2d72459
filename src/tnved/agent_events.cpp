// SPDX-License-Identifier: Apache-2.0
// The VM path: lifecycle events become intents, and a TSI's share in the virtual switch is taken and given back.
#include <algorithm>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {
namespace {

bool describes(Verb verb) { return verb == Verb::kCreate || verb == Verb::kMigrateIn; }
bool ends_waiting_to_run(Verb verb) {
  return verb == Verb::kSuspend || verb == Verb::kShutdown || verb == Verb::kMigrateOut || verb == Verb::kAbort;
}
/// What the peer holds is asked for again by an operator or by a VM that begins to run (S7).
bool asks_again(Verb verb) {
  return verb == Verb::kCreate || verb == Verb::kStart || verb == Verb::kResume || verb == Verb::kMigrateIn;
}

/// Who waits for the first confirmation of a VM that does not run yet, and where a refused resume leads back to.
Phase phase_after(Phase phase, std::optional<VmState> before, VmState next) {
  if (!before || *before == VmState::kLeaving) return Phase::kEntering;
  const bool begins_to_run = next == VmState::kRunning && *before != VmState::kRunning;
  if (*before == VmState::kDefined && next != *before) return Phase::kEntering;
  if (begins_to_run && *before != VmState::kDeparting) return Phase::kResuming;
  return next == *before ? phase : Phase::kSteady;
}

}  // namespace

void Agent::Impl::handle_event(const LifecycleEvent& event, Instant now) {
  drain_stations(now);
  const auto known = tsis_.find(event.vsi);
  auto before = known ? std::optional(tsis_[*known].vm) : std::nullopt;
  Outcome outcome = apply(before, event.verb);
  const bool starts = outcome.legal && event.starts;
  const VmState created = outcome.next;
  if (starts) outcome = apply(created, Verb::kStart);
  if (!outcome.legal) return answer(event.asker, false, outcome.refusal);
  if (outcome.wait == Wait::kNothing) return answer(event.asker, true, "nothing changes");
  if (event.unattended && outcome.wait == Wait::kSettled) outcome.wait = Wait::kStored;
  const bool has_port = !event.interface_name.empty() || (known && tsis_[*known].port.value() != 0);
  if (outcome.next == VmState::kRunning && !has_port)
    return answer(event.asker, false, "the VM's interface is not known: name it");
  std::string refusal;
  if (!before || (describes(event.verb) && *before == VmState::kLeaving)) {
    refusal = create(event, known, now);
  } else if (describes(event.verb)) {
    refusal = describe_anew(*known, event, now);
  } else if (!event.interface_name.empty() && outcome.next != VmState::kLeaving) {
    const Tsi& tsi = tsis_[*known];
    const bool moves = tsi.port_open && vswitch_.interface_name(tsi.port) != event.interface_name;
    refusal = moves ? "the VM runs on " + std::string(vswitch_.interface_name(tsi.port)) +
                          ": suspend it before it gets another interface, or use create --replace"
                    : bind(*known, event.interface_name);
  }
  if (!refusal.empty()) return answer(event.asker, false, refusal);
  if (starts) before = created;
  carry_out(*tsis_.find(event.vsi), starts ? Verb::kStart : event.verb, event.asker, before, outcome, now);
  drain_stations(now);
}

std::string Agent::Impl::may_hold(const LifecycleEvent& event, DomainId domain, std::optional<Slot> self) const {
  if (event.macs.empty()) return "a TSI needs at least one MAC address";
  if (event.macs.size() > limits::kAddressesPerInstanceMax) return "too many addresses for one TSI";
  for (std::size_t i = 0; i < event.macs.size(); ++i) {
    const MacAddress mac = event.macs[i];
    if (!mac.is_usable_source()) return mac.to_string() + " is no address that a VM may have";
    if (std::find(event.macs.begin(), event.macs.begin() + static_cast<std::ptrdiff_t>(i), mac) !=
        event.macs.begin() + static_cast<std::ptrdiff_t>(i))
      return mac.to_string() + " is named twice";
    const auto holder = tsis_.holder(domain, mac);
    if (holder && holder != self)
      return mac.to_string() + " belongs to VSI " + tsis_[*holder].vsi.to_string() + " in this VN";
  }
  return may_hold_ips(event.ips, event.macs, self);
}

std::string Agent::Impl::create(const LifecycleEvent& event, std::optional<Slot> known, Instant now) {
  if (!event.vn.is_vn_id()) return "VN " + std::to_string(event.vn.value()) + " is not in 1..16777215";
  const auto via = uplink_for(event.vn);
  if (!via) return "no uplink serves VN " + std::to_string(event.vn.value());
  if (auto refusal = uplinks_[*via].refusal(); !refusal.empty()) return refusal;
  // Announcements are not signed: where signatures are required they raise the alarm, and nothing is refused for them.
  const bool believed = uplinks_[*via].config.authentication.mode != auth::Mode::kRequire;
  if (believed && vswitch_.vid(domain_of(uplinks_[*via].config.id, event.vn)).is_null())
    if (auto conflict = uplinks_[*via].nnves_heard.conflict(now); !conflict.empty()) return conflict;
  const bool crowded = uplinks_[*via].station.size() >= std::size_t{2} * config_.instances_max;
  if (!known && (tsis_.size() >= config_.instances_max || crowded)) return "the table of TSIs is full";
  const ManagerId manager = event.manager.value_or(config_.manager);
  const VsiType type = event.type.value_or(config_.type);
  if (type.id >> 24 != 0) return "a VSI type id has 24 bits";
  if (auto refusal = may_hold(event, domain_of(uplinks_[*via].config.id, event.vn), std::nullopt); !refusal.empty())
    return refusal;
  // An association that is still closing goes on under its handle only if it is the same one to the nNVE.
  if (known && tsis_[*known].closing) {
    const Tsi& old = tsis_[*known];
    const bool same = old.uplink == *via && old.vn == event.vn && old.manager == manager && old.type == type &&
                      old.priority == event.priority;
    if (old.uplink == *via) {
      tsis_[*known].closing = !same;
    } else {
      abandon_association(*known);
    }
  }
  const Slot slot = known ? *known : tsis_.add(event.vsi);
  Tsi& tsi = tsis_[slot];
  if (!known) ++uplinks_[*via].tsis;
  if (known && tsi.uplink != *via) {
    count_settled(tsi, false);
    --uplink(tsi).tsis;
    ++uplinks_[*via].tsis;
  }
  tsi.uplink = static_cast<std::uint8_t>(*via);
  tsi.vn = event.vn;
  tsi.guest_tag = event.guest_tag;
  tsi.priority = event.priority;
  tsi.manager = manager;
  tsi.type = type;
  tsi.gone = tsi.arrival = false;
  tsi.migration_unknown = event.migration_unknown;
  tsis_.clear_addresses(slot);
  announce_level(slot, "created anew");
  for (MacAddress mac : event.macs) tsis_.add_address(slot, Address(mac), {});
  for (const HostIp& ip : event.ips) tsis_.add_address(slot, Address(ip.mac), ip.ip);
  join(slot);
  if (event.interface_name.empty()) return "";
  std::string refusal = bind(slot, event.interface_name);
  if (refusal.empty()) return "";
  leave(slot, refusal, false, now);
  return refusal;
}

std::string Agent::Impl::describe_anew(Slot slot, const LifecycleEvent& event, Instant now) {
  Tsi& tsi = tsis_[slot];
  if (event.vn != tsi.vn || event.guest_tag != tsi.guest_tag || event.priority != tsi.priority)
    return "VN, guest tag and priority of a live TSI stay as they are: shut it down first";
  const ManagerId manager = event.manager.value_or(tsi.manager);
  const VsiType type = event.type.value_or(tsi.type);
  if (type.id >> 24 != 0) return "a VSI type id has 24 bits";
  if (auto refusal = may_hold(event, domain(tsi), slot); !refusal.empty()) return refusal;
  if (!event.replace && tsi.vm != VmState::kDefined && !describes_as_it_is(slot, event))
    return "the TSI is in use with other addresses or another interface (" + addresses_text(slot) +
           "): use tsi add-address and remove-address, or create --replace";
  if (!event.interface_name.empty())
    if (auto refusal = bind(slot, event.interface_name); !refusal.empty()) return refusal;
  for (Address& address : tsi.addresses) {
    const HostIp ip{address.mac, tsis_.ip(slot, address)};
    const bool named = address.is_mac()
                           ? std::find(event.macs.begin(), event.macs.end(), address.mac) != event.macs.end()
                           : std::find(event.ips.begin(), event.ips.end(), ip) != event.ips.end();
    address.wanted = named ? vdp::Level::kActive : vdp::Level::kNone;
    address.entering = false;  // the description is the newest word
  }
  ip_changes_.erase(slot);
  for (MacAddress mac : event.macs)
    if (tsi.find(mac) == nullptr) add_address(slot, Address(mac));
  for (const HostIp& ip : event.ips)
    if (tsis_.find(slot, ip.mac, ip.ip) == nullptr) add_address(slot, Address(ip.mac), ip.ip);
  for (const Address& address : tsi.addresses)
    if (address.is_mac()) touch_ips(slot, address.mac);
  tsi.migration_unknown = event.migration_unknown;
  describe_attributes(slot, manager, type, now);
  return "";
}

/// Does a description change nothing of what a VM in use sends with?
bool Agent::Impl::describes_as_it_is(Slot slot, const LifecycleEvent& event) const {
  const Tsi& tsi = tsis_[slot];
  if (!event.interface_name.empty() && tsi.port.value() != 0 &&
      vswitch_.interface_name(tsi.port) != event.interface_name)
    return false;
  std::size_t macs = 0, ips = 0;
  for (const Address& address : tsi.addresses) {
    if (address.wanted == vdp::Level::kNone) continue;  // on its way out
    ++(address.is_mac() ? macs : ips);
    const bool named = address.is_mac()
                           ? std::find(event.macs.begin(), event.macs.end(), address.mac) != event.macs.end()
                           : std::find(event.ips.begin(), event.ips.end(),
                                       HostIp{address.mac, tsis_.ip(slot, address)}) != event.ips.end();
    if (!named) return false;
  }
  return macs == event.macs.size() && ips == event.ips.size();
}

std::string Agent::Impl::addresses_text(Slot slot) const {
  std::string text;
  for (const Address& address : tsis_[slot].addresses)
    text +=
        (text.empty() ? "" : ", ") + (address.is_mac() ? address.mac.to_string() : tsis_.ip(slot, address).to_string());
  return text.size() > 200 ? text.substr(0, 200) + "..." : text;
}

std::string Agent::Impl::bind(Slot slot, const std::string& interface_name) {
  Tsi& tsi = tsis_[slot];
  if (tsi.port.value() != 0 && vswitch_.interface_name(tsi.port) == interface_name) return "";
  const auto port = vswitch_.bind(domain(tsi), interface_name, tsi.guest_tag);
  if (!port) return port.error();
  if (tsi.port.value() != 0) {
    touch_addresses(slot);
    if (tsi.member_open) vswitch_.close_member(tsi.port, tsi.guest_tag);
    vswitch_.unbind(tsi.port, tsi.guest_tag);
    tsi.member_open = tsi.port_open = false;
    for (Address& address : tsi.addresses) address.open = false;
  }
  set_port(slot, *port);
  touch_addresses(slot);
  to_store(slot);
  refresh_ports(slot, "its interface was named");
  return "";
}

void Agent::Impl::carry_out(Slot slot, Verb verb, std::uint64_t asker, std::optional<VmState> before,
                            const Outcome& outcome, Instant now) {
  Tsi& tsi = tsis_[slot];
  const std::string because = to_string(verb);
  const bool ends = ends_waiting_to_run(verb);
  const bool leaves = outcome.next == VmState::kLeaving;
  const auto superseded = [ends, leaves](const Asker& waiting) {
    if (leaves && waiting.wait == Wait::kPlaced) return true;
    return ends ? waiting.wait == Wait::kSettled : waiting.wait == Wait::kClosed || waiting.wait == Wait::kGone;
  };
  if (before != outcome.next && askers_.contains(slot)) answer_if(slot, superseded, false, "superseded by " + because);
  const Phase phase = phase_after(tsi.phase, before, outcome.next);
  // Only a VM that someone waits for can be refused; another one's intent stands until it is met.
  tsi.phase = (asker == 0 || outcome.wait == Wait::kStored) && before != outcome.next ? Phase::kSteady : phase;
  if (before && before != outcome.next) tsi.fall_back = *before;
  // A migration that came to nothing: what the other place has taken comes back from there (S6).
  const bool returns = before == VmState::kDeparting && outcome.next == VmState::kRunning && tsi.held();
  if (asks_again(verb) || returns) release_hold(slot);
  tsi.arrival = tsi.arrival || returns;
  tsi.retries = 0;
  retries_.clear(slot);
  if (outcome.next == VmState::kLeaving) {
    if (tsi.vm != VmState::kLeaving) leave(slot, because, false, now);
  } else {
    // A VM's interface may have been made after the TSI was created; where one forwards already it is there.
    if (outcome.next == VmState::kRunning && !tsi.port_open && !vswitch_.forwards(tsi.port, tsi.guest_tag)) {
      vswitch_.touch_binding(domain(tsi), tsi.port, tsi.guest_tag);
      touch_addresses(slot);
    }
    enter(slot, outcome.next, because, now);
  }
  ask(slot, {asker, outcome.wait, now + config_.start_deadline});
}

void Agent::Impl::enter(Slot slot, VmState next, const std::string& why, Instant now) {
  Tsi& tsi = tsis_[slot];
  if (tsi.vm != next) emit(agent::Transition{"vm", tsi.vsi, to_string(tsi.vm), to_string(next), why});
  tsi.vm = next;
  if (next == VmState::kArriving) tsi.arrival = true;
  if (intent(next).suspended || next == VmState::kDeparting) tsi.arrival = false;
  to_store(slot);
  // The port is closed here before anything is asked of the nNVE.
  refresh_ports(slot, why);
  if (tsi.handle == kNoHandle) to_open_.push_back(slot);
  pursue(slot, now);
  // The takeover that follows is no contested one: the nNVE has to know before it comes.
  if (next == VmState::kDeparting && tsi.handle != kNoHandle && !tsi.closing)
    uplink(tsi).station.tell_status(tsi.handle, now);
}

void Agent::Impl::open_association(Slot slot, Instant now) {
  Tsi& tsi = tsis_[slot];
  Uplink& via = uplink(tsi);
  if (const auto left_over = via.station.find(tsi.vsi, tsi.vn)) {  // abandoned there before, and not yet closed
    tsi.handle = *left_over;
    --via.orphans;
    via.station.describe(tsi.handle, tsi.manager, tsi.type, tsi.priority, now);
  } else {
    tsi.handle = via.station.open({tsi.vsi, tsi.manager, tsi.type, tsi.vn, via.config.format, tsi.priority});
  }
  tsi.closing = false;
  via.own(tsi.handle, slot);
}

/// The uplink goes on taking leave of its nNVE, but the TSI has done with it.
void Agent::Impl::abandon_association(Slot slot) {
  Tsi& tsi = tsis_[slot];
  Uplink& old = uplink(tsi);
  if (std::exchange(tsi.unconfirmed, false)) --old.unconfirmed;
  old.slot_of[tsi.handle] = Uplink::kOrphan;
  ++old.orphans;
  tsi.handle = kNoHandle;
  tsi.closing = false;
}

/// Asks the nNVE for what the VM's state wants; the station answers for each address with Confirmed or Refused.
void Agent::Impl::pursue(Slot slot, Instant now) {
  Tsi& tsi = tsis_[slot];
  if (tsi.handle == kNoHandle || tsi.closing) return;
  auto& station = uplink(tsi).station;
  tell_status(tsi);
  for (Address& address : tsi.addresses) {
    address.awaited = true;
    station.set_entry(tsi.handle, address.mac, wanted(tsi, address), address.vid, now, tsis_.ip(slot, address));
  }
  to_check(slot);
}

/// What the nNVE is told of the VM's migration (D13).
vdp::Migration Agent::Impl::migration(const Tsi& tsi) const {
  const vdp::Migration known = intent(tsi.vm).migration;
  if (known != vdp::Migration::kNone) return known;
  if (tsi.arrival) return vdp::Migration::kArriving;
  return tsi.migration_unknown ? vdp::Migration::kUnknown : vdp::Migration::kNone;
}

void Agent::Impl::tell_status(const Tsi& tsi) {
  uplink(tsi).station.set_status(tsi.handle, intent(tsi.vm).suspended, migration(tsi));
}

/// The TSI ends: its port is closed and its rows are taken back at once, then the nNVE is told. With `forget` the nNVE
/// has nothing of it.
void Agent::Impl::leave(Slot slot, const std::string& why, bool forget, Instant now) {
  Tsi& tsi = tsis_[slot];
  part(slot, why);
  if (tsi.vm != VmState::kLeaving)
    emit(agent::Transition{"vm", tsi.vsi, to_string(tsi.vm), to_string(VmState::kLeaving), why});
  tsi.vm = VmState::kLeaving;
  tsi.phase = Phase::kSteady;
  retries_.clear(slot);
  ip_changes_.erase(slot);
  if (tsi.handle == kNoHandle) {
    tsi.gone = true;
  } else if (!tsi.closing) {
    tsi.closing = true;
    uplink(tsi).station.close(tsi.handle, now, forget);
  }
  to_store(slot);
  to_check(slot);
}

void Agent::Impl::join(Slot slot) {
  Tsi& tsi = tsis_[slot];
  ensure(!tsi.joined, "a TSI takes its share in the virtual switch once");
  tsi.joined = true;
  const DomainId in = domain(tsi);
  vswitch_.join(in);
  for (Address& address : tsi.addresses) {
    if (address.is_mac()) tsis_.hold(in, address.mac, slot);
    address.vid_used = address.confirmed != vdp::Level::kNone && !address.vid.is_null();
    if (address.vid_used) vswitch_.use_vid(in, address.vid, false);
  }
  to_program(slot);
}

/// The TSI's port closes, and its domain gets tags and addresses back.
void Agent::Impl::give_back(Slot slot, const std::string& why) {
  Tsi& tsi = tsis_[slot];
  const DomainId in = domain(tsi);
  touch_addresses(slot);
  if (std::exchange(tsi.port_open, false)) emit(agent::Transition{"port", tsi.vsi, "open", "closed", why});
  if (std::exchange(tsi.member_open, false)) vswitch_.close_member(tsi.port, tsi.guest_tag);
  for (Address& address : tsi.addresses) {
    address.open = false;
    if (std::exchange(address.vid_used, false)) vswitch_.drop_vid(in, address.vid);
    if (address.is_mac()) tsis_.release(in, address.mac);
  }
}

void Agent::Impl::part(Slot slot, const std::string& why) {
  Tsi& tsi = tsis_[slot];
  if (!tsi.joined) return;
  give_back(slot, why);
  if (tsi.port.value() != 0) vswitch_.unbind(tsi.port, tsi.guest_tag);
  set_port(slot, PortId());
  vswitch_.leave(domain(tsi));
  tsi.joined = false;
  to_program(slot);
}

void Agent::Impl::add_address(Slot slot, Address address, const IpPrefix& ip) {
  const Tsi& tsi = tsis_[slot];
  if (ip.is_none()) tsis_.hold(domain(tsi), address.mac, slot);
  tsis_.add_address(slot, address, ip);
  if (tsi.port.value() != 0) vswitch_.touch_guard(domain(tsi), tsi.port, address.mac);
  if (!ip.is_none()) vswitch_.touch_ip(TsiTable::instance(slot), address.mac, ip);
  to_program(slot);
}

/// Brings FDB rows and flood membership in line with the VM's state and the nNVE's word. Closing is announced at once,
/// opening only when the datapath has said so (check()).
void Agent::Impl::refresh_ports(Slot slot, std::string_view why) {
  Tsi& tsi = tsis_[slot];
  if (!tsi.joined) return;
  const bool may_open = intent(tsi.vm).forwards && tsi.port.value() != 0;
  bool any = false;
  for (Address& address : tsi.addresses) {
    if (!address.is_mac()) continue;
    const bool open =
        may_open && wanted(tsi, address) == vdp::Level::kActive && address.confirmed == vdp::Level::kActive;
    any = any || open;
    if (open == address.open) continue;
    address.open = open;
    vswitch_.touch_fdb(domain(tsi), address.mac);
    to_program(slot);
  }
  if (any != tsi.member_open) {
    tsi.member_open = any;
    any ? vswitch_.open_member(tsi.port, tsi.guest_tag) : vswitch_.close_member(tsi.port, tsi.guest_tag);
    to_program(slot);
  }
  if (!any && std::exchange(tsi.port_open, false))
    emit(agent::Transition{"port", tsi.vsi, "open", "closed", std::string(why)});
  to_check(slot);
}

void Agent::Impl::touch_addresses(Slot slot) {
  const Tsi& tsi = tsis_[slot];
  for (const Address& address : tsi.addresses) {
    if (!address.is_mac()) vswitch_.touch_ip(TsiTable::instance(slot), address.mac, tsis_.ip(slot, address));
    if (tsi.port.value() != 0) vswitch_.touch_guard(domain(tsi), tsi.port, address.mac);
    if (address.open) vswitch_.touch_fdb(domain(tsi), address.mac);
  }
  to_program(slot);
}

void Agent::Impl::set_reason(Slot slot, std::string why) {
  if (why.empty()) {
    reasons_.erase(slot);
  } else {
    reasons_[slot] = std::move(why);
  }
}

const std::string& Agent::Impl::reason(Slot slot) const {
  static const std::string kNone;
  const auto at = reasons_.find(slot);
  return at == reasons_.end() ? kNone : at->second;
}

void Agent::Impl::to_store(Slot slot) {
  if (std::exchange(tsis_[slot].store_dirty, true)) return;
  store_list_.push_back(slot);
}

void Agent::Impl::to_program(Slot slot) {
  flush_wanted_ = true;
  if (std::exchange(tsis_[slot].program_dirty, true)) return;
  program_list_.push_back(slot);
}

void Agent::Impl::to_check(Slot slot) {
  if (std::exchange(tsis_[slot].to_check, true)) return;
  check_list_.push_back(slot);
}

}  // namespace splitnve::tnved
