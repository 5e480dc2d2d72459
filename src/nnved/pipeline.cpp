// SPDX-License-Identifier: Apache-2.0
// From decision to answer: works gather into batches, batches return, works commit, fail or finish (see work.hpp).
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

namespace {

const char* words_of(vdp::TlvType command) {
  switch (command) {
    case vdp::TlvType::kPreAssociate:
    case vdp::TlvType::kPreAssociateRr: return "Pre-Associate";
    case vdp::TlvType::kAssociate: return "Associate";
    case vdp::TlvType::kDeAssociate: return "De-Associate";
    case vdp::TlvType::kEnd:
    case vdp::TlvType::kManagerId:
    case vdp::TlvType::kOrganizational: break;
  }
  return "command";
}

}  // namespace

// --- works ---

Index Impl::open_work(Index peer, vdp::Request& request) {
  const Index index = works.emplace();
  Work& work = works[index];
  work.peer = peer;
  work.port_index = peers[peer].port_index;
  work.request = request.id;
  work.command = request.command;
  work.vsi = request.vsi;
  work.entries = request.entries;
  inflight[request.vsi].works.push_back(index);
  ask(peer, request.id, request.vsi);
  tables.works.add(peers[peer].port_index, 1);
  charge(peers[peer].port_index, std::max<std::size_t>(request.entries.size(), 1));
  return index;
}

void Impl::commit(Index index, Instant now) {
  Work& work = works[index];
  for (Touch& touch : work.touches) {
    touch.loser = machine.commit(touch.instance, touch.name, words_of(work.command));
    if (touch.loser != kNoIndex && !is_left(tsis[touch.loser].peer, work.peer))
      taken_over(touch.loser, {touch.vn, touch.name.mac}, now);
  }
  commits.push_back(index);
}

void Impl::finish(Index index) {
  const Work& work = works[index];
  leave_old_places(work);
  for (const Touch& touch : work.touches) {
    machine.release(touch.instance, touch.name);
    if (touch.loser != kNoIndex) tell_loser(touch.loser, work.vsi, {touch.vn, touch.name.mac}, work.peer);
  }
  answer(index, {vdp::Code::kSuccess, false, false}, held_words(work.peer, work.vsi, work.command, work.entries));
  close_work(index);
}

/// The request is refused after all: everything it did is undone.
void Impl::fail(Index index, Reason reason, const std::string& detail, Instant now) {
  if (works[index].dead) return;
  const Work& work = works[index];
  const GroupId vn = work.touches.empty() ? GroupId() : work.touches.front().vn;
  note_refusal(work.peer, work.vsi, {reason, vn, std::string_view(detail)}, now);
  undo(index, Level::kNone, reason, now);
  const Index peer = work.peer;
  const VsiId vsi = work.vsi;
  const bool removes = would_raise_legacy(peer, vsi, work.command);
  answer(index, {info(reason).code, !removes && tsis.has(vsi, peer), info(reason).hard},
         said(reason, words_for_station(reason, detail)));
  close_work(index);
  if (removes && !is_worked_on(vsi)) remove_vsi(peer, vsi, reason, now);
}

/// Brings the addresses back to what they were, or to `floor` if that is more. A fall is not undone: its rows are told
/// again until they are gone. An IP stands behind its MAC and goes before it.
void Impl::undo(Index index, Level floor, Reason reason, Instant now) {
  Work& work = works[index];
  for (auto at = work.touches.rbegin(); at != work.touches.rend(); ++at) {
    const Touch& touch = *at;
    machine.release(touch.instance, touch.name);
    const Level keep = std::max(touch.previous, floor);
    if (keep == Level::kNone) {
      remove_address(touch.instance, touch.name, reason, info(reason).text, now);
    } else if (keep == Level::kReserved) {
      machine.lower(touch.instance, touch.name, info(reason).text);
    }
    if (touch.loser != kNoIndex)
      machine.reinstate(touch.loser, work.vsi, {touch.vn, touch.name.mac}, "the takeover failed");
  }
  work.touches.clear();
}

