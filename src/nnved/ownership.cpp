// SPDX-License-Identifier: Apache-2.0
// Who may have an address (S6): it belongs to the VSI that holds it, here or where the configuration places it; the
// same VSI takes it over from another place only if it says so and both places let it.
#include <algorithm>
#include <array>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

namespace {

/// The MAC whose link-local address this is by its form (RFC 4291, EUI-64): nobody else's.
std::optional<MacAddress> mac_of_eui64(const IpPrefix& ip) {
  const auto& octet = ip.octets;
  if (!ip.is_link_local() || !ip.is_single() || octet[11] != 0xFF || octet[12] != 0xFE) return std::nullopt;
  const std::array<std::uint8_t, 6> mac{
      static_cast<std::uint8_t>(octet[8] ^ 2), octet[9], octet[10], octet[13], octet[14], octet[15]};
  return MacAddress(mac);
}

}  // namespace

std::string Impl::place_of(Index instance) const {
  const TsiRow& row = tsis[instance];
  return "VSI " + row.vsi.to_string() + " at port " + config.ports[vaps[row.vap].port_index].interface_name +
         " station " + row.station.to_string();
}

std::optional<Refused> Impl::check_owner(Index peer, const vdp::Request& request, const Step& step, Instant now) {
  const AddressKey key{step.vn, step.name.mac};
  const AddressName address(key.mac);
  const auto held_by = [&](Reason reason, Index tsi) { return Refused{reason, step.vn, about::Holder(address, tsi)}; };
  if (policy.is_remote(key)) return held_by(Reason::kRemoteAddress, kNoIndex);
  const Owner* owner = tsis.owner(key);
  if (owner == nullptr) return std::nullopt;
  if (tsis[owner->holder].vsi != request.vsi) return held_by(Reason::kDuplicateMac, owner->holder);
  const AddressRow* own = step.instance == kNoIndex ? nullptr : tsis.find_address(step.instance, key.mac);
  // Back to where it came from, if the station knows that it lost it and says so: the new place may be dead.
  const bool returns = own != nullptr && own->let_go && request.migration == vdp::Migration::kArriving;
  if (step.level == Level::kActive && own != nullptr && own->superseded && !returns) {
    tell_loser(step.instance, request.vsi, key);  // again: it may not have heard it
    return Refused{Reason::kSuperseded, step.vn, ""};
  }
  Index forbids = kNoIndex;
  bool asks = false;
  tsis.for_each_holder(key, [&](Index holder, const AddressRow&) {
    if (holder == step.instance || may_take_over(tsis[holder].peer, peer)) return;
    const StationMove move = judge_move(tsis[holder].peer, peer, now);
    asks = asks || move == StationMove::kAsks;
    if (move == StationMove::kNone) forbids = holder;
  });
  if (forbids != kNoIndex) return held_by(Reason::kTakeoverPolicy, forbids);
  if (asks) return Refused{Reason::kStationMoving, step.vn, ""};
  if (own == nullptr && owner->holders >= limits::kPlacesPerAddressMax)
    return Refused{Reason::kPlaceLimit, step.vn, about::Most(limits::kPlacesPerAddressMax)};
  if (step.level != Level::kActive || owner->active == kNoIndex) return std::nullopt;
  if (!signals_migration(peer, request, step.instance, own != nullptr)) {
    switch (judge_move(tsis[owner->active].peer, peer, now)) {
      case StationMove::kAdmitted: return std::nullopt;  // nobody contests it
      case StationMove::kAsks: return Refused{Reason::kStationMoving, step.vn, ""};
      case StationMove::kNone: return held_by(Reason::kActiveElsewhere, owner->active);
    }
  }
  bool alarm = false;
  if (!contests.stays(key, now, alarm)) return std::nullopt;
  if (alarm)
    journal.notice("nnved.takeover_contested", agent::Notice::Level::kError,
                   "vn " + std::to_string(step.vn.value()) + " mac " + key.mac.to_string() + " stays with " +
                       place_of(owner->active) + ": taken over " + std::to_string(limits::kContestedTakeoversMax) +
                       " times within a minute");
  return held_by(Reason::kTakeoverContested, owner->active);
}

