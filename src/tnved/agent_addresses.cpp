// SPDX-License-Identifier: Apache-2.0
// A live TSI whose description changes while its state stays: addresses that come, go, stop and start (C7, D8, D10),
// what the nNVE took away and holds (S7), manager and type (S1).
#include <algorithm>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {
namespace {

bool adds(AddressVerb verb) { return verb == AddressVerb::kAdd; }
/// Is the MAC itself meant, and not only IPs of it?
bool names_mac(const AddressEvent& event, MacAddress mac) {
  return adds(event.verb) ||
         std::none_of(event.ips.begin(), event.ips.end(), [mac](const HostIp& ip) { return ip.mac == mac; });
}
bool takes_away(AddressVerb verb) { return verb == AddressVerb::kRemove || verb == AddressVerb::kDeactivate; }

/// What the verb wants of an address. One that was not described before is given up if that is refused.
void set_wanted(Address& address, AddressVerb verb, bool described) {
  if (adds(verb) && !described) address.entering = true;
  switch (verb) {
    case AddressVerb::kAdd:
    case AddressVerb::kActivate:
      address.wanted = vdp::Level::kActive;
      address.hold = Hold::kFree;
      break;
    case AddressVerb::kRemove: address.wanted = vdp::Level::kNone; break;
    case AddressVerb::kDeactivate: address.wanted = vdp::Level::kReserved; break;
    case AddressVerb::kChangeIp: break;  // begin_ip_change()
  }
}

}  // namespace

void Agent::Impl::handle_addresses(const AddressEvent& event, Instant now) {
  drain_stations(now);
  const auto known = tsis_.find(event.vsi);
  if (!known) return answer(event.asker, false, "this VSI is not known here");
  const Slot slot = *known;
  if (auto refusal = may_change(tsis_[slot], event); !refusal.empty()) return answer(event.asker, false, refusal);
  for (MacAddress mac : event.macs)
    if (names_mac(event, mac)) change_address(slot, event.verb, mac);
  for (const HostIp& ip : event.ips)
    event.verb == AddressVerb::kChangeIp ? begin_ip_change(slot, ip, event.to, event.asker)
                                         : change_ip(slot, event.verb, ip);
  to_store(slot);
  refresh_ports(slot, to_string(event.verb));
  pursue(slot, now);
  const Wait wait = takes_away(event.verb) ? Wait::kTrimmed : Wait::kPlaced;
  ask(slot, {event.asker, wait, now + config_.start_deadline});
  drain_stations(now);
}

std::string Agent::Impl::may_change(const Tsi& tsi, const AddressEvent& event) const {
  if (tsi.vm == VmState::kLeaving) return "the VM is being shut down";
  if (event.vn && *event.vn != tsi.vn) return "the VSI is in VN " + std::to_string(tsi.vn.value());
  if (event.macs.empty()) return "no address named";
  std::size_t stays = 0;    // described, and not named by the event
  std::size_t settled = 0;  // of these the ones that no refusal of an earlier event can take away
  for (const Address& address : tsi.addresses) {
    const bool named = names_mac(event, address.mac) &&
                       std::find(event.macs.begin(), event.macs.end(), address.mac) != event.macs.end();
    if (address.removing() || named || !address.is_mac()) continue;
    ++stays;
    if (!address.entering) ++settled;
  }
  if (adds(event.verb) && stays + event.macs.size() > limits::kAddressesPerInstanceMax)
    return "too many addresses for one TSI";
  if (event.verb == AddressVerb::kRemove && settled == 0)
    return "a TSI keeps at least one MAC address that is not just being added: shut it down instead";
  for (auto mac = event.macs.begin(); mac != event.macs.end(); ++mac) {
    if (!mac->is_usable_source()) return mac->to_string() + " is no address that a VM may have";
    if (std::find(event.macs.begin(), mac, *mac) != mac) return mac->to_string() + " is named twice";
    const bool here = std::any_of(tsi.addresses.begin(), tsi.addresses.end(),
                                  [&](const Address& a) { return a.mac == *mac && a.is_mac() && !a.removing(); });
    if (!adds(event.verb) && !here) return mac->to_string() + " is no address of this TSI";
    const auto holder = tsis_.holder(domain(tsi), *mac);
    if (holder && tsis_[*holder].vsi != tsi.vsi)
      return mac->to_string() + " belongs to VSI " + tsis_[*holder].vsi.to_string() + " in this VN";
  }
  const Slot slot = *tsis_.find(tsi.vsi);
  if (const auto busy = pending_change(slot, event); !busy.empty()) return busy;
  return may_change_ips(slot, event);
}

