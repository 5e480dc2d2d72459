// SPDX-License-Identifier: Apache-2.0
// The IPs of a TSI's MACs: which it may hold, how they come, stop, start and go, and how one takes another's place.
#include <algorithm>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

std::string Agent::Impl::may_hold_ips(const std::vector<HostIp>& ips, const std::vector<MacAddress>& macs,
                                      std::optional<Slot> self) const {
  std::size_t count = self ? tsis_.ips().count(*self) : 0;
  for (auto ip = ips.begin(); ip != ips.end(); ++ip) {
    if (!ip->ip.is_usable_source() || ip->ip.has_host_bits())
      return ip->ip.to_string() + " is no IP address that a VM may send from";
    if (std::find(macs.begin(), macs.end(), ip->mac) == macs.end())
      return ip->ip.to_string() + " is of " + ip->mac.to_string() + ", which is not named";
    if (std::find(ips.begin(), ip, *ip) != ip) return ip->ip.to_string() + " is named twice";
    const bool known = self && tsis_.find(*self, ip->mac, ip->ip) != nullptr;
    count += known ? 0 : 1;
  }
  if (count > limits::kIpsPerInstanceMax || tsis_.ips().size() + ips.size() > limits::kIpRowsMax)
    return "too many IP addresses: a TSI has at most " + std::to_string(limits::kIpsPerInstanceMax);
  return "";
}

/// The cause if the event names IPs that it may not.
std::string Agent::Impl::may_change_ips(Slot slot, const AddressEvent& event) const {
  if (event.verb == AddressVerb::kAdd) return may_hold_ips(event.ips, event.macs, slot);
  if (event.verb == AddressVerb::kChangeIp && event.ips.size() != 1) return "one IP is changed at a time";
  for (const HostIp& ip : event.ips) {
    const Address* known = tsis_.find(slot, ip.mac, ip.ip);
    if (ip.ip.is_none() || known == nullptr || known->removing())
      return ip.ip.to_string() + " is no IP of " + ip.mac.to_string();
  }
  if (event.verb != AddressVerb::kChangeIp) return "";
  const HostIp& from = event.ips.front();
  if (event.to == from.ip) return from.ip.to_string() + " is what it is already";
  if (event.to.family != from.ip.family)
    return event.to.to_string() + " is of another family than " + from.ip.to_string();
  auto refusal = may_hold_ips({{from.mac, event.to}}, event.macs, slot);
  if (refusal.starts_with("too many")) refusal += ", and for a moment it has both: remove one first";
  return refusal;
}

/// The cause if the event names what another one is just changing.
std::string Agent::Impl::pending_change(Slot slot, const AddressEvent& event) const {
  const auto at = ip_changes_.find(slot);
  if (at == ip_changes_.end()) return "";
  for (const IpChange& change : at->second) {
    const MacAddress mac = change.from.mac;
    const bool names_ip = std::any_of(event.ips.begin(), event.ips.end(), [&](const HostIp& ip) {
      return ip.mac == mac && (ip.ip == change.from.ip || ip.ip == change.to);
    });
    const bool removes_mac = event.verb == AddressVerb::kRemove && event.ips.empty() &&
                             std::find(event.macs.begin(), event.macs.end(), mac) != event.macs.end();
    if (names_ip || removes_mac || event.to == change.from.ip)
      return change.from.ip.to_string() + " is just being changed to " + change.to.to_string() + ": try again then";
  }
  return "";
}

/// The new one comes first, and the old one stays until it is in place: at no moment may neither be used.
void Agent::Impl::begin_ip_change(Slot slot, const HostIp& from, const IpPrefix& to, std::uint64_t asker) {
  const Address* there = tsis_.find(slot, from.mac, to);
  const vdp::Level level =
      std::max(tsis_.find(slot, from.mac, from.ip)->wanted, there == nullptr ? vdp::Level::kNone : there->wanted);
  change_ip(slot, AddressVerb::kAdd, {from.mac, to});
  tsis_.find(slot, from.mac, to)->wanted = level;
  ip_changes_[slot].push_back({from, to, asker});
}

bool Agent::Impl::changes_ip(Slot slot, std::uint64_t asker) const {
  const auto at = ip_changes_.find(slot);
  return at != ip_changes_.end() && std::ranges::count(at->second, asker, &IpChange::asker) != 0;
}

/// The TSI is settled: what was to take another one's place has it, unless the nNVE holds it. True if there was any.
bool Agent::Impl::complete_ip_changes(Slot slot, Instant now) {
  const auto at = ip_changes_.find(slot);
  if (at == ip_changes_.end()) return false;
  const std::vector<IpChange> changes = std::move(at->second);
  ip_changes_.erase(at);
  bool any = false;
  for (const IpChange& change : changes) {
    Address* from = tsis_.find(slot, change.from.mac, change.from.ip);
    const Address* to = tsis_.find(slot, change.from.mac, change.to);
    const bool stands =
        from != nullptr && !from->removing() && to != nullptr && !to->removing() && to->hold == Hold::kFree;
    if (!stands) {
      answer_if(
          slot, [&](const Asker& asker) { return asker.id == change.asker; }, false,
          change.to.to_string() + " is not in place: " + std::string(reason(slot)));
      continue;
    }
    from->wanted = vdp::Level::kNone;
    touch_ips(slot, change.from.mac);
    if (const auto asking = askers_.find(slot); asking != askers_.end())
      for (Asker& asker : asking->second)
        if (asker.id == change.asker) asker.wait = Wait::kTrimmed;
    any = true;
  }
  if (!any) return false;
  to_store(slot);
  refresh_ports(slot, "another IP took its place");
  pursue(slot, now);
  return true;
}

void Agent::Impl::forget_ips(Slot slot, MacAddress mac) {
  if (tsis_.ips().count(slot) == 0) return;
  touch_ips(slot, mac);
  Tsi& tsi = tsis_[slot];
  for (std::size_t i = tsi.addresses.size(); i-- > 0;) {
    Address& address = tsi.addresses[i];
    if (address.mac != mac || address.is_mac()) continue;
    set_confirmed(slot, address, vdp::Level::kNone, Vid());
    tsis_.erase_address(slot, address);
  }
}

void Agent::Impl::touch_ips(Slot slot, MacAddress mac) {
  if (tsis_.ips().count(slot) == 0) return;
  const Tsi& tsi = tsis_[slot];
  for (const Address& address : tsi.addresses) {
    if (address.mac != mac || address.is_mac()) continue;
    vswitch_.touch_ip(TsiTable::instance(slot), mac, tsis_.ip(slot, address));
    if (tsi.port.value() != 0) vswitch_.touch_guard(domain(tsi), tsi.port, mac);
    to_program(slot);
  }
}

}  // namespace splitnve::tnved