/// An IP belongs to one VSI of its VN. At another place that VSI has it with the same MAC, which check_owner() asks
/// for: a MAC of somebody's own would take the IP and nothing else.
std::optional<Refused> Impl::check_ip_owner(const VsiId& vsi, const Step& step) const {
  if (const Reason bad = policy.check_ip(step.vn, step.name.ip); bad != Reason::kNone)
    return Refused{bad, step.vn, about::Ip(step.name.ip)};
  if (const auto of = mac_of_eui64(step.name.ip); of && *of != step.name.mac)
    return Refused{Reason::kDuplicateIp, step.vn, about::Ip(step.name.ip)};
  const auto* other = tsis.ip_owners().other(step.vn, step.name.ip, {vsi, step.name.mac, step.instance});
  if (other == nullptr) return std::nullopt;
  return Refused{Reason::kDuplicateIp, step.vn, about::Holder(step.name, other->vsi)};
}

/// Both the place that it is taken to and the one that it is taken from have to let it.
bool Impl::may_take_over(Index from, Index to) const {
  return consents(peers[to].port_index, from, to) && consents(peers[from].port_index, from, to);
}

bool Impl::consents(std::uint32_t port_index, Index from, Index to) const {
  const bool same_port = peers[from].port_index == peers[to].port_index;
  const bool listed = same_port || policy.lists_for_takeover(port_index, peers[to].station);
  switch (policy.takeover(port_index)) {
    case Takeover::kAny: return true;
    case Takeover::kSamePort: return same_port;
    case Takeover::kDefault:
      return listed || (segments.is_direct(peers[from].port_index) && segments.is_direct(peers[to].port_index));
    case Takeover::kListed: return listed;
    case Takeover::kAuthenticated: return is_authenticated(to);
  }
  return false;
}

bool Impl::is_authenticated(Index peer) const {
  return peers[peer].authentication.authenticator().session() != nullptr;
}

/// By the request, or by the Pre-Associate before it. A station that does not know of migrations says nothing by
/// leaving M out: its Pre-Associate then Associate is how it moves a VSI.
bool Impl::signals_migration(Index peer, const vdp::Request& request, Index instance, bool reserved) const {
  if (request.migration == vdp::Migration::kArriving) return true;
  if (instance == kNoIndex) return false;
  if (tsis[instance].migration == vdp::Migration::kArriving) return true;
  return reserved && !peers[peer].exchange.flags().has(vdp::Flag::kMigration);
}

std::string Impl::address_of(const about::Holder& holder) {
  return holder.name.ip.is_none() ? holder.name.mac.to_string() : holder.name.ip.to_string();
}

std::string Impl::holder_of(const about::Holder& holder) const {
  if (holder.vsi != nullptr) return "VSI " + holder.vsi->to_string();
  return holder.tsi != kNoIndex ? place_of(holder.tsi) : "another nNVE, as the configuration says";
}

void Impl::note_claim(Index peer, const VsiId& vsi, const Refused& refused, bool logged, Instant now) {
  const Peer& from = peers[peer];
  const auto& holder = std::get<about::Holder>(refused.about);
  Claim claim{config.ports[from.port_index].id, from.station, vsi, refused.vn, holder.name, {}, {}, now};
  if (contests.repeats(claim) || !logged) return;
  claim.address = address_of(holder);
  claim.holder = holder_of(holder);
  contests.note(std::move(claim));
}

/// One that has said that it leaves does not contest.
void Impl::taken_over(Index loser, const AddressKey& key, Instant now) {
  if (tsis[loser].migration != vdp::Migration::kDeparting) contests.taken(key, now);
  if (is_legacy(tsis[loser].peer)) loser_holds.set(loser, now + config.legacy_loser_hold);
}

// --- a legacy station whose VSI has moved (S6) ---

