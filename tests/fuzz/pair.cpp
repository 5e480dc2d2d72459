// SPDX-License-Identifier: Apache-2.0
// Operations: VMs, time, back ends, restarts, and what must hold after each.
#include "pair.hpp"

#include <algorithm>

#include "splitnve/base/check.hpp"

namespace splitnve::fuzz {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tnved::AddressVerb;
using tnved::Verb;

constexpr unsigned kVms = 6;
constexpr unsigned kAddressesPerVm = 3;
constexpr std::uint32_t kFirstVn = 70001;
constexpr std::size_t kOperationsMax = 512;
/// A bit of the first octet; the others are in pair_config.cpp.
constexpr std::uint8_t kStarted = 16;
/// An agent that wakes this often without time going on is caught in a loop.
constexpr unsigned kWakesPerInstantMax = 64;
constexpr Verb kVerbs[] = {Verb::kCreate,   Verb::kStart,      Verb::kPause,     Verb::kSuspend, Verb::kResume,
                           Verb::kShutdown, Verb::kMigrateOut, Verb::kMigrateIn, Verb::kAbort};
constexpr AddressVerb kAddressVerbs[] = {AddressVerb::kAdd, AddressVerb::kRemove, AddressVerb::kDeactivate,
                                         AddressVerb::kActivate, AddressVerb::kChangeIp};

bool applied(const agent::BatchResult& result, datapath::Table table, std::size_t index) {
  return std::none_of(result.failures.begin(), result.failures.end(),
                      [&](const auto& failure) { return failure.table == table && failure.index == index; });
}

template <class Row>
std::vector<Row> applied_rows(const std::vector<Row>& rows, const agent::BatchResult& result, datapath::Table table) {
  std::vector<Row> kept;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (applied(result, table, i)) kept.push_back(rows[i]);
  return kept;
}

}  // namespace

Pair::Pair(Octets input) : choices_(input), shape_(choices_.octet()) {
  choose_modes(shape_ >> 6);
  start_switch(false);
  start_host(false);
  begin();
}

VsiId Pair::vsi(unsigned n) {
  VsiId id;
  id.octets[15] = static_cast<std::uint8_t>(n + 1);
  return id;
}

/// The start state: some VMs run, and everybody agrees.
void Pair::begin() {
  const unsigned vms = choices_.below(kVms + 1);
  for (unsigned vm = 0; vm < vms; ++vm) {
    lifecycle(Verb::kCreate, vm);
    if ((shape_ & kStarted) != 0) lifecycle(Verb::kStart, vm);
  }
  if (vms > 0) settle();
}

void Pair::run() {
  for (std::size_t i = 0; i < kOperationsMax && !choices_.empty(); ++i) {
    operate();
    check_all();
  }
  rest();
}

void Pair::operate() {
  const unsigned what = choices_.below(16);
  switch (what) {
    case 0:
    case 1:
    case 2:
    case 3: return frame_in_flight(what);
    case 4:
    case 5: return stranger();
    case 6: return lifecycle();
    case 7: return addresses();
    case 8: return link();
    case 9: return advance();
    case 10: return wake_all();
    case 11: return restart();
    case 12: return settle();
    case 13: return operator_acts();
    default: return answer_one();
  }
}

void Pair::lifecycle() {
  const Verb verb = kVerbs[choices_.below(std::size(kVerbs))];
  lifecycle(verb, choices_.below(kVms));
}

/// What an operator does at the switch, or to a whole VN at the host.
void Pair::operator_acts() {
  const unsigned what = choices_.below(11);
  const VsiId id = vsi(choices_.below(kVms));
  const GroupId vn(kFirstVn + choices_.below(2));
  const PortId port(1 + choices_.below(2));
  switch (what) {
    case 0: switch_->latch_tsi(id, vn, "held", now_); break;
    case 1: switch_->release_tsi(id, vn, now_); break;
    case 2: switch_->latch_vn(port, vn, "held", now_); break;
    case 3: switch_->release_vn(port, vn, now_); break;
    case 4: switch_->drain("maintenance", now_); break;
    case 5: switch_->undrain(now_); break;
    case 6: switch_->deactivate_tsi(InstanceId(1 + choices_.below(kVms)), {}, "noisy", now_); break;
    case 8:
    case 9:
    case 10:
      unanswered_.insert(++last_asker_);
      host_->handle_vn({vn, {}, what == 8, what == 10, last_asker_}, now_);
      return pump(false);
    default:
      if (choices_.flip())
        switch_->remove_tsi(InstanceId(1 + choices_.below(kVms)), "removed", now_);
      else
        deactivate_one();
  }
  pump(true);
}

