// SPDX-License-Identifier: Apache-2.0
// Station transactions: what the bridge says. Responses settle or refuse, a De-Associate of its own revokes.
#include <algorithm>
#include <utility>

#include "splitnve/base/limits.hpp"
#include "splitnve/vdp/station.hpp"

namespace splitnve::vdp {
namespace {

bool adds(TlvType command) {
  return command == TlvType::kPreAssociate || command == TlvType::kPreAssociateRr || command == TlvType::kAssociate;
}

/// A success must name a VID that can be used for every entry.
bool vids_usable(const Association& association) {
  for (std::size_t i = 0; i < association.count; ++i)
    if (!association.entry(i).vid.is_assignable()) return false;
  return true;
}

/// A De-Associate that answers an Associate refuses it, even with code 0.
ResponseStatus as_refusal(ResponseStatus status) {
  return status.success() ? ResponseStatus{Code::kOther, false, status.hard} : status;
}

}  // namespace

Decoded<Heard> Station::handle_vdpdu(Octets vdpdu, Instant now) {
  const auto heard = survey(vdpdu);
  if (!heard) return heard;
  vns_.begin_vdpdu();
  StatementReader reader(vdpdu);
  while (const auto statement = reader.next()) {
    const Tlv& tlv = statement->tlv;
    why_ = statement->reason ? statement->reason->text : std::string_view();
    told_ = &*statement;
    if (extension_type(tlv) == ExtensionType::kVnRequest) {
      handle_vn_request(*statement, now);
    } else if (extension_type(tlv) == ExtensionType::kStanding) {
      handle_standing(tlv);
    } else if (!is_association(static_cast<TlvType>(tlv.type))) {
      if (!is_looked_at_elsewhere(tlv)) ++stats_.skipped_tlvs;
    } else if (const auto association = decode_association(tlv)) {
      handle_association(reader.manager(), *association, now);
    } else {
      handle_undecodable(tlv, now);
    }
  }
  why_ = {};
  told_ = nullptr;
  stats_.skipped_tlvs += reader.unusable();
  return heard;
}

void Station::handle_vn_request(const Statement& statement, Instant now) {
  const auto read = decode_extension(statement.tlv);
  if (!read) {
    ++stats_.skipped_tlvs;
    return;
  }
  vns_.handle(std::get<VnRequest>(**read), statement.reason, now, statement.name);
}

void Station::handle_standing(const Tlv& tlv) {
  const auto read = decode_extension(tlv);
  if (!read || !offered_.has(Flag::kStanding)) {
    ++stats_.skipped_tlvs;
    return;
  }
  standings_.push_back(std::get<Standing>(**read));
}

std::optional<Standing> Station::poll_standing() {
  if (standings_.empty()) return std::nullopt;
  const Standing standing = standings_.front();
  standings_.pop_front();
  return standing;
}

void Station::handle_association(const ManagerId& manager, const Association& association, Instant now) {
  const bool deassociate = association.command == TlvType::kDeAssociate;
  if (association.is_response()) {
    deassociate ? handle_deassociate_response(manager, association, now) : handle_response(manager, association, now);
  } else if (deassociate) {
    handle_bridge_deassociate(association, now);
  } else if (association.command != TlvType::kAssociate && offered_.has(Flag::kBridgeDeactivate)) {
    handle_bridge_deactivate(manager, association, now);
  } else {
    ++stats_.skipped_tlvs;
  }
}

/// A bridge that could not decode our request repeats its head without entries. Only one association of the VSI may be
/// meant by that, else nobody knows which.
void Station::handle_undecodable(const Tlv& tlv, Instant now) {
  const auto head = decode_association_head(tlv);
  if (!head || (head->status & kStatusResponse) == 0) {
    ++stats_.skipped_tlvs;
    return;
  }
  Handle meant = kNoHandle;
  std::size_t candidates = 0;
  for (Handle h = first_of(head->vsi); h != kNoHandle; h = associations_[h].next_of_vsi) {
    if (associations_[h].command != head->command) continue;
    meant = h;
    ++candidates;
  }
  const ResponseStatus status = ResponseStatus::from_octet(head->status);
  if (candidates != 1 || status.success()) return count_unmatched(head->vsi, head->command, head->status);
  refuse(meant, status, now);
}

// --- matching ---

/// Same entries, order and count as the association's last command. A success fills in VIDs. A refusal should repeat
/// those of the request; one that does not is taken as well, but not as one of the repeat with VID 0 if it names the
/// VID of the request before that (S13, S45).
bool Station::same_entries(Handle handle, const Association& association, Vids vids) const {
  const Row& row = associations_[handle];
  std::size_t at = 0;
  for (const Entry& entry : row.entries) {
    if (!entry.in_flight) continue;
    if (at == association.count || association.format != format_of(handle, entry)) return false;
    const FilterEntry answered = association.entry(at++);
    if (has_group(row.format) && answered.group != row.group) return false;
    if (has_mac(row.format) && answered.mac != entry.mac) return false;
    if (answered.ip != ips_.get(handle, entry.ip)) return false;
    const Vid asked = entry.null_vid ? Vid() : entry.vid;
    if (association.response().success() || answered.vid == asked) continue;
    if (vids == Vids::kRepeated || (entry.null_vid && answered.vid == entry.vid)) return false;
  }
  return at != 0 && at == association.count;
}

bool Station::answers(Handle handle, const Association& association, Vids vids) const {
  return associations_[handle].command == association.command && same_entries(handle, association, vids);
}

void Station::count_unmatched(const VsiId& vsi, TlvType command, std::uint8_t status) {
  ++stats_.unmatched;
  unmatched_ = Unmatched{vsi, command, ResponseStatus::from_octet(status), std::string(why_)};
}

/// The manager is an attribute, no part of the key: an answer under another one is an answer (S46).
void Station::count_manager(Handle handle, const ManagerId& manager) {
  if (associations_[handle].manager != manager) ++stats_.other_manager;
}

/// Among 100,000 VSIs looking one up waits for memory longer than all else that an answer costs; the expected one is at
/// hand.
Station::Handle Station::match(const Association& association) const {
  if (associations_.contains(expected_) && associations_[expected_].vsi == association.vsi &&
      answers(expected_, association, Vids::kRepeated))
    return expected_;
  for (const Vids vids : {Vids::kRepeated, Vids::kAny})
    for (Handle h = first_of(association.vsi); h != kNoHandle; h = associations_[h].next_of_vsi)
      if (answers(h, association, vids)) return h;
  return kNoHandle;
}

/// An Associate that a De-Associate may refuse; not while the late answer to a De-Associate of ours looks the same.
Station::Handle Station::match_refused(const Association& association) const {
  for (Handle h = first_of(association.vsi); h != kNoHandle; h = associations_[h].next_of_vsi) {
    const Row& row = associations_[h];
    if (adds(row.command) && !row.removal_unanswered && same_entries(h, association, Vids::kAny)) return h;
  }
  return kNoHandle;
}

// --- responses ---

void Station::handle_response(const ManagerId& manager, const Association& association, Instant now) {
  const Handle handle = match(association);
  const ResponseStatus status = association.response();
  if (handle == kNoHandle || (status.success() && !vids_usable(association)))
    return count_unmatched(association.vsi, association.command, association.status);
  count_manager(handle, manager);
  if (status.success()) {
    accept(handle, &association, now);
  } else {
    refuse(handle, status, now);
  }
}

void Station::handle_deassociate_response(const ManagerId& manager, const Association& association, Instant now) {
  if (association.count == 0) {
    handle_whole_deassociate(association, now);
    return;
  }
  const ResponseStatus status = association.response();
  if (const Handle handle = match(association); handle != kNoHandle) {
    count_manager(handle, manager);
    status.success() ? accept(handle, &association, now) : refuse(handle, status, now);
  } else if (const Handle refused = match_refused(association); refused != kNoHandle) {
    count_manager(refused, manager);
    refuse(refused, as_refusal(status), now);
  } else {
    count_unmatched(association.vsi, association.command, association.status);
  }
}

/// 0x40 without entries: the answer to our De-Associate if there is one, else a bridge without our capabilities takes
/// the VSI away. One with them would ask; what it answers to another station of the segment is not for us.
void Station::handle_whole_deassociate(const Association& association, Instant now) {
  const ResponseStatus status = association.response();
  bool ours = false;
  for (Handle h = first_of(association.vsi); h != kNoHandle; h = associations_[h].next_of_vsi)
    ours |= associations_[h].command == TlvType::kDeAssociate;
  if (first_of(association.vsi) == kNoHandle || (!ours && peer_ != Flags()))
    return count_unmatched(association.vsi, association.command, association.status);
  for (Handle next = first_of(association.vsi); next != kNoHandle;) {
    const Handle handle = next;
    next = associations_[handle].next_of_vsi;
    const TlvType command = associations_[handle].command;
    if (ours) {
      if (command != TlvType::kDeAssociate) continue;
      status.success() ? accept(handle, nullptr, now) : refuse(handle, status, now);
      continue;
    }
    const ResponseStatus refusal = as_refusal(status);
    if (adds(command)) refuse(handle, refusal, now);
    if (!refusal.keep && associations_.contains(handle)) revoke_all(handle, now);
  }
}

/// Whatever the answer says, the association's command is answered: its timer, back-off and queue place are gone.
TlvType Station::take_answer(Handle handle) {
  ++stats_.responses;
  dequeue(handle);
  deadlines_.clear(handle);
  answered_again(handle);
  Row& row = associations_[handle];
  row.response_timer = row.removal_unanswered = false;
  row.state = State::kSettled;
  expected_ = row.sent_next;
  return std::exchange(row.command, TlvType::kEnd);
}

/// An answer that grants something tells all of the VN's attributes, none included.
void Station::learn_attributes(GroupId group) {
  if (told_ == nullptr || (told_->attributes.empty() && attributes_.empty())) return;
  const auto told = std::ranges::find(told_->attributes, group, &VnAttributes::group);
  if (told != told_->attributes.end() && told->flags != 0)
    attributes_[group] = told->flags;
  else
    attributes_.erase(group);
}

void Station::accept(Handle handle, const Association* answer, Instant now) {
  const TlvType command = take_answer(handle);
  Row& row = associations_[handle];
  if (command != TlvType::kDeAssociate) learn_attributes(row.group);
  std::size_t at = 0;
  for (Entry& entry : row.entries) {
    entry.in_answer = entry.in_flight;
    if (entry.in_flight) accept_entry(handle, entry, command, answer == nullptr ? FilterEntry() : answer->entry(at++));
  }
  if (command != TlvType::kDeAssociate && ips_.count(handle) != 0) accept_macs(handle);
  // One that the answer does not speak for still ages from its own last renewal.
  const bool all_renewed = command != TlvType::kDeAssociate && std::ranges::all_of(row.entries, [](const Entry& e) {
                             return e.in_answer || !e.renewable();
                           });
  if (all_renewed) row.keepalive_at = next_keepalive(handle, now);
  settle_entries(handle);
  advance(handle, now);
}

void Station::accept_entry(Handle handle, Entry& entry, TlvType command, const FilterEntry& answer) {
  if (command == TlvType::kDeAssociate) {
    entry.in_flight = entry.uncertain = entry.maybe_active = entry.renew = entry.null_vid = false;
    if (entry.wanted()) {
      entry.lost = entry.lost || entry.confirmed != Level::kNone;
      entry.owed = true;
    }
    entry.confirmed = Level::kNone;
    entry.held_active = false;
    return;
  }
  grant_entry(handle, entry, command == TlvType::kAssociate, answer.vid, answer.priority());
}

/// To name an IP renews its MAC at the bridge, and raises it, but never lowers it: so one TLV does for both, unless the
/// MAC may be active there, from an earlier life of ours as well, and shall not be (H7). It is granted with the last of
/// its IPs that was asked for: it opens guarded.
void Station::accept_macs(Handle handle) {
  Row& row = associations_[handle];
  for (Entry& mac : row.entries) {
    if (mac.ip != 0 || mac.in_answer || mac.refused || !mac.wanted()) continue;
    const Entry* spoken = nullptr;
    bool waits = false;
    for (const Entry& ip : row.entries) {
      if (ip.ip == 0 || ip.mac != mac.mac) continue;
      waits = waits || ip.need() == Need::kChange;
      const bool renews_or_raises = ip.sent == Level::kActive || (mac.level_answered && !mac.was_associated());
      if (ip.in_answer && ip.sent == mac.target() && renews_or_raises) spoken = &ip;
    }
    if (spoken == nullptr || waits) continue;
    // A MAC that is known there keeps its VID: where that may be another one, the MAC asks for itself.
    if (mac.confirmed != Level::kNone && !mac.null_vid && mac.vid != spoken->vid) continue;
    mac.sent = spoken->sent;
    mac.in_answer = true;
    grant_entry(handle, mac, spoken->held_active, spoken->vid, spoken->priority);
  }
}

/// What was sent for the entry stands at the bridge.
void Station::grant_entry(Handle handle, Entry& entry, bool associated, Vid vid, Priority priority) {
  entry.level_answered = true;
  entry.in_flight = entry.uncertain = entry.maybe_active = entry.renew = entry.null_vid = false;
  if (entry.confirmed != entry.sent || entry.vid != vid || entry.priority != priority || entry.lost) entry.owed = true;
  entry.confirmed = entry.sent;
  entry.held_active = associated;
  entry.vid = vid;
  entry.priority = priority;
  entry.lost = false;
  if (entry.desired == entry.sent) entry.refused = false;
  const bool still_held = told_ != nullptr && told_->reason;
  if (!entry.held || still_held || !peer_.has(Flag::kStanding)) return;
  entry.held = false;
  events_.push_back(Released{handle, entry.mac, ips_.get(handle, entry.ip)});
}

void Station::refuse(Handle handle, ResponseStatus status, Instant now) {
  Row& row = associations_[handle];
  const bool whole = full_set(row);
  const TlvType command = take_answer(handle);
  ++stats_.refused;
  if (!retry_with_null_vid(row, status)) {
    const std::uint16_t cause = told_ != nullptr && told_->reason ? told_->reason->cause : std::uint16_t{0};
    events_.push_back(Refused{handle, command, status, std::string(why_), cause});
    for (Entry& entry : row.entries)
      if (entry.in_flight || (whole && !status.keep)) refuse_entry(handle, entry, command, status.keep);
  }
  settle_entries(handle);
  advance(handle, now);
}

void Station::refuse_entry(Handle handle, Entry& entry, TlvType command, bool keep) {
  const bool desire_refused = entry.in_flight && entry.desired == entry.sent;
  entry.in_flight = entry.uncertain = entry.maybe_active = entry.renew = entry.null_vid = false;
  if (desire_refused) entry.owed = false;
  if (command == TlvType::kDeAssociate && keep && associations_[handle].closing) {
    entry.confirmed = Level::kNone;  // the owner gave it up; unrenewed it ages out
    return;
  }
  if (!keep || entry.confirmed == Level::kNone) lose(handle, entry);
  if (desire_refused) entry.refused = entry.desired != entry.confirmed;
}

/// Code 5 may mean that a remembered VID is taken: ask once for any (S13).
bool Station::retry_with_null_vid(Row& row, ResponseStatus status) {
  const auto named_vid = [](const Entry& e) { return e.in_flight && !e.vid.is_null() && !e.null_vid; };
  if (status.code != Code::kInvalidAddress || std::ranges::none_of(row.entries, named_vid)) return false;
  ++stats_.null_vid_retries;
  for (Entry& entry : row.entries) {
    if (!entry.in_flight) continue;
    entry.in_flight = entry.uncertain = entry.maybe_active = false;
    entry.null_vid = true;
    if (!status.keep && entry.confirmed != Level::kNone) {
      entry.confirmed = Level::kNone;
      entry.held_active = false;
      entry.lost = true;
    }
    entry.renew = entry.renewable();
  }
  return true;
}

// --- losses ---

/// The entry is gone at the peer.
void Station::lose(Handle handle, Entry& entry) {
  const bool held = entry.confirmed != Level::kNone || entry.lost;
  entry.confirmed = Level::kNone;
  entry.uncertain = entry.held_active = entry.maybe_active = entry.renew = entry.lost = false;
  if (!entry.wanted()) {
    entry.owed = true;
  } else if (held) {
    ++stats_.revoked;
    events_.push_back(Revoked{handle, entry.mac, ips_.get(handle, entry.ip), std::string(why_)});
  }
}

/// The bridge took the entry away by itself; it is not asked for again before the owner says so. A request under way is
/// still answered.
void Station::revoke(Handle handle, Entry& entry) {
  if (entry.confirmed == Level::kNone && !entry.lost) return;
  lose(handle, entry);
  entry.refused = entry.wanted();
  if (associations_[handle].state != State::kAwaitingResponse) entry.in_flight = false;
  entry.uncertain = entry.in_flight;
}

void Station::revoke_all(Handle handle, Instant now) {
  for (Entry& entry : associations_[handle].entries) revoke(handle, entry);
  after_revocation(handle, now);
}

/// The row's entries that the bridge names; what a format lacks names all.
template <class F>
void Station::for_each_named(Handle handle, const Association& association, F&& visit) {
  Row& row = associations_[handle];
  const FilterFormat format = association.format;
  for (std::size_t i = 0; i < association.count; ++i) {
    const FilterEntry named = association.entry(i);
    if (has_group(format) && named.group != row.group) continue;
    for (Entry& entry : row.entries) {
      if (has_mac(format) && has_mac(row.format) && named.mac != entry.mac) continue;
      if (has_ip(format) && named.ip != ips_.get(handle, entry.ip)) continue;
      // Without GroupID and MAC the VID is the only key there is.
      if (format == FilterFormat::kVid && !named.vid.is_null() && named.vid != entry.vid) continue;
      visit(entry);
    }
  }
}

void Station::revoke_named(Handle handle, const Association& association, Instant now) {
  for_each_named(handle, association, [&](Entry& entry) { revoke(handle, entry); });
  after_revocation(handle, now);
}

void Station::after_revocation(Handle handle, Instant now) {
  Row& row = associations_[handle];
  if (row.state != State::kAwaitingResponse &&
      std::ranges::none_of(row.entries, [](const Entry& e) { return e.uncertain; })) {
    row.command = TlvType::kEnd;
    row.response_timer = false;
    if (row.state == State::kUnconfirmed) row.state = State::kSettled;
  }
  settle_entries(handle);
  advance(handle, now);
}

void Station::handle_bridge_deassociate(const Association& association, Instant now) {
  for (Handle next = first_of(association.vsi); next != kNoHandle;) {
    const Handle handle = next;
    next = associations_[handle].next_of_vsi;
    association.count == 0 ? revoke_all(handle, now) : revoke_named(handle, association, now);
  }
}

/// The bridge reserves what was active; it is answered, and what it names is not activated again by itself.
void Station::handle_bridge_deactivate(const ManagerId& manager, const Association& association, Instant now) {
  for (Handle next = first_of(association.vsi); next != kNoHandle;) {
    const Handle handle = next;
    next = associations_[handle].next_of_vsi;
    for_each_named(handle, association, [&](Entry& entry) { lower(handle, entry); });
    settle_entries(handle);
    advance(handle, now);
  }
  if (replies_.size() >= limits::kRepliesMax) {
    ++stats_.replies_dropped;
    return;
  }
  Reply& reply = replies_.emplace_back(
      Reply{association.command, manager, association.type, association.vsi, association.format, {}});
  for (std::size_t i = 0; i < association.count; ++i) reply.entries.push_back(association.entry(i));
}

/// A request under way that wants the entry active is refused by the bridge, or was granted before.
void Station::lower(Handle handle, Entry& entry) {
  if (entry.confirmed != Level::kActive) return;
  entry.confirmed = Level::kReserved;
  entry.held_active = entry.maybe_active = entry.lost = false;
  entry.refused = entry.desired == Level::kActive;
  entry.held = true;
  ++stats_.lowered;
  events_.push_back(Lowered{handle, entry.mac, ips_.get(handle, entry.ip), std::string(why_)});
}

}  // namespace splitnve::vdp
