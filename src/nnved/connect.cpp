// SPDX-License-Identifier: Apache-2.0
// VNs that stations connect and disconnect by themselves, and that the operator disconnects (S30).
#include "nnved/connect.hpp"

#include <algorithm>

#include "agent/record_fields.hpp"
#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;
using Operation = vdp::VnRequest::Operation;
using Asked = vdp::VnBridge::Asked;

namespace {

constexpr std::uint8_t kConnectRecordVersion = 1;

}  // namespace

OctetString encode_connect(const ConnectRecord& record) {
  OctetString octets(14 + record.interface_name.size());
  BoundedWriter writer(octets);
  writer.u8(kConnectRecordVersion);
  writer.u32(record.vn.value());
  writer.u16(record.vid.value());
  writer.octets(record.station.octets());
  agent::write_text(writer, record.interface_name);
  return octets;
}

Decoded<ConnectRecord> decode_connect(Octets octets) {
  BoundedReader reader(octets);
  ConnectRecord record;
  std::uint8_t version = 0;
  if (!reader.u8(version)) return reader.error("truncated");
  if (version != kConnectRecordVersion) return reader.error("unknown record version");
  if (!agent::read_id(reader, record.vn) || !agent::read_id(reader, record.vid) ||
      !agent::read_mac(reader, record.station) || !agent::read_text(reader, record.interface_name))
    return reader.error("truncated");
  if (!reader.empty()) return reader.error("octets left over");
  if (!record.vid.is_assignable()) return reader.error("no VID that a VN may have");
  return record;
}

// --- what stations ask ---

void Impl::handle_vn_request(Index peer, Asked asked, Instant now) {
  if (asked.name) {
    const VnConfig* vn = policy.vn(*asked.name);
    const GroupId named = asked.request.group;
    if (vn == nullptr || !(named.is_null() || named == vn->id))
      return refuse_vn(peer, asked, {Reason::kUnknownVn, named, VsiId{5, asked.name->octets}.to_string()}, now);
    asked.request.group = vn->id;
  }
  switch (asked.request.operation) {
    case Operation::kConnect: return connect_vn(peer, asked, now);
    case Operation::kDisconnect:
    case Operation::kDisconnectAll: return disconnect_vn(peer, asked, now);
  }
}

/// Why the station may not connect the VN, beside what its VAP says.
std::optional<Refused> Impl::may_connect(Index peer, GroupId group) const {
  const std::uint32_t port_index = peers[peer].port_index;
  // What is connected is renewed whatever anybody says about timers.
  if (refuses_timers(peers[peer]) && connects.find(peer, group) == kNoIndex)
    return Refused{Reason::kTimersRefused, group, about::TimersOfStation{}};
  if (group.is_null()) return Refused{Reason::kUnknownVn, group, ""};
  vdp::FilterEntry entry;
  entry.group = group;
  if (const auto vn = policy.vn_of_entry(port_index, {}, {}, entry); !vn) return Refused{vn.error(), group, ""};
  if (draining) return Refused{Reason::kDraining, group, ""};
  if (const Latch* latch = latches.find(group, config.ports[port_index].interface_name, {}, {}, false))
    return Refused{Reason::kAdminDown, group, latch->reason};
  return std::nullopt;
}

void Impl::connect_vn(Index peer, const Asked& asked, Instant now) {
  const vdp::VnRequest& request = asked.request;
  if (const auto refused = may_connect(peer, request.group)) return refuse_vn(peer, asked, *refused, now);
  const Index known = connects.find(peer, request.group);
  if (known == kNoIndex && peers[peer].connects >= limits::kVnConnectsPerStationMax)
    return refuse_vn(peer, asked, {Reason::kConnectLimit, request.group, ""}, now);
  const auto vap = vaps.acquire(peers[peer].port_index, request.group, request.vid, now);
  if (!vap) {
    if (info(vap.error()).code == vdp::Code::kInsufficientResources)
      vaps.note_failure(peers[peer].port_index, request.group, vap.error(), now);
    return refuse_vn(peer, asked, {vap.error(), request.group, segments.why(peers[peer].port_index, vap.error())}, now);
  }
  if (known != kNoIndex) {
    connects[known].renewed = now;
    connects[known].owes_answer = true;
    connects[known].name = asked.name;
    return answer_connect(known);
  }
  const Index made = connects.add(peer, request.group, *vap, now);
  add_connect(made, now);
  connects[made].owes_answer = true;
  connects[made].name = asked.name;
  changes.connects.push_back(made);
  charge(peers[peer].port_index, 1);
  connect_commits.push_back(made);
}