void Impl::answer(Index index, vdp::ResponseStatus status, vdp::ReasonText why) {
  Work& work = works[index];
  if (work.dead || std::exchange(work.answered, true)) return;
  // A refusal echoes the request's own entries.
  peers[work.peer].bridge.respond(
      work.request, status,
      status.success() ? std::span<const vdp::FilterEntry>(work.entries) : std::span<const vdp::FilterEntry>(), why);
  this->touch(work.peer);
}

/// The work holds nothing any longer; its row goes when its last batch has returned.
void Impl::close_work(Index index) {
  Work& work = works[index];
  if (!std::exchange(work.dead, true)) leave_inflight(index);
  work.touches.clear();
  if (work.awaiting != kAwaitNothing) return;
  std::erase(claims, index);
  std::erase(commits, index);
  tables.works.remove(work.port_index, 1);
  works.erase(index);
}

void Impl::leave_inflight(Index index) {
  const Work& work = works[index];
  asked(work.peer, work.request);
  const auto busy = inflight.find(work.vsi);
  auto& of_vsi = busy->second.works;
  of_vsi.erase(std::find(of_vsi.begin(), of_vsi.end(), index));
  if (!of_vsi.empty()) return;
  if (busy->second.ports.empty() && !busy->second.turn) {
    inflight.erase(busy);
  } else if (!std::exchange(busy->second.turn, true)) {
    turns.push_back(work.vsi);
  }
}

/// VSIs whose works are done go on with the next request: one at a time until there is a work again.
void Impl::take_turns(Instant now) {
  while (!turns.empty()) {
    const VsiId vsi = turns.front();
    turns.pop_front();
    for (auto busy = inflight.find(vsi); busy != inflight.end(); busy = inflight.find(vsi)) {
      if (!busy->second.works.empty() || busy->second.ports.empty()) {
        busy->second.turn = false;
        if (busy->second.works.empty()) inflight.erase(busy);
        break;
      }
      Inflight::Waiting next = busy->second.pop();
      asked(next.peer, next.request.id);
      const bool last_of_port = busy->second.of(peers[next.peer].port_index) == nullptr;
      if (!last_of_port || !renew(next.peer, next.request, now)) associate(next.peer, next.request, now);
    }
  }
}

/// What the port has the store and the authority told.
void Impl::charge(std::uint32_t port_index, std::size_t rows) {
  ports[port_index].changes.charge(rows);
  all_changes.charge(rows);
}

void Impl::ask(Index peer, vdp::RequestId request, const VsiId& vsi) {
  vsi_of_request.emplace(RequestKey{peer, request}, vsi);
  ++peers[peer].works;
}

void Impl::asked(Index peer, vdp::RequestId request) {
  vsi_of_request.erase(RequestKey{peer, request});
  --peers[peer].works;
}

/// The bridge has answered code 3 (S29): what is open closes again, what is reserved stays for the station's next try.
void Impl::expire(Index peer, vdp::RequestId request, Instant now) {
  const auto known = vsi_of_request.find(RequestKey{peer, request});
  if (known == vsi_of_request.end()) return;
  const VsiId vsi = known->second;
  if (unpark(peer, request)) return void(note_refusal(peer, vsi, {Reason::kDeadline, GroupId()}, now));
  const bool stood = peers[peer].bridge.succeeded(request);
  const auto is_it = [&](const Inflight::Waiting& one) { return one.peer == peer && one.request.id == request; };
  const auto at = inflight.find(vsi);
  ensure(at != inflight.end(), "a request that is neither waiting nor worked on");
  Inflight& busy = at->second;
  if (busy.erase_if(peers[peer].port_index, is_it) > 0) {
    if (!stood) note_refusal(peer, vsi, {Reason::kDeadline, GroupId()}, now);
    return asked(peer, request);
  }
  const auto found = std::find_if(busy.works.begin(), busy.works.end(), [&](Index index) {
    return works[index].peer == peer && works[index].request == request;
  });
  ensure(found != busy.works.end(), "a request that is neither waiting nor worked on");
  const Index index = *found;
  Work& work = works[index];
  work.answered = true;
  note_refusal(peer, vsi, {Reason::kDeadline, work.touches.empty() ? GroupId() : work.touches.front().vn}, now);
  if ((work.awaiting & kAwaitPublish) != 0) {
    for (const Touch& touch : work.touches) machine.want_reserved_only(touch.instance, touch.name);
  } else if (work.command != vdp::TlvType::kDeAssociate) {
    // What this request itself reserved is kept for one retry (S29); only what was reserved before it goes (S4).
    const bool raises =
        std::ranges::any_of(work.touches, [](const Touch& touch) { return touch.previous != Level::kNone; });
    const vdp::TlvType command = work.command;
    undo(index, Level::kReserved, Reason::kDeadline, now);
    close_work(index);
    if (raises && would_raise_legacy(peer, vsi, command) && !is_worked_on(vsi))
      remove_vsi(peer, vsi, Reason::kDeadline, now);
  }
}

