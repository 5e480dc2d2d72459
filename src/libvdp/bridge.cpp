// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/bridge.hpp"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "splitnve/base/limits.hpp"

namespace splitnve::vdp {
namespace {

/// What compose() looks at for the leading answer's manager: bounds its work when managers alternate.
constexpr std::size_t kLookAhead = 256;
/// Requests beyond the limit are still answered (code 2); beyond twice the limit they are dropped, for an answer that
/// waits takes memory as well. The station repeats.
constexpr std::size_t kRequestsHeldMax = 2 * limits::kPendingRequestsPerPeerMax;

constexpr ResponseStatus kMalformed{Code::kInvalidFormat, true, false};
constexpr ResponseStatus kTooMany{Code::kInsufficientResources, true, false};
constexpr const char* kTooManyText = "too many requests of the station wait for a decision";
constexpr ResponseStatus kOvertaken{Code::kOther, true, false};
constexpr const char* kOvertakenText = "a De-Associate overtook the command";
constexpr const char* kExpiredText = "no decision within the decision deadline";

/// Do the two entries name anything in common, as far as both formats tell (S3)?
bool same_thing(FilterFormat a_format, const FilterEntry& a, FilterFormat b_format, const FilterEntry& b) {
  const bool groups = has_group(a_format) && has_group(b_format);
  const bool macs = has_mac(a_format) && has_mac(b_format);
  if (groups && a.group != b.group) return false;
  if (macs && a.mac != b.mac) return false;
  if (has_ip(a_format) && has_ip(b_format) && a.ip != b.ip) return false;
  return groups || macs || a.vid.is_null() || b.vid.is_null() || a.vid == b.vid;
}

/// Of two entries, what both formats can tell; entries that are alike in it name something in common.
using Common = std::tuple<GroupId, MacAddress, IpPrefix>;

/// No entries stands for the whole VSI. What takes more than a few comparisons is sorted first: a station chooses how
/// many entries it sends.
bool overlap(const Request& a, const Request& b) {
  if (a.entries.empty() || b.entries.empty()) return true;
  constexpr std::size_t kFew = 64;
  const bool groups = has_group(a.format) && has_group(b.format);
  const bool macs = has_mac(a.format) && has_mac(b.format);
  const bool ips = has_ip(a.format) && has_ip(b.format);
  if (a.entries.size() * b.entries.size() <= kFew || (!groups && !macs))
    return std::ranges::any_of(a.entries, [&](const FilterEntry& left) {
      return std::ranges::any_of(b.entries,
                                 [&](const FilterEntry& right) { return same_thing(a.format, left, b.format, right); });
    });
  const auto common = [&](const FilterEntry& entry) {
    return Common{groups ? entry.group : GroupId(), macs ? entry.mac : MacAddress(), ips ? entry.ip : IpPrefix()};
  };
  const auto& [few, many] = a.entries.size() < b.entries.size() ? std::tie(a, b) : std::tie(b, a);
  std::vector<Common> sorted;
  sorted.reserve(few.entries.size());
  for (const FilterEntry& entry : few.entries) sorted.push_back(common(entry));
  std::ranges::sort(sorted);
  return std::ranges::any_of(
      many.entries, [&](const FilterEntry& entry) { return std::ranges::binary_search(sorted, common(entry)); });
}

bool repeats(std::span<const FilterEntry> entries, const Entries& asked) {
  return std::ranges::equal(entries, asked, [](const FilterEntry& a, const FilterEntry& b) {
    return a.group == b.group && a.mac == b.mac && a.ip == b.ip;
  });
}

Request to_request(const ManagerId& manager, const Association& association, Migration migration) {
  Request request;
  request.command = association.command;
  request.suspended = association.suspended();
  request.migration = migration;
  request.manager = manager;
  request.type = association.type;
  request.vsi = association.vsi;
  request.format = association.format;
  request.entries.reserve(association.count);
  for (std::size_t i = 0; i < association.count; ++i) request.entries.push_back(association.entry(i));
  return request;
}

Request to_request(const ManagerId& manager, const AssociationHead& head) {
  Request request;
  request.command = head.command;
  request.manager = manager;
  request.type = head.type;
  request.vsi = head.vsi;
  return request;
}

Request to_command(TlvType command, const ManagerId& manager, const VsiType& type, const VsiId& vsi,
                   FilterFormat format) {
  Request request;
  request.command = command;
  request.manager = manager;
  request.type = type;
  request.vsi = vsi;
  request.format = format;
  return request;
}

}  // namespace

// --- requests ---

bool Bridge::has_room() const {
  return requests_ + kVdpduRequestsMax <= limits::kPendingRequestsPerPeerMax &&
         entries_ + kVdpduEntriesMax <= limits::kPendingEntriesPerPeerMax;
}

Decoded<Heard> Bridge::handle_vdpdu(Octets vdpdu, Instant now) {
  const auto heard = survey(vdpdu);
  if (!heard) return heard;
  StatementReader reader(vdpdu);
  while (const auto statement = reader.next()) handle_statement(reader.manager(), *statement, now);
  stats_.skipped_tlvs += reader.unusable();
  return heard;
}

void Bridge::handle_statement(const ManagerId& manager, const Statement& statement, Instant now) {
  const Tlv& tlv = statement.tlv;
  if (extension_type(tlv) == ExtensionType::kVnRequest) {
    if (const auto read = decode_extension(tlv)) {
      vns_.handle(std::get<VnRequest>(**read), statement.name);
    } else {
      ++stats_.malformed_tlvs;
    }
    return;
  }
  if (!is_association(static_cast<TlvType>(tlv.type))) {
    if (!is_looked_at_elsewhere(tlv)) ++stats_.skipped_tlvs;
    return;
  }
  const auto head = decode_association_head(tlv);
  if (head && (head->status & kStatusResponse) != 0) {
    const bool to_command = head->command == TlvType::kPreAssociateRr && peer_.has(Flag::kBridgeDeactivate);
    ++(to_command ? stats_.commands_answered : stats_.stray_responses);
    if (to_command) take_let_go(tlv);
    return;
  }
  const auto association = decode_association(tlv);
  if (association && offers(association->format)) {
    const bool contradictory = association->suspended() && association->migrating();
    const Migration migration = statement.migration.value_or(
        migration_of_bits(association->suspended(), association->migrating(), peer_.has(Flag::kMigration)));
    admit(to_request(manager, *association, migration), Kind::kRequest,
          contradictory ? std::optional(Verdict{kMalformed, "S and M together"}) : std::nullopt, now);
    return;
  }
  ++stats_.malformed_tlvs;
  const char* why = association ? "a filter format that was not offered" : association.error().cause;
  if (head) admit(to_request(manager, *head), Kind::kHeadOnly, Verdict{kMalformed, why}, now);
}

void Bridge::take_let_go(const Tlv& answer) {
  const auto association = decode_association(answer);
  if (!association || !association->response().success()) return;
  for (std::size_t i = 0; i < association->count; ++i)
    let_go_.push_back({association->vsi, association->entry(i).group, association->entry(i).mac});
}

std::optional<Bridge::LetGo> Bridge::poll_let_go() {
  if (let_go_.empty()) return std::nullopt;
  const LetGo one = let_go_.front();
  let_go_.pop_front();
  return one;
}

/// A format with IPs is code 1 unless we have said that we understand it.
bool Bridge::offers(FilterFormat format) const {
  return (!has_ip(format) || offered_.has(Flag::kIpFormats)) &&
         (!has_prefix(format) || offered_.has(Flag::kPrefixFormats));
}

bool Bridge::admit(Request request, Kind kind, std::optional<Verdict> verdict, Instant now) {
  const std::size_t entries = entries_ + request.entries.size();
  if (requests_ >= limits::kPendingRequestsPerPeerMax || entries > limits::kPendingEntriesPerPeerMax) {
    ++stats_.overflow;
    if (requests_ >= kRequestsHeldMax || entries > limits::kPendingEntriesPerPeerMax) return false;
    if (!verdict) verdict = Verdict{kTooMany, kTooManyText};
  }
  const VsiId vsi = request.vsi;
  if (const auto known = chains_.find(vsi);
      known != chains_.end() && known->second.length >= limits::kRequestsPerVsiMax) {
    ++stats_.overflow;
    return false;
  }
  if (!verdict && request.command == TlvType::kDeAssociate) overtake(request);
  const std::uint32_t index = rows_.emplace();
  Row& row = rows_[index];
  request.id = RequestId((std::uint64_t{++serial_} << 32) | index);
  row.request = std::move(request);
  row.kind = kind;
  ++requests_;
  entries_ = entries;
  ++stats_.requests;
  Chain& chain = chains_[vsi];
  (chain.first == kNone ? chain.first : rows_[chain.last].next_of_vsi) = index;
  chain.last = index;
  ++chain.length;
  received_.push_back(rows_, index);
  deadlines_.set(index, now + decision_deadline_);
  if (verdict) answer(index, verdict->status, {0, verdict->why});
  return true;
}

/// A De-Associate cancels what is still undecided about the same entries of its VSI; the rest of the VSI goes on.
void Bridge::overtake(const Request& deassociate) {
  const auto chain = chains_.find(deassociate.vsi);
  if (chain == chains_.end()) return;
  for (std::uint32_t i = chain->second.first; i != kNone; i = rows_[i].next_of_vsi) {
    const Row& row = rows_[i];
    const bool undecided = row.state == RequestState::kReceived || row.state == RequestState::kDeciding;
    if (!undecided || row.request.command == TlvType::kDeAssociate || !overlap(deassociate, row.request)) continue;
    ++stats_.cancelled;
    answer(i, kOvertaken, {0, kOvertakenText});
  }
}

std::optional<Request> Bridge::poll_request() {
  if (received_.empty()) return std::nullopt;
  const std::uint32_t index = received_.front();
  received_.remove(rows_, index);
  rows_[index].state = RequestState::kDeciding;
  ++deciding_;
  return rows_[index].request;
}

// --- decisions ---

void Bridge::respond(RequestId id, ResponseStatus status, std::span<const FilterEntry> entries, ReasonText why) {
  const std::uint32_t index = find(id);
  if (index == kNone || rows_[index].state != RequestState::kDeciding) return;
  Row& row = rows_[index];
  if (!entries.empty() || status.success()) {
    ensure(repeats(entries, row.request.entries), "a response repeats the request's entries in order (G6)");
    row.request.entries.assign(entries.begin(), entries.end());
  }
  answer(index, status, why);
}

std::optional<RequestId> Bridge::poll_expired(Instant now) {
  while (const auto index = deadlines_.pop_due(now)) {
    const Row& row = rows_[*index];
    const bool handed_out = row.state == RequestState::kDeciding;
    const RequestId id = row.request.id;
    if (row.success_on_expiry) {
      answer(*index, {}, {});
      return id;
    }
    ++stats_.expired;
    answer(*index, {Code::kManagerUnreachable, row.keep_on_expiry, false}, {0, kExpiredText});
    if (handed_out) return id;
  }
  return std::nullopt;
}

void Bridge::set_keep_on_expiry(RequestId id, bool keep) {
  if (const std::uint32_t index = find(id); index != kNone) rows_[index].keep_on_expiry = keep;
}

void Bridge::set_success_on_expiry(RequestId id, std::span<const FilterEntry> entries) {
  const std::uint32_t index = find(id);
  if (index == kNone || rows_[index].state != RequestState::kDeciding) return;
  ensure(repeats(entries, rows_[index].request.entries), "a response repeats the request's entries in order (G6)");
  rows_[index].request.entries.assign(entries.begin(), entries.end());
  rows_[index].success_on_expiry = true;
}

/// The verdict stands; the answer goes out when the earlier ones of its VSI have.
void Bridge::answer(std::uint32_t index, ResponseStatus status, ReasonText why) {
  Row& row = rows_[index];
  if (row.state == RequestState::kReceived) received_.remove(rows_, index);
  if (row.state == RequestState::kDeciding) --deciding_;
  deadlines_.clear(index);
  row.state = RequestState::kAnswered;
  row.status = status.octet();
  if (!status.success()) ++stats_.refused;
  explain(index, why);
  if (chains_.find(row.request.vsi)->second.first == index) ready_.push_back(rows_, index);
}

/// Nothing is kept for a peer that would not be told.
void Bridge::explain(std::uint32_t index, ReasonText why) {
  if (why.text.empty() || !peer_.has(Flag::kReasonText)) return;
  rows_[index].explained = true;
  why_[index] = {why.cause, cut_reason_text(why.text)};
}

void Bridge::deassociate(const ManagerId& manager, const VsiType& type, const VsiId& vsi, FilterFormat format,
                         std::span<const FilterEntry> entries, ReasonText why) {
  command(to_command(TlvType::kDeAssociate, manager, type, vsi, format), entries, why);
}

void Bridge::deactivate(const ManagerId& manager, const VsiType& type, const VsiId& vsi, FilterFormat format,
                        std::span<const FilterEntry> entries, ReasonText why) {
  command(to_command(TlvType::kPreAssociateRr, manager, type, vsi, format), entries, why);
}

/// As many rows as TLVs are needed.
void Bridge::command(const Request& base, std::span<const FilterEntry> entries, ReasonText why) {
  do {
    const std::size_t count = std::min(entries.size(), entries_per_tlv_max(base.format));
    const std::uint32_t index = rows_.emplace();
    Row& row = rows_[index];
    row.request = base;
    row.request.id = RequestId((std::uint64_t{++serial_} << 32) | index);
    row.request.entries.assign(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count));
    row.kind = Kind::kCommand;
    row.state = RequestState::kAnswered;
    explain(index, why);
    ready_.push_back(rows_, index);
    ++stats_.commands;
    entries = entries.subspan(count);
  } while (!entries.empty());
}