/// One address of a TSI, by the switch's operator (D9).
void Pair::deactivate_one() {
  const auto view = switch_->tsi(choices_.below(kVms));
  if (!view) return;
  const MacAddress mac = view->addresses[choices_.octet() % view->addresses.size()].mac;
  switch_->deactivate_tsi(view->instance, {&mac, 1}, "one of several", now_);
}

/// VMs 0..2 in the first VN, the others in the second; the last two share an address.
void Pair::lifecycle(Verb verb, unsigned vm) {
  tnved::LifecycleEvent event;
  event.verb = verb;
  event.vsi = vsi(vm);
  event.asker = ++last_asker_;
  const std::uint8_t bits = choices_.octet();
  if (verb == Verb::kCreate || verb == Verb::kMigrateIn) {
    event.vn = GroupId(kFirstVn + (vm < kVms / 2 ? 0 : 1));
    if ((bits & 0xC0) == 0xC0) event.vn = GroupId(kFirstVn + (bits & 1));
    for (unsigned i = 0; i <= (bits & 3u) % kAddressesPerVm; ++i)
      event.macs.push_back(mac(std::min(vm, kVms - 2) * 4 + i));
    if ((bits & 0x20) != 0)
      for (unsigned i = choices_.below(4); i > 0; --i)
        event.ips.push_back({event.macs[i % event.macs.size()], any_ip()});
    if ((bits & 4) != 0) event.guest_tag = Vid(static_cast<std::uint16_t>(10 + vm));
    if ((bits & 8) != 0) event.type = VsiType{2, 1};
    event.starts = verb == Verb::kCreate && (bits & 0xC0) == 0x80;
    event.unattended = (bits & 0xC0) == 0x40;
  }
  if ((bits & 16) == 0) event.interface_name = (bits & 4) != 0 ? "trunk" : "tap" + std::to_string(vm);
  unanswered_.insert(event.asker);
  told_.insert(event.vsi);
  host_->handle_event(event, now_);
  pump(false);
}

void Pair::addresses() {
  tnved::AddressEvent event;
  event.verb = kAddressVerbs[choices_.below(std::size(kAddressVerbs))];
  const unsigned vm = choices_.below(kVms);
  event.vsi = vsi(vm);
  event.asker = ++last_asker_;
  const std::uint8_t bits = choices_.octet();
  for (unsigned i = 0; i < 4; ++i)
    if ((bits >> i & 1) != 0) event.macs.push_back(mac((vm + ((bits & 0x80) != 0 ? 1 : 0)) * 4 + i));
  if ((bits & 0x40) != 0) event.macs.push_back(any_mac());
  if ((bits & 0x20) != 0 && !event.macs.empty())
    for (unsigned i = choices_.below(4); i > 0; --i) event.ips.push_back({event.macs[i % event.macs.size()], any_ip()});
  if (event.verb == AddressVerb::kChangeIp) event.to = any_ip();
  unanswered_.insert(event.asker);
  host_->handle_addresses(event, now_);
  pump(false);
}

void Pair::link() {
  const unsigned n = choices_.below(2);
  link_up_[n] = !link_up_[n];
  const unsigned who = choices_.below(3);  // both ends see it, or only one
  if (who != 1) with(true, [&](auto& a) { a.handle_link(PortId(n + 1), link_up_[n], now_); });
  if (who != 2) with(false, [&](auto& a) { a.handle_link(PortId(n + 1), link_up_[n], now_); });
}

void Pair::advance() {
  constexpr Duration kSteps[] = {milliseconds(1), milliseconds(20), milliseconds(300), seconds(1),
                                 seconds(4),      seconds(11),      seconds(31),       seconds(65)};
  pass(kSteps[choices_.below(std::size(kSteps))]);
}

/// Time goes to the next deadline of either agent.
void Pair::wake_all() {
  const auto deadline = earliest(switch_->next_deadline(), host_->next_deadline());
  if (!deadline) return;
  now_ = std::max(now_, *deadline);
  with(true, [this](auto& a) { a.handle_time(now_); });
  with(false, [this](auto& a) { a.handle_time(now_); });
}

void Pair::pass(Duration by) {
  const Instant until = now_ + by;
  unsigned wakes = 0;
  while (true) {
    const auto deadline = earliest(switch_->next_deadline(), host_->next_deadline());
    if (!deadline || *deadline > until) break;
    wakes = *deadline > now_ ? 0 : wakes + 1;
    ensure(wakes <= kWakesPerInstantMax, "a deadline that has come is dealt with");
    wake_all();
  }
  now_ = until;
}