bool Impl::remove_address(Index instance, const AddressName& name, Reason reason, const char* words, Instant now) {
  const Index peer = tsis[instance].peer;
  if (!machine.remove(instance, name, reason, words, now)) return false;
  --peers[peer].tsis;
  tables.tsis.remove(peers[peer].port_index, 1);
  touch(peer);
  ages.clear(instance);
  loser_holds.clear(instance);
  return true;
}

void Impl::remove_instance(Index instance, Reason reason, const char* words, Instant now) {
  while (!remove_address(instance, tsis[instance].addresses.back().mac, reason, words, now)) {
  }
}

// --- out: batches ---

BatchId Impl::open_batch(Batch batch) {
  const BatchId id(++last_batch);
  batches.emplace(id, std::move(batch));
  return id;
}

/// One Publish for all that differs from what the authority was told; works that raise wait for it.
void Impl::flush_claims(Instant now) {
  Batch batch;
  batch.works = std::exchange(claims, {});
  agent::Publish publish = gather_publish(batch);
  if (publish.rows.empty() && publish.tags.empty()) {
    for (const Index work : batch.works) commit(work, now);
    return;
  }
  for (const Index work : batch.works) works[work].awaiting |= kAwaitPublish;
  batch.kind = kAwaitPublish;
  publish.batch = open_batch(std::move(batch));
  journal.effects.push_back(std::move(publish));
}

/// Rows of addresses that nobody has any longer stand first, so that a new owner's claim follows them.
agent::Publish Impl::gather_publish(Batch& batch) {
  agent::Publish publish;
  if (!batch.works.empty()) append(changes.departed, std::exchange(retry.departed, {}));
  sort_unique(changes.departed);
  for (const Departed& departed : std::exchange(changes.departed, {})) {
    if (Owner* owner = tsis.owner(departed.key); owner != nullptr && tsis[owner->holder].vsi == departed.vsi) {
      owner->generation = std::max(owner->generation, departed.generation);  // it came back meanwhile
      owner->told_generation = ~owner->generation;
      changes.authority.push_back(departed.key);
      continue;
    }
    publish.rows.push_back({departed.key.vn, departed.key.mac, departed.vsi, departed.generation, false, false});
    batch.departed.push_back(departed);
  }
  sort_unique(changes.authority);
  for (const AddressKey& key : std::exchange(changes.authority, {})) {
    Owner* owner = tsis.owner(key);
    if (owner == nullptr) continue;
    const agent::AuthorityRow row = projection.authority(key, *owner);
    if (owner->is_told(row)) continue;
    owner->tell(row);
    publish.rows.push_back(row);
    batch.authority.push_back(key);
  }
  sort_unique(changes.tags);
  for (const TagKey& key : std::exchange(changes.tags, {})) {
    publish.tags.push_back(projection.tag(key));
    batch.tags.push_back(key);
  }
  return publish;
}