// --- sending ---

bool Bridge::compose(OctetString& out, Instant now, const Capabilities* show) {
  // An outcome that was never told (the link went down under it) counts as failed.
  handle_delivery_failed(now);
  if (!queued()) return false;
  // What is said of whole VNs has no manager.
  const ManagerId manager = ready_.empty() ? ManagerId{} : rows_[ready_.front()].request.manager;
  out.resize(vdpdu_octets_max_);
  VdpduWriter writer(out, manager);
  if (show != nullptr) writer.reserve(extension_octets(*show));
  vns_.write(writer);
  standings_.write(writer);
  std::uint32_t next = ready_.empty() ? kNone : ready_.front();
  for (std::size_t looked = 0; next != kNone && looked < kLookAhead; ++looked) {
    const std::uint32_t index = next;
    Row& row = rows_[index];
    next = row.link.next;
    if (row.request.manager != manager) continue;
    if (!write(writer, index)) break;
    ready_.remove(rows_, index);
    row.state = RequestState::kSent;
    sent_.push_back(index);
    if (row.kind == Kind::kCommand) continue;
    ++stats_.responses;
    const std::uint32_t released = leave_chain(index);
    if (next == kNone) next = released;
  }
  if (show != nullptr) write_reserved(writer, *show);
  out.resize(writer.finish().size());
  return true;
}