/// What a connect is to the rest, restored ones included.
void Impl::add_connect(Index number, Instant now) {
  const Connect& row = connects[number];
  ++peers[row.peer].connects;
  vaps.connect_added(row.vap, "VN request");
  connect_ages.set(number, now + timing_of(peers[row.peer]).keepalive_timeout());
}

void Impl::answer_connect(Index number) {
  Connect& row = connects[number];
  if (row.awaiting != kAwaitNothing || !std::exchange(row.owes_answer, false)) return;
  peers[row.peer].bridge.vns().respond({Operation::kConnect, row.vn, vdp::ResponseStatus().octet(), vaps[row.vap].vid},
                                       {}, row.name);
  touch(row.peer);
}

void Impl::remove_connect(Index number, Reason reason, Instant now) {
  const Connect row = connects[number];
  connects.erase(number);
  connect_ages.clear(number);
  std::erase(connect_commits, number);
  changes.connects.push_back(number);
  charge(peers[row.peer].port_index, 1);
  --peers[row.peer].connects;
  touch(row.peer);
  vaps.connect_removed(row.vap, reason, now);
}

/// A refusal of what stands says KEEP.
void Impl::refuse_vn(Index peer, const Asked& asked, const Refused& refused, Instant now) {
  const vdp::VnRequest& request = asked.request;
  const ReasonInfo& why = info(refused.reason);
  note_refusal(peer, VsiId{}, refused, now);
  const bool keep = connects.find(peer, request.group) != kNoIndex;
  peers[peer].bridge.vns().respond(
      {request.operation, request.group, vdp::ResponseStatus{why.code, keep, why.hard}.octet(), request.vid},
      said(refused.reason, words_for_station(refused.reason, refusal_text)), asked.name);
  touch(peer);
}

void Impl::disconnect_vn(Index peer, const Asked& asked, Instant now) {
  const vdp::VnRequest& request = asked.request;
  const bool all = request.operation == Operation::kDisconnectAll;
  const std::uint32_t there = tsis.count_of(peer, request.group);
  if (there > 0 && !all)
    return refuse_vn(peer, asked, {Reason::kTsisPresent, request.group, std::to_string(there)}, now);
  Port& port = ports[peers[peer].port_index];
  const auto is_it = [&](const Cascade& one) { return one.peer == peer && one.asked.request.group == request.group; };
  if (std::ranges::any_of(port.cascades, is_it)) return;  // it is answered when that is done
  if (there == 0) return finish_disconnect(peer, asked, now);
  port.cascades.push_back({peer, there, asked});
  schedule_port(peers[peer].port_index);
}

void Impl::remove_cascade(std::uint32_t port_index, Instant now) {
  Cascade& cascade = ports[port_index].cascades.front();
  for (std::size_t n = 0; n < limits::kRemovalsPerTurn && cascade.left > 0; ++n, --cascade.left) {
    const Index instance = tsis.first_of(cascade.peer, cascade.asked.request.group);
    if (instance == kNoIndex)
      cascade.left = 1;
    else
      withdraw(instance, "its end device disconnected the VN", now);
  }
  if (cascade.left > 0) return;
  const Cascade done = cascade;
  ports[port_index].cascades.pop_front();
  finish_disconnect(done.peer, done.asked, now);
}

void Impl::finish_disconnect(Index peer, const Asked& asked, Instant now) {
  const vdp::VnRequest& request = asked.request;
  if (const Index known = connects.find(peer, request.group); known != kNoIndex)
    remove_connect(known, Reason::kNone, now);
  peers[peer].bridge.vns().respond({request.operation, request.group, vdp::ResponseStatus().octet(), Vid()}, {},
                                   asked.name);
  touch(peer);
}

// --- batches ---

/// Some of what was awaited is back; `harm` says whether it failed for a connect's VN and port.
template <class Harm>
void Impl::connects_returned(const Batch& batch, Harm&& harm, Reason reason, const std::string& cause, Instant now) {
  for (const ConnectName name : batch.connects) {
    if (!connects.is(name)) continue;
    Connect& row = connects[name.number];
    row.awaiting &= static_cast<std::uint8_t>(~batch.kind);
    if (!harm(row)) {
      answer_connect(name.number);
      continue;
    }
    const Index peer = row.peer;
    const Asked asked{{Operation::kConnect, row.vn, 0, Vid()}, row.name};
    remove_connect(name.number, reason, now);
    refuse_vn(peer, asked, {reason, asked.request.group, cause}, now);
  }
}