/// One Program and one Persist for all that has been decided; works that wait for nothing are done.
void Impl::flush_commits() {
  const std::vector<Index> ready = std::exchange(commits, {});
  const std::vector<Index> connected = std::exchange(connect_commits, {});
  RowKeys keys = std::exchange(changes.rows, {});
  sort_unique(keys);
  sort_unique(changes.records);
  std::vector<Index> records = std::exchange(changes.records, {});
  sort_unique(changes.latches);
  std::vector<Index> latched = std::exchange(changes.latches, {});
  sort_unique(changes.connects);
  std::vector<Index> connecting = std::exchange(changes.connects, {});
  if (!keys.empty()) {
    agent::Program program;
    program.rows = projection.rows(keys);
    Batch batch;
    batch.kind = kAwaitProgram;
    batch.works = ready;
    batch.rows = std::move(keys);
    await(batch, connected);
    program.batch = open_batch(std::move(batch));
    journal.effects.push_back(std::move(program));
    for (const Index work : ready) works[work].awaiting |= kAwaitProgram;
  }
  const bool new_epoch = std::exchange(changes.epoch, false);
  std::vector<Index> signed_first = std::exchange(changes.signers, {});
  const bool held_dirty = held.dirty() && !retry_at;  // what the store refused waits like the rest
  if (!signed_first.empty() || !records.empty() || !latched.empty() || !connecting.empty() || new_epoch || held_dirty) {
    agent::Persist persist;
    if (held_dirty) persist.records = held.take([this](std::uint64_t key) { return is_in_use(key); });
    if (new_epoch) append(persist.records, {epoch_record(), host_traffic.record()});
    for (const Index instance : records) persist.records.push_back(projection.record(instance));
    for (const Index number : signed_first) persist.records.push_back(signers.record(number));
    for (const Index latch : latched) persist.records.push_back(latches.record(latch));
    for (const Index number : connecting) persist.records.push_back(connect_record(number));
    Batch batch;
    batch.kind = kAwaitPersist;
    batch.works = ready;
    batch.records = std::move(records);
    batch.latches = std::move(latched);
    batch.signers = std::move(signed_first);
    batch.connect_records = std::move(connecting);
    await(batch, connected);
    batch.epoch = new_epoch;
    batch.held = held_dirty;
    persist.batch = open_batch(std::move(batch));
    journal.effects.push_back(std::move(persist));
    for (const Index work : ready) works[work].awaiting |= kAwaitPersist;
  }
  for (const Index work : ready)
    if (works[work].awaiting == kAwaitNothing) finish(work);
}

// --- in: results ---

void Impl::handle_result(const agent::BatchResult& result, Instant now) {
  const auto found = batches.find(result.batch);
  if (found == batches.end()) return;
  Batch batch = std::move(found->second);
  batches.erase(found);
  switch (batch.kind) {
    case kAwaitPublish: published(batch, result, now); break;
    case kAwaitProgram: programmed(batch, result, now); break;
    case kAwaitPersist: persisted(batch, result, now); break;
    case kAwaitNothing: break;
  }
  settle(now);
}

void Impl::published(Batch& batch, const agent::BatchResult& result, Instant now) {
  const bool unreachable = !result.error.empty();
  std::vector<std::pair<AddressKey, const std::string*>> refused;  // by key
  for (const datapath::Failure& failure : result.failures) {
    const std::size_t first = batch.departed.size();
    if (failure.index >= first && failure.index - first < batch.authority.size())
      refused.emplace_back(batch.authority[failure.index - first], &failure.cause);
  }
  std::ranges::sort(refused, {}, [](const auto& row) { return row.first; });
  for (const Index index : batch.works) {
    works[index].awaiting &= static_cast<std::uint8_t>(~kAwaitPublish);
    if (works[index].dead) {
      close_work(index);
      continue;
    }
    if (unreachable) {
      fail(index, Reason::kAuthorityUnreachable, result.error, now);
      continue;
    }
    auto of_work = refused.end();
    for (const Touch& touch : works[index].touches) {
      const AddressKey key{touch.vn, touch.name.mac};
      const auto at = std::ranges::lower_bound(refused, key, {}, [](const auto& row) { return row.first; });
      if (at != refused.end() && at->first == key) of_work = at;
    }
    if (of_work == refused.end()) {
      commit(index, now);
    } else {
      fail(index, Reason::kAuthorityRefused, *of_work->second, now);
    }
  }
  if (!unreachable) return;
  append(retry.authority, batch.authority);
  append(retry.departed, batch.departed);
  append(retry.tags, batch.tags);
  for (const AddressKey& key : batch.authority)
    if (Owner* owner = tsis.owner(key)) owner->told_generation = ~owner->generation;
  journal.notice("nnved.authority_unreachable", agent::Notice::Level::kError, result.error);
  retry_later(now);
}