/// Of each VN that the answer grants something in, once.
Bridge::Attributes Bridge::attributes_of(const Row& row) const {
  Attributes out;
  const bool grants = row.kind == Kind::kRequest && row.request.command != TlvType::kDeAssociate &&
                      ResponseStatus::from_octet(row.status).success();
  if (attributes_ == nullptr || attributes_->empty() || !grants || !peer_.has(Flag::kVnAttributes)) return out;
  for (const FilterEntry& entry : row.request.entries) {
    const auto found = attributes_->find(entry.group);
    const bool told = std::ranges::any_of(out, [&](const VnAttributes& one) { return one.group == entry.group; });
    if (found == attributes_->end() || told || out.size() == Attributes::static_capacity) continue;
    out.push_back({entry.group, found->second});
  }
  return out;
}

bool Bridge::write(VdpduWriter& writer, std::uint32_t index) const {
  const Row& row = rows_[index];
  const Request& request = row.request;
  std::optional<Extension> reason;
  if (row.explained && peer_.has(Flag::kReasonText)) {
    const Why& why = why_.find(index)->second;
    reason = ReasonText{why.cause, why.text};
  }
  const bool head_only = row.kind == Kind::kHeadOnly;
  const FilterFormat format = head_only ? FilterFormat::kVid : request.format;
  const Attributes attributes = attributes_of(row);
  const std::size_t behind =
      (reason ? extension_octets(*reason) : 0) + attributes.size() * extension_octets(VnAttributes());
  if (!writer.fits(format, head_only ? 0 : request.entries.size(), behind)) return false;
  if (head_only) {
    writer.association_head({request.command, row.status, request.type, request.vsi}, row.status);
  } else {
    // Whoever may be there now does not understand a deactivate of the bridge (S20).
    const bool degraded = row.kind == Kind::kCommand && !peer_.has(Flag::kBridgeDeactivate);
    writer.association(degraded ? TlvType::kDeAssociate : request.command, row.status, request.type, request.vsi,
                       request.format, request.entries);
  }
  if (reason) ensure(write_extension(writer, *reason), "its room was asked for");
  for (const VnAttributes& one : attributes) ensure(write_extension(writer, one), "its room was asked for");
  return true;
}