void Pair::start_switch(bool has_state) {
  switch_ = std::make_unique<nnved::Agent>(switch_config(), ++lives_);
  std::vector<agent::StoreRecord> records;
  for (const auto& [key, value] : switch_node_.store) records.push_back({key, value});
  const std::size_t unreadable = switch_->restore(records, now_);
  ensure(!has_state || unreadable == 0 || switch_node_.disk_failed, "nnved restores what it stored");
  authority_.reconcile({BatchId(0), switch_->desired_authority(), switch_->desired_tags()});
  switch_node_.datapath.reconcile(switch_->desired_rows());
}

void Pair::start_host(bool has_state) {
  host_ = std::make_unique<tnved::Agent>(host_config(), ++lives_);
  std::vector<agent::StoreRecord> records;
  for (const auto& [key, value] : host_node_.store) records.push_back({key, value});
  const std::size_t unreadable = host_->restore(records, now_);
  ensure(!has_state || unreadable == 0 || host_node_.disk_failed, "tnved restores what it stored");
  host_node_.datapath.reconcile(host_->desired_rows());
}

/// The process dies: some of what it had handed to its store is committed, nothing else is carried out. It may come
/// back with another configuration.
void Pair::restart() {
  const unsigned how = choices_.below(4);
  const bool is_switch = (how & 1) != 0;
  Node& node = is_switch ? switch_node_ : host_node_;
  auto& commits = node.waiting[static_cast<std::size_t>(Queue::kPersist)];
  for (unsigned n = choices_.below(4); n > 0 && !commits.empty(); --n) {
    carry_out(is_switch, commits.front(), 0);
    commits.pop_front();
  }
  for (auto& queue : node.waiting) queue.clear();
  if ((how & 2) != 0) change_offer(is_switch);
  if (is_switch) {
    start_switch(true);
  } else {
    unanswered_.clear();
    start_host(true);
  }
  for (unsigned n = 0; n < 2; ++n)
    if (!link_up_[n]) with(is_switch, [&](auto& a) { a.handle_link(PortId(n + 1), false, now_); });
  pump(is_switch);
}

agent::BatchResult Pair::program(Node& node, const agent::Program& effect, unsigned mode) {
  agent::BatchResult result{effect.batch, {}, mode == 1 ? "no datapath" : ""};
  if (mode == 1) return result;
  const auto refuse = [&](datapath::Table table, std::size_t size) {
    if (mode >= 2 && size > 0 && choices_.flip())
      result.failures.push_back({table, static_cast<std::uint32_t>(choices_.octet() % size), "no room"});
  };
  refuse(datapath::Table::kPort, effect.rows.ports.size());
  refuse(datapath::Table::kDomain, effect.rows.domains.size());
  refuse(datapath::Table::kAccess, effect.rows.access.size());
  refuse(datapath::Table::kIp, effect.rows.ips.size());
  refuse(datapath::Table::kGuard, effect.rows.guards.size());
  refuse(datapath::Table::kFdb, effect.rows.fdb.size());
  datapath::Rows rows;
  rows.ports = applied_rows(effect.rows.ports, result, datapath::Table::kPort);
  rows.domains = applied_rows(effect.rows.domains, result, datapath::Table::kDomain);
  rows.access = applied_rows(effect.rows.access, result, datapath::Table::kAccess);
  rows.ips = applied_rows(effect.rows.ips, result, datapath::Table::kIp);
  rows.guards = applied_rows(effect.rows.guards, result, datapath::Table::kGuard);
  rows.fdb = applied_rows(effect.rows.fdb, result, datapath::Table::kFdb);
  node.datapath.apply(effect.batch, rows);
  return result;
}

/// Mode 0 does it, 1 fails as a whole, others fail in part where that is possible.
agent::BatchResult Pair::carry_out(bool is_switch, const agent::Effect& effect, unsigned mode) {
  Node& node = is_switch ? switch_node_ : host_node_;
  if (const auto* rows = std::get_if<agent::Program>(&effect)) return program(node, *rows, mode);
  if (const auto* publish = std::get_if<agent::Publish>(&effect)) {
    if (mode == 1) return {publish->batch, {}, "no authority"};
    return authority_.handle(*publish);
  }
  const auto& persist = std::get<agent::Persist>(effect);
  if (mode != 0) {
    node.disk_failed = true;
    return {persist.batch, {}, "disk full"};
  }
  for (const auto& record : persist.records) {
    if (record.value.empty())
      node.store.erase(record.key);
    else
      node.store[record.key] = record.value;
  }
  return {persist.batch, {}, {}};
}