void Impl::programmed(Batch& batch, const agent::BatchResult& result, Instant now) {
  RowKeys failed;
  if (!result.error.empty()) failed = batch.rows;
  for (const datapath::Failure& failure : result.failures) {
    const std::size_t i = failure.index;
    switch (failure.table) {
      case datapath::Table::kDomain:
        if (i < batch.rows.domains.size()) failed.domains.push_back(batch.rows.domains[i]);
        break;
      case datapath::Table::kAccess:
        if (i < batch.rows.access.size()) failed.access.push_back(batch.rows.access[i]);
        break;
      case datapath::Table::kGuard:
        if (i < batch.rows.guards.size()) failed.guards.push_back(batch.rows.guards[i]);
        break;
      case datapath::Table::kFdb:
        if (i < batch.rows.fdb.size()) failed.fdb.push_back(batch.rows.fdb[i]);
        break;
      case datapath::Table::kIp:
        if (i < batch.rows.ips.size()) failed.ips.push_back(batch.rows.ips[i]);
        break;
      case datapath::Table::kPort: break;
    }
  }
  sort_unique(failed);
  const std::string cause = !result.error.empty()     ? result.error
                            : result.failures.empty() ? ""
                                                      : result.failures[0].cause;
  const bool any_failed = !failed.empty();
  const auto fails = [&](const Touch& touch) {
    if (!any_failed) return false;
    const AddressKey key{touch.vn, touch.name.mac};
    const PortId port = vaps[tsis[touch.instance].vap].port;
    return std::binary_search(failed.domains.begin(), failed.domains.end(), touch.vn) ||
           std::binary_search(failed.ips.begin(), failed.ips.end(), IpKey{touch.instance, touch.name}) ||
           std::binary_search(failed.fdb.begin(), failed.fdb.end(), key) ||
           std::binary_search(failed.guards.begin(), failed.guards.end(), GuardKey{key, port}) ||
           std::any_of(failed.access.begin(), failed.access.end(),
                       [&](const TagKey& tag) { return tag.port == port && tag.vn == touch.vn; });
  };
  for (const Index index : batch.works) {
    Work& work = works[index];
    work.awaiting &= static_cast<std::uint8_t>(~kAwaitProgram);
    if (!work.dead && std::any_of(work.touches.begin(), work.touches.end(), fails))
      fail(index, Reason::kDatapathFailed, cause, now);
    else
      settled(index);
  }
  connects_programmed(batch, failed, cause, now);
  if (failed.empty()) return;
  append(retry.rows, failed);
  journal.notice("nnved.datapath_failed", agent::Notice::Level::kError, cause);
  retry_later(now);
}

void Impl::persisted(Batch& batch, const agent::BatchResult& result, Instant now) {
  for (const Index index : batch.works) {
    works[index].awaiting &= static_cast<std::uint8_t>(~kAwaitPersist);
    if (result.error.empty() || works[index].dead || works[index].touches.empty())
      settled(index);
    else
      fail(index, Reason::kStoreFailed, result.error, now);
  }
  connects_persisted(batch, result.error, now);
  if (batch.held) held.settled(result.error.empty());
  if (result.error.empty()) return;
  append(retry.connects, batch.connect_records);
  append(retry.records, batch.records);
  append(retry.latches, batch.latches);
  append(retry.signers, batch.signers);
  retry.epoch |= batch.epoch;
  journal.notice("nnved.store_failed", agent::Notice::Level::kError, result.error);
  retry_later(now);
}

/// One of the work's batches is back without harm to it.
void Impl::settled(Index index) {
  const Work& work = works[index];
  if (work.awaiting != kAwaitNothing) return;
  if (work.dead) {
    close_work(index);
  } else {
    finish(index);
  }
}

void Impl::retry_later(Instant now) {
  if (!retry_at) retry_at = now + kRetryInterval;
}

}  // namespace splitnve::nnved