/// Takes the oldest request of a VSI out of its order; returns the next one if its answer has waited for that.
std::uint32_t Bridge::leave_chain(std::uint32_t index) {
  Row& row = rows_[index];
  const auto chain = chains_.find(row.request.vsi);
  // An answer that is sent again has left already.
  if (chain == chains_.end() || chain->second.first != index) return kNone;
  const std::uint32_t next = std::exchange(row.next_of_vsi, kNone);
  if (next == kNone) {
    chains_.erase(chain);
    return kNone;
  }
  chain->second.first = next;
  --chain->second.length;
  if (rows_[next].state != RequestState::kAnswered) return kNone;
  ready_.push_back(rows_, next);
  return next;
}

void Bridge::handle_delivered(Instant) {
  vns_.handle_delivered();
  standings_.handle_delivered();
  for (const std::uint32_t index : sent_) erase(index);
  sent_.clear();
  if (rows_.empty()) rows_ = Rows();  // a peak is not kept for each peer
}

void Bridge::handle_delivery_failed(Instant) {
  vns_.handle_delivery_failed();
  standings_.handle_delivery_failed();
  for (auto index = sent_.rbegin(); index != sent_.rend(); ++index) {
    Row& row = rows_[*index];
    if (row.kind != Kind::kCommand && !still_current(row)) {
      erase(*index);
      continue;
    }
    row.state = RequestState::kAnswered;
    ready_.push_front(rows_, *index);
  }
  sent_.clear();
}