void Pair::answer_one() {
  const bool is_switch = choices_.flip();
  const auto queue = static_cast<Queue>(choices_.below(kQueues));
  answer(is_switch, queue, choices_.below(4));
}

void Pair::answer(bool is_switch, Queue queue, unsigned mode) {
  auto& waiting = (is_switch ? switch_node_ : host_node_).waiting[static_cast<std::size_t>(queue)];
  if (waiting.empty()) return;
  const agent::Effect effect = std::move(waiting.front());
  waiting.pop_front();
  const agent::BatchResult result = carry_out(is_switch, effect, mode);
  with(is_switch, [&](auto& a) { a.handle_result(result, now_); });
}

/// Everything that is on its way arrives, until nothing is.
void Pair::settle() {
  constexpr unsigned kRoundsMax = 1000;
  for (unsigned round = 0;; ++round) {
    ensure(round < kRoundsMax, "talk comes to an end");
    bool quiet = true;
    for (const bool is_switch : {true, false})
      for (std::size_t q = 0; q < kQueues; ++q)
        while (!(is_switch ? switch_node_ : host_node_).waiting[q].empty()) {
          answer(is_switch, static_cast<Queue>(q), 0);
          quiet = false;
        }
    while (!flights_.empty()) {
      const Flight flight = std::move(flights_.front());
      flights_.pop_front();
      arrive(flight);
      quiet = false;
    }
    if (quiet) return;
  }
}

/// Links are up, back ends answer, nobody disturbs: all views agree before long, and everybody who asked was answered.
void Pair::rest() {
  for (unsigned n = 0; n < 2; ++n) {
    link_up_[n] = true;
    with(true, [&](auto& a) { a.handle_link(PortId(n + 1), true, now_); });
    with(false, [&](auto& a) { a.handle_link(PortId(n + 1), true, now_); });
  }
  for (unsigned n = 0; n < 80; ++n) {
    settle();
    pass(milliseconds(500));
  }
  settle();
  check_all();
  ensure(switch_node_.datapath.differences(switch_->desired_rows()).empty(), "nnved's datapath is as wanted");
  ensure(host_node_.datapath.differences(host_->desired_rows()).empty(), "tnved's datapath is as wanted");
  ensure(authority_.rows().size() == switch_->desired_authority().size(), "the authority is as wanted");
  std::map<std::uint64_t, OctetString> wanted;
  for (const auto& record : switch_->desired_records()) wanted[record.key] = record.value;
  ensure(switch_node_.store == wanted, "nnved's store is as wanted");
  ensure(unanswered_.empty(), "everybody who asked was answered");
  switch_node_.disk_failed = host_node_.disk_failed = false;
  check_sessions();
}

void Pair::pump(bool is_switch) {
  std::size_t effects = 0;
  const auto run = [&](auto& a) {
    bool more = true;
    while (more) {
      more = a.handle_work(8, now_);
      while (auto effect = a.poll_effect()) {
        ensure(++effects <= kEffectsPerCallMax, "bounded effects");
        take(is_switch, std::move(*effect));
        more = true;
      }
    }
  };
  if (is_switch)
    run(*switch_);
  else
    run(*host_);
}

void Pair::take(bool is_switch, agent::Effect effect) {
  auto& waiting = (is_switch ? switch_node_ : host_node_).waiting;
  if (auto* frame = std::get_if<agent::Transmit>(&effect)) return transmit(is_switch, std::move(*frame));
  if (const auto* answer = std::get_if<agent::Answer>(&effect)) {
    ensure(unanswered_.erase(answer->asker) == 1, "who asked is answered once");
    return;
  }
  if (std::holds_alternative<agent::Program>(effect))
    waiting[static_cast<std::size_t>(Queue::kProgram)].push_back(std::move(effect));
  else if (std::holds_alternative<agent::Persist>(effect))
    waiting[static_cast<std::size_t>(Queue::kPersist)].push_back(std::move(effect));
  else if (std::holds_alternative<agent::Publish>(effect))
    waiting[static_cast<std::size_t>(Queue::kPublish)].push_back(std::move(effect));
}

void Pair::check_all() {
  check(*switch_);
  check(*host_);
  check_signed();
}

}  // namespace splitnve::fuzz
