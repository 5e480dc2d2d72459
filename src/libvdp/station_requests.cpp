// SPDX-License-Identifier: Apache-2.0
// Station transactions: which request an association needs next, and VDPDUs full of them.
#include <algorithm>
#include <utility>

#include "splitnve/base/check.hpp"
#include "splitnve/base/limits.hpp"
#include "splitnve/vdp/station.hpp"

namespace splitnve::vdp {
namespace {

/// Associations that compose() looks at for the leading one's manager: bounds its work when managers alternate.
constexpr std::size_t kLookAhead = 1024;
/// Fresh commands go first, but a lasting stream of them must not let settled associations age out at the bridge: after
/// so many VDPDUs without a waiting keep-alive the next one begins with keep-alives.
constexpr unsigned kFreshStreakMax = 3;

/// An IP raises its MAC at the peer: what the MAC is there is open until a request of its own was answered.
void doubt_mac(auto& entries, const MacAddress& mac, Level asked) {
  for (auto& entry : entries) {
    if (entry.mac != mac || entry.ip != 0 || entry.confirmed >= asked) continue;
    entry.uncertain = true;
    entry.maybe_active = entry.maybe_active || asked == Level::kActive;
  }
}

}  // namespace

Station::Verb Station::verb(const Entry& entry) const {
  switch (entry.target()) {
    case Level::kNone: return Verb::kRemove;
    case Level::kActive: return Verb::kActivate;
    case Level::kReserved: break;
  }
  return entry.was_associated() && !peer_.has(Flag::kDeactivate) ? Verb::kSuspend : Verb::kReserve;
}

/// Must a request name the whole set (S20)? A set that no TLV can hold goes out in parts to any peer.
bool Station::full_set(const Row& row) const {
  if (peer_.has(Flag::kIncrementalFilter)) return false;
  const std::size_t most = entries_per_tlv_max(row.format);
  const auto told = [](const Entry& entry) { return entry.wanted() && !entry.mute; };
  return static_cast<std::size_t>(std::ranges::count_if(row.entries, told)) <= most &&
         static_cast<std::size_t>(std::ranges::count_if(row.entries, &Entry::at_peer)) <= most;
}

FilterFormat Station::format_of(Handle handle, const Entry& entry) const {
  return entry.ip == 0 ? associations_[handle].format : group_mac_format(ips_.get(handle, entry.ip));
}

Station::Plan Station::plan(Handle handle) {
  const Row& row = associations_[handle];
  chosen_.clear();
  return full_set(row) ? plan_full_set(row) : plan_incremental(handle);
}

/// One verb and one format at a time: IPs before their MAC, so that it opens guarded, and behind it when they go.
Station::Plan Station::plan_incremental(Handle handle) {
  const Row& row = associations_[handle];
  Verb first = Verb::kActivate;
  for (const Entry& entry : row.entries)
    if (entry.need() != Need::kNothing) first = std::min(first, verb(entry));
  const Entry* lead = nullptr;
  for (const Entry& entry : row.entries) {
    if (entry.need() == Need::kNothing || verb(entry) != first) continue;
    if (lead == nullptr || (first != Verb::kRemove && lead->ip == 0 && entry.ip != 0)) lead = &entry;
  }
  ensure(lead != nullptr, "an association is planned only while an entry needs something");
  // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): ensured
  Plan plan{TlvType::kAssociate, row.status, format_of(handle, *lead), true, false};
  switch (first) {
    case Verb::kRemove: plan = {TlvType::kDeAssociate, 0, plan.format, true, false}; break;
    case Verb::kReserve: plan.command = TlvType::kPreAssociateRr; break;
    case Verb::kSuspend: plan.status = kStatusSuspended; break;
    case Verb::kActivate: break;
  }
  const std::size_t most = entries_per_tlv_max(plan.format);
  for (std::uint32_t i = 0; i < row.entries.size() && chosen_.size() < most; ++i) {
    const Entry& entry = row.entries[i];
    if (entry.need() == Need::kNothing || verb(entry) != first || format_of(handle, entry) != plan.format) continue;
    plan.renewal = plan.renewal && entry.need() == Need::kRenewal;
    chosen_.push_back(i);
  }
  return plan;
}

/// The peer knows one filter set and one level per VSI: the set is that of all entries, the level the highest.
Station::Plan Station::plan_full_set(const Row& row) {
  const bool renewal = work(row) == Need::kRenewal;
  const bool holds_any = std::ranges::any_of(row.entries, &Entry::at_peer);
  bool superfluous = false, missing = false, active = false, held = false;
  for (std::uint32_t i = 0; i < row.entries.size(); ++i) {
    const Entry& entry = row.entries[i];
    if (entry.mute) continue;
    const Level level = renewal ? entry.confirmed : entry.desired;
    superfluous |= !renewal && entry.at_peer() && !entry.wanted();
    missing |= !renewal && !entry.at_peer() && entry.wanted();
    active |= level == Level::kActive;
    held |= entry.was_associated();
    if (level != Level::kNone) chosen_.push_back(i);
  }
  if (superfluous || (missing && holds_any)) return plan_removal(row, !chosen_.empty());
  if (active) return {TlvType::kAssociate, row.status, row.format, renewal, false};
  if (held && !peer_.has(Flag::kDeactivate)) return {TlvType::kAssociate, kStatusSuspended, row.format, renewal, false};
  return {TlvType::kPreAssociateRr, row.status, row.format, renewal, false};
}

Station::Plan Station::plan_removal(const Row& row, bool replacing) {
  chosen_.clear();
  for (std::uint32_t i = 0; i < row.entries.size(); ++i)
    if (row.entries[i].at_peer()) chosen_.push_back(i);
  return {TlvType::kDeAssociate, 0, row.format, false, replacing};
}

bool Station::compose(OctetString& out, Instant now, const Capabilities* show, Which which) {
  const bool all = which == Which::kAll;
  if (all ? !queued() : renewals_.empty()) return false;
  replies_sent_ = 0;  // an outcome that was never told counts as failed
  vns_.handle_delivery_failed();
  const std::size_t waiting = renewals_.size();
  const bool renewals_lead = !all || fresh_.empty() || (waiting != 0 && fresh_streak_ >= kFreshStreakMax);
  IndexList& lead = renewals_lead ? renewals_ : fresh_;
  const ManagerId manager = all ? leading_manager(lead) : associations_[lead.front()].manager;
  out.resize(vdpdu_octets_max_);
  VdpduWriter writer(out, manager);
  if (show != nullptr) writer.reserve(extension_octets(*show));
  composed_.clear();
  ++serial_;
  const bool of_vns = all && vns_.queued() && vns_.write(writer, now);
  const bool room = !all || write_replies(writer, manager);
  if (room) {
    fill(writer, lead, manager, now);
    if (all) fill(writer, renewals_lead ? fresh_ : renewals_, manager, now);
  }
  ensure(!composed_.empty() || replies_sent_ != 0 || of_vns, "what waits for its turn fits an empty VDPDU");
  fresh_streak_ = waiting != 0 && renewals_.size() == waiting ? fresh_streak_ + 1 : 0;
  if (show != nullptr) write_reserved(writer, *show);
  out.resize(writer.finish().size());
  return true;
}

/// What is said of whole VNs has no manager.
ManagerId Station::leading_manager(const IndexList& lead) const {
  if (!replies_.empty()) return replies_.front().manager;
  return lead.empty() ? ManagerId{} : associations_[lead.front()].manager;
}

/// Answers to commands of the bridge go first. True if there is room for requests behind them.
bool Station::write_replies(VdpduWriter& writer, const ManagerId& manager) {
  for (; replies_sent_ < replies_.size(); ++replies_sent_) {
    const Reply& reply = replies_[replies_sent_];
    if (reply.manager != manager) return true;
    if (!writer.fits(reply.format, reply.entries.size())) return false;
    writer.association(reply.command, ResponseStatus().octet(), reply.type, reply.vsi, reply.format, reply.entries);
  }
  return true;
}

void Station::fill(VdpduWriter& writer, const IndexList& list, const ManagerId& manager, Instant now) {
  Handle next = list.front();
  for (std::size_t looked = 0; next != kNoHandle && looked < kLookAhead; ++looked) {
    const Handle handle = next;
    next = associations_[handle].link.next;
    if (associations_[handle].manager == manager && !append(writer, handle, now)) return;
  }
}

/// False if the association's request does not fit; then nothing has changed.
bool Station::append(VdpduWriter& writer, Handle handle, Instant now) {
  const Row& row = associations_[handle];
  const Plan planned = plan(handle);
  ensure(!chosen_.empty(), "a queued association has something to ask for");
  const auto migration = migration_to_tell(row, planned);
  if (!writer.fits(planned.format, chosen_.size(), migration ? extension_octets(*migration) : 0)) return false;
  written_.clear();
  for (const std::uint32_t i : chosen_) {
    const Entry& entry = row.entries[i];
    written_.push_back({has_group(row.format) ? row.group : GroupId(), has_mac(row.format) ? entry.mac : MacAddress(),
                        entry.null_vid ? Vid() : entry.vid, !row.priority.is_none(), row.priority.pcp(),
                        ips_.get(handle, entry.ip)});
  }
  writer.association(planned.command, planned.status, row.type, row.vsi, planned.format, written_);
  if (migration) ensure(write_extension(writer, *migration), "its room was asked for");
  commit(handle, planned, now);
  return true;
}

/// Our TLV goes along only where the bits do not say it (S20).
std::optional<Extension> Station::migration_to_tell(const Row& row, const Plan& plan) const {
  if (!peer_.has(Flag::kMigration) || plan.command == TlvType::kDeAssociate) return std::nullopt;
  const bool suspended = (plan.status & kStatusSuspended) != 0, migrating = (plan.status & kStatusMigrating) != 0;
  if (migration_of_bits(suspended, migrating, true) == row.migration) return std::nullopt;
  return row.migration;
}

/// The planned request is the association's command from now on; what came before it is answered no more.
void Station::commit(Handle handle, const Plan& plan, Instant now) {
  dequeue(handle);
  Row& row = associations_[handle];
  const bool whole = full_set(row);
  const bool same_timer = row.response_timer && row.command == plan.command && deadlines_.contains(handle);
  for (Entry& entry : row.entries) entry.in_flight = false;
  for (const std::uint32_t i : chosen_) {
    Entry& entry = row.entries[i];
    if (whole && !plan.renewal) entry.refused = false;
    entry.in_flight = entry.uncertain = true;
    if (plan.command == TlvType::kAssociate) entry.maybe_active = true;
    entry.sent = plan.command == TlvType::kDeAssociate ? Level::kNone
                 : whole && plan.renewal               ? entry.confirmed
                                                       : entry.target();
    if (entry.ip != 0) doubt_mac(row.entries, entry.mac, entry.sent);
  }
  if (row.command == TlvType::kDeAssociate && plan.command != row.command) row.removal_unanswered = true;
  if (associations_.contains(last_sent_)) associations_[last_sent_].sent_next = handle;
  last_sent_ = handle;
  row.sent_next = kNoHandle;
  row.command = plan.command;
  row.state = State::kAwaitingResponse;
  row.vdpdu = serial_;
  row.response_timer = true;
  // Repeats after an ECP failure share the first one's response timer (S10).
  if (!same_timer) deadlines_.set(handle, now + answer_wait(plan.renewal));
  composed_.push_back(handle);
  ++stats_.requests;
  if (plan.renewal) ++stats_.keepalives;
  if (plan.replacing) ++stats_.set_changes;
}

void Station::handle_delivered(Instant) {
  vns_.handle_delivered();
  composed_.clear();
  replies_.erase(replies_.begin(), replies_.begin() + static_cast<std::ptrdiff_t>(std::exchange(replies_sent_, 0)));
}

void Station::handle_delivery_failed(Instant) {
  vns_.handle_delivery_failed();
  for (auto handle = composed_.rbegin(); handle != composed_.rend(); ++handle) {
    if (!associations_.contains(*handle)) continue;
    Row& row = associations_[*handle];
    if (row.vdpdu != serial_ || row.state != State::kAwaitingResponse) continue;
    const Need need = work(row);
    if (need == Need::kNothing) continue;
    row.state = State::kQueued;
    enqueue(*handle, need, true);
  }
  composed_.clear();
  replies_sent_ = 0;
}

}  // namespace splitnve::vdp