/// It believes its VSI Associated, and ends the VSI at a refusal: for a while it is let believe.
bool Impl::is_held_loser(Index instance) const {
  return loser_holds.contains(instance) && is_legacy(tsis[instance].peer);
}

void Impl::end_loser_hold(Index instance, Instant now) {
  if (!tsis.rows().contains(instance) || !is_legacy(tsis[instance].peer)) return;
  std::vector<MacAddress> moved;
  for (const AddressRow& address : tsis[instance].addresses) {
    if (!address.superseded) continue;
    if (tsis.busy(instance, address)) return loser_holds.set(instance, now + kRetryInterval);
    moved.push_back(address.mac);
  }
  if (moved.empty()) return;  // the winner has left
  const char* text = info(Reason::kSuperseded).text;
  command(instance, moved, false, said(Reason::kSuperseded, text));
  for (const MacAddress& mac : moved)
    if (remove_address(instance, mac, Reason::kNone, text, now)) return;
}

// --- refusals of a legacy station ---

bool Impl::is_legacy(Index peer) const { return peers[peer].exchange.verdict() != vdp::Exchange::Verdict::kCapable; }

/// lldpad takes KEEP on a new Associate for success: a VSI that it would raise goes with the refusal (S4).
bool Impl::would_raise_legacy(Index peer, const VsiId& vsi, vdp::TlvType command) const {
  if (command != vdp::TlvType::kAssociate) return false;
  if (!is_legacy(peer)) return false;
  bool reserved = false, active = false;
  for (Index i = tsis.first_of_vsi(vsi, peer); i != kNoIndex; i = tsis[i].next_of_vsi) {
    active = active || tsis[i].state() == TsiState::kActivated;
    // One that was superseded is reserved by our doing: its station has it Associated, and KEEP is as it was.
    const bool superseded = std::ranges::any_of(tsis[i].addresses, &AddressRow::superseded);
    reserved = reserved || (tsis[i].state() == TsiState::kAssociated && !superseded);
  }
  return reserved && !active;
}

void Impl::remove_vsi(Index peer, const VsiId& vsi, Reason reason, Instant now) {
  for (Index i = tsis.first_of_vsi(vsi, peer); i != kNoIndex; i = tsis.first_of_vsi(vsi, peer))
    remove_instance(i, reason, info(reason).text, now);
}

bool Impl::keeps(Index peer, const VsiId& vsi, vdp::TlvType command, Instant now) {
  if (!would_raise_legacy(peer, vsi, command)) return tsis.has(vsi, peer);
  if (is_worked_on(vsi)) return false;  // what is on its way comes to its own end
  remove_vsi(peer, vsi, Reason::kNone, now);
  return false;
}

// --- our own addresses ---

/// What a TSI has that is ours now goes: it would get what is meant for us.
void Impl::handle_port_mac(std::uint32_t port_index, const MacAddress& mac, Instant now) {
  policy.set_port_mac(port_index, mac);
  for (const VnConfig& vn : config.vns) {
    while (const Owner* owner = tsis.owner({vn.id, mac})) {
      const Index instance = owner->holder;
      journal.notice("nnved.own_mac_claimed", agent::Notice::Level::kError,
                     "mac " + mac.to_string() + " of port " + config.ports[port_index].interface_name +
                         " is claimed by " + place_of(instance));
      withdraw(instance, info(Reason::kReservedMac).text, now);
    }
  }
  settle(now);
}

void Agent::handle_port_mac(PortId port, const MacAddress& mac, Instant now) {
  if (const auto port_index = impl_->policy.port_index(port)) impl_->handle_port_mac(*port_index, mac, now);
}

std::vector<ClaimView> Agent::claims(Instant now) {
  const auto standing = impl_->contests.claims(now);
  std::vector<ClaimView> views;
  views.reserve(standing.size());
  for (const Claim& claim : standing)
    views.push_back({claim.port, claim.station, claim.vsi, claim.vn, claim.address, claim.holder, claim.at});
  return views;
}

}  // namespace splitnve::nnved