void Impl::connects_programmed(const Batch& batch, const RowKeys& failed, const std::string& cause, Instant now) {
  const auto harm = [&](const Connect& row) {
    const PortId port = vaps[row.vap].port;
    return std::binary_search(failed.domains.begin(), failed.domains.end(), row.vn) ||
           std::any_of(failed.access.begin(), failed.access.end(),
                       [&](const TagKey& tag) { return tag.port == port && tag.vn == row.vn; });
  };
  connects_returned(batch, harm, Reason::kDatapathFailed, cause, now);
}

void Impl::connects_persisted(const Batch& batch, const std::string& error, Instant now) {
  connects_returned(batch, [&](const Connect&) { return !error.empty(); }, Reason::kStoreFailed, error, now);
}

/// Those that wait for the batch that is being made.
void Impl::await(Batch& batch, std::span<const Index> numbers) {
  for (const Index number : numbers) {
    Connect& row = connects[number];
    row.awaiting |= static_cast<std::uint8_t>(batch.kind);
    batch.connects.push_back({number, row.serial});
  }
}

// --- the store ---

agent::StoreRecord Impl::connect_record(Index number) const {
  agent::StoreRecord stored;
  stored.key = agent::store_key(agent::RecordKind::kVn, number + std::uint64_t{1});
  if (!connects.rows().contains(number)) return stored;
  const Connect& row = connects[number];
  stored.value = encode_connect(
      {row.vn, vaps[row.vap].vid, peers[row.peer].station, config.ports[peers[row.peer].port_index].interface_name});
  return stored;
}

/// The cause if the record does not fit the present configuration.
const char* Impl::restore_connect(Index number, const ConnectRecord& record, Instant now) {
  const auto port_index = port_named(record.interface_name);
  if (const char* refused = may_restore(port_index, record.vn, record.station)) return refused;
  const Index peer = restore_peer(*port_index, record.station, now);
  if (peer == kNoIndex) return "too many peers";
  if (connects.rows().contains(number) || connects.find(peer, record.vn) != kNoIndex) return "it stands twice";
  const auto vap = vaps.acquire(*port_index, record.vn, record.vid, now, true);
  if (!vap) return info(vap.error()).text;
  connects.add_at(number, peer, record.vn, *vap, now);
  add_connect(number, now);
  return nullptr;
}

// --- time and the operator ---

/// As an address of a TSI (S9).
void Impl::age_connect(Index number, Instant now) {
  const Connect& row = connects[number];
  const Ageing ageing(*this, peers[row.peer], now);
  const Instant expires = std::max(row.renewed, peers[row.peer].renewed_since) + ageing.timeout;
  if (expires > now) return connect_ages.set(number, expires);
  if (!ageing.is_over(expires)) return connect_ages.set(number, ageing.next_look());
  journal.notice("nnved.connect_aged", agent::Notice::Level::kInfo,
                 "vn " + std::to_string(row.vn.value()) + " station " + peers[row.peer].station.to_string() + ": " +
                     ageing.words());
  remove_connect(number, Reason::kNone, now);
}

template <class Which>
void Impl::remove_connects(Which&& which, Reason reason, Instant now) {
  for (Index number = 0; number < connects.rows().slots(); ++number)
    if (connects.rows().contains(number) && which(connects[number])) remove_connect(number, reason, now);
}

void Impl::remove_connects_of_port(std::uint32_t port_index, std::optional<GroupId> vn, Reason reason, Instant now) {
  remove_connects(
      [&](const Connect& row) { return peers[row.peer].port_index == port_index && (!vn || row.vn == *vn); }, reason,
      now);
}

/// The stations of a port hear that a VN is disconnected, or may be connected again.
void Impl::tell_stations(std::uint32_t port_index, GroupId vn, Operation operation, vdp::ReasonText why) {
  for (const Index peer : ports[port_index].members) {
    peers[peer].bridge.vns().command(vn, operation, why);
    touch(peer);
  }
}

/// A station that has begun anew knows nothing of what is disconnected.
void Impl::tell_latches(Index peer) {
  const std::string& interface_name = config.ports[peers[peer].port_index].interface_name;
  latches.rows().for_each([&](Index, const Latch& latch) {
    if (latch.vsi || latch.interface_name != interface_name) return;
    peers[peer].bridge.vns().command(latch.vn, Operation::kDisconnect,
                                     said(Reason::kAdminDown, words(Reason::kAdminDown, latch.reason)));
  });
}

}  // namespace splitnve::nnved