/// A younger request about the same entries is answered itself, and the station waits for that answer only.
bool Bridge::still_current(const Row& row) const {
  const auto chain = chains_.find(row.request.vsi);
  if (chain == chains_.end()) return true;
  for (std::uint32_t i = chain->second.first; i != kNone; i = rows_[i].next_of_vsi)
    if (overlap(row.request, rows_[i].request)) return false;
  return true;
}

void Bridge::erase(std::uint32_t index) {
  if (rows_[index].kind != Kind::kCommand) {
    --requests_;
    entries_ -= rows_[index].request.entries.size();
  }
  if (rows_[index].explained) why_.erase(index);
  rows_.erase(index);
}

// --- views ---

std::uint32_t Bridge::find(RequestId id) const {
  const auto index = static_cast<std::uint32_t>(id.value());
  return rows_.contains(index) && rows_[index].request.id == id ? index : kNone;
}

std::optional<Bridge::RequestState> Bridge::state(RequestId id) const {
  const std::uint32_t index = find(id);
  return index == kNone ? std::nullopt : std::optional(rows_[index].state);
}

bool Bridge::succeeded(RequestId id) const {
  const std::uint32_t index = find(id);
  return index != kNone && ResponseStatus::from_octet(rows_[index].status).success() &&
         rows_[index].state != RequestState::kReceived && rows_[index].state != RequestState::kDeciding;
}

std::optional<Instant> Bridge::next_deadline() const { return deadlines_.next(); }

}  // namespace splitnve::vdp