void Agent::Impl::change_ip(Slot slot, AddressVerb verb, const HostIp& ip) {
  const Address* known = tsis_.find(slot, ip.mac, ip.ip);
  const bool described = known != nullptr && !known->removing();
  if (adds(verb) && known == nullptr) add_address(slot, Address(ip.mac), ip.ip);
  set_wanted(*tsis_.find(slot, ip.mac, ip.ip), verb, described);
  touch_ips(slot, ip.mac);
}

void Agent::Impl::change_address(Slot slot, AddressVerb verb, MacAddress mac) {
  const Address* known = tsis_[slot].find(mac);
  const bool described = known != nullptr && !known->removing();
  if (adds(verb) && known == nullptr) add_address(slot, Address(mac));
  Address& address = *tsis_[slot].find(mac);
  set_wanted(address, verb, described);
  const bool asks = verb == AddressVerb::kAdd || verb == AddressVerb::kActivate;
  for (Address& ip : tsis_[slot].addresses) {  // its IPs are removed with it, and asked for again with it
    if (ip.mac != mac || ip.is_mac() || ip.removing()) continue;
    if (address.removing()) ip.wanted = vdp::Level::kNone;
    if (asks) ip.hold = Hold::kFree;
  }
  touch_ips(slot, mac);
}

/// Addresses that were added, and whose addition nobody has been told of yet, are given up. True if there were any.
bool Agent::Impl::drop_entering(Slot slot, Instant now) {
  Tsi& tsi = tsis_[slot];
  bool any = false;
  for (Address& address : tsi.addresses) {
    if (!std::exchange(address.entering, false)) continue;
    address.wanted = vdp::Level::kNone;
    if (address.is_mac())
      for (Address& ip : tsi.addresses)
        if (ip.mac == address.mac) ip.wanted = vdp::Level::kNone;
    touch_ips(slot, address.mac);
    any = true;
  }
  if (!any) return false;
  to_store(slot);
  refresh_ports(slot, "an address's addition was refused");
  pursue(slot, now);
  return true;
}

/// An IP is asked for at most as its MAC is, which it would raise at the nNVE.
vdp::Level Agent::Impl::wanted(const Tsi& tsi, const Address& address) const {
  const vdp::Level own = wanted_level(tsi.vm, address.wanted, address.hold);
  if (address.is_mac()) return own;
  for (const Address& mac : tsi.addresses)
    if (mac.is_mac() && mac.mac == address.mac) return std::min(own, wanted_level(tsi.vm, mac.wanted, mac.hold));
  return vdp::Level::kNone;
}

/// The nNVE wants to be left alone with this VSI: nothing of it is asked for, not even after a link flap.
void Agent::Impl::hold(Slot slot, Instant now) {
  for (Address& address : tsis_[slot].addresses) address.hold = address.removing() ? Hold::kFree : Hold::kGone;
  retries_.clear(slot);
  pursue(slot, now);
}

void Agent::Impl::release_hold(Slot slot) {
  for (Address& address : tsis_[slot].addresses) address.hold = Hold::kFree;
}

/// Manager and type are attributes: a change updates the association in place (S1).
void Agent::Impl::describe_attributes(Slot slot, ManagerId manager, VsiType type, Instant now) {
  Tsi& tsi = tsis_[slot];
  if (tsi.manager == manager && tsi.type == type) return;
  attributes_before_.try_emplace(slot, tsi.manager, tsi.type);
  tsi.manager = manager;
  tsi.type = type;
  to_store(slot);
  if (tsi.handle != kNoHandle && !tsi.closing)
    uplink(tsi).station.describe(tsi.handle, manager, type, tsi.priority, now);
}

/// A refused change of attributes is taken back, else the nNVE would refuse every keep-alive too. True if there was
/// one.
bool Agent::Impl::restore_attributes(Slot slot, Instant now) {
  const auto before = attributes_before_.find(slot);
  if (before == attributes_before_.end()) return false;
  const auto [manager, type] = before->second;
  Tsi& tsi = tsis_[slot];
  tsi.manager = manager;
  tsi.type = type;
  attributes_before_.erase(before);
  if (tsi.handle != kNoHandle && !tsi.closing)
    uplink(tsi).station.describe(tsi.handle, manager, type, tsi.priority, now);
  return true;
}

}  // namespace splitnve::tnved
