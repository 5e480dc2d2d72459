// SPDX-License-Identifier: Apache-2.0
// Time and links of the simulation, and what agents hand out.
#include <algorithm>

#include "world.hpp"

namespace splitnve::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kSettleMax = seconds(240);
constexpr std::uint64_t kFullCheckEvents = 10000;
constexpr double kReplayShare = 0.005;

/// Calls `f` with whichever agent the node runs.
template <class Node, class F>
auto with_agent(Node& node, F&& f) {
  return node.is_switch ? f(*node.nnved) : f(*node.tnved);
}

}  // namespace

World::World(const Parameters& parameters) : parameters_(parameters), random_(parameters.seed) { build(); }
World::~World() = default;

bool World::chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }
unsigned World::below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

void World::at(Instant when, std::function<void()> action) { queue_.push({when, order_++, std::move(action)}); }

/// Both ends see the link go, and come back (behind a learning switch the host alone); a process that starts meanwhile
/// sees it as it is then.
void World::flap(Node& host, unsigned uplink) {
  if (!host.link_up[uplink]) return;
  ++report_.flaps;
  count("flap");
  set_link(host, uplink, false);
  at(now_ + milliseconds(5 + below(chance(0.9) ? 500 : 5000)), [this, &host, uplink] { set_link(host, uplink, true); });
}

void World::set_link(Node& host, unsigned uplink, bool up) {
  host.link_up[uplink] = up;
  host.link_changed[uplink] = now_;
  trace("host " + std::to_string(host.index) + " link " + std::to_string(uplink) + (up ? " up" : " down"));
  Node& node = switch_of(host.index, uplink);
  if (node.alive && parameters_.hosts_per_port == 1) {
    node.nnved->handle_link(port_of(host.index, uplink), up, now_);
    pump(node);
  }
  if (host.alive) {
    host.tnved->handle_link(PortId(1 + uplink), up, now_);
    pump(host);
  }
}

Report World::run() {
  at(now_, [this] { operate(); });
  while (report_.failure.empty() && report_.events < parameters_.steps) step();
  operating_ = false;
  settle();
  if (parameters_.hold > Duration::zero()) hold();
  count_stations();
  report_.pass = report_.failure.empty();
  report_.tsis = vms_.size();
  report_.virtual_time = now_ - Instant(seconds(1000));
  return report_;
}

/// Nothing is asked any more; losses go on. All views must come to agree.
void World::settle() {
  const Instant give_up = now_ + kSettleMax;
  Instant compare_at = now_ + seconds(1);
  while (report_.failure.empty() && now_ < give_up) {
    step();
    if (now_ < compare_at) continue;
    compare_at = now_ + seconds(1);
    if (ask_again_all() || !plans_done()) continue;
    report_.differences = compare_all();
    if (report_.differences.empty()) break;
  }
  if (!plans_done() && report_.failure.empty()) fail("lifecycle operations did not end within the settling time");
  if (report_.failure.empty() && !report_.differences.empty()) fail(report_.differences.front());
}

/// All VMs run, and for the time asked for no TSI may leave Activated on either side.
void World::hold() {
  while (report_.failure.empty() && bring_up_all()) settle();
  holding_ = true;
  const Instant until = now_ + parameters_.hold;
  while (report_.failure.empty() && now_ < until) step();
  holding_ = false;
  if (report_.failure.empty()) settle();
}

void World::step() {
  ensure(!queue_.empty(), "the simulation always has a next event");
  // The action may push events, so it leaves the queue before it runs.
  auto action = std::move(const_cast<Event&>(queue_.top()).action);
  now_ = queue_.top().at;
  queue_.pop();
  ++report_.events;
  action();
  if (report_.events % kFullCheckEvents == 0) check_datapaths();
  if (!operating_) return;
  if (chance(parameters_.crash_per_1000_events / 1000)) {
    Node& victim = *nodes_[below(static_cast<unsigned>(nodes_.size()))];
    if (victim.alive) crash(victim);
  }
  if (chance(parameters_.flap_per_1000_events / 1000)) {
    const unsigned host = below(parameters_.hosts);
    flap(*nodes_[host], below(uplinks_of(host)));
  }
  if (chance(parameters_.operator_per_1000_events / 1000)) operator_acts();
}

void World::pump(Node& node) {
  with_agent(node, [&](auto& a) {
    bool more = true;
    while (more) {
      more = a.handle_work(8, now_);
      while (auto effect = a.poll_effect()) {
        execute(node, std::move(*effect));
        more = true;
      }
    }
  });
  schedule_wake(node);
}

void World::schedule_wake(Node& node) {
  const auto deadline = with_agent(node, [](auto& a) { return a.next_deadline(); });
  if (!deadline || (node.wake && *node.wake <= *deadline)) return;
  const Instant when = std::max(*deadline, now_);
  node.wake = when;
  at(when, [this, &node, when, incarnation = node.incarnation] {
    if (!node.alive || node.incarnation != incarnation || node.wake != when) return;
    node.wake.reset();
    with_agent(node, [&](auto& a) { a.handle_time(now_); });
    pump(node);
  });
}

Instant World::in_order(Instant& done, int micros_max) {
  done = std::max(done, now_ + microseconds(1 + below(static_cast<unsigned>(micros_max))));
  return done;
}

void World::execute(Node& node, agent::Effect effect) {
  const auto answer_at = [&](Instant when, auto&& carry_out) {
    at(when, [this, &node, incarnation = node.incarnation, carry_out] {
      if (!node.alive || node.incarnation != incarnation) return;
      const agent::BatchResult result = carry_out();
      with_agent(node, [&](auto& a) { a.handle_result(result, now_); });
      pump(node);
    });
  };
  if (const auto* sent = std::get_if<agent::Transmit>(&effect)) {
    transmit(node, *sent);
  } else if (auto* program = std::get_if<agent::Program>(&effect)) {
    answer_at(in_order(node.programs_done, 300), [this, &node, p = std::move(*program)] {
      apply_program(node, p);
      return agent::BatchResult{p.batch, {}, {}};
    });
  } else if (auto* persist = std::get_if<agent::Persist>(&effect)) {
    answer_at(in_order(node.commits_done, 300), [&node, p = std::move(*persist)] {
      for (const auto& record : p.records) {
        if (record.value.empty())
          node.store.erase(record.key);
        else
          node.store[record.key] = record.value;
      }
      return agent::BatchResult{p.batch, {}, {}};
    });
  } else if (auto* publish = std::get_if<agent::Publish>(&effect)) {
    answer_at(in_order(node.claims_done, 2000),
              [this, &node, p = std::move(*publish)] { return authority_.handle(p, node.index); });
  } else if (const auto* transition = std::get_if<agent::Transition>(&effect)) {
    if (holding_ && transition->machine == std::string_view("tsi"))
      fail("a TSI that nobody touched changed: " + to_string(transition->subject) + " from " + transition->from +
           " to " + transition->to);
    if (transition->machine == std::string_view("path") && transition->to == std::string_view("active")) {
      count("path-switch");
      node.path_changed = now_;
    }
    if (transition->to == std::string_view("authenticated")) count("session");
    trace((node.is_switch ? "switch " : "host ") + std::to_string(node.index) + " " + transition->machine + " " +
          to_string(transition->subject) + " " + transition->from + " -> " + transition->to + ": " +
          transition->reason);
  } else if (const auto* notice = std::get_if<agent::Notice>(&effect)) {
    trace((node.is_switch ? "switch " : "host ") + std::to_string(node.index) + " " + notice->id + " " + notice->text);
  } else if (const auto* answer = std::get_if<agent::Answer>(&effect)) {
    // Answered from the queue, not from within the agent's own call.
    at(now_, [this, a = *answer] { answered(a.asker, a.ok, a.reason); });
  }
}

void World::transmit(Node& from, const agent::Transmit& effect) {
  if (from.is_switch && effect.port == foreign_port()) return to_foreign(from.index, effect.frame);
  for (const Receiver& to : receivers(from, effect.port, effect.frame)) carry(from, *to.node, to.uplink, effect.frame);
}

/// The other end of the link, or whom a learning switch picks: it keeps 01-80-C2-00-00-0x to itself.
std::vector<World::Receiver> World::receivers(Node& from, PortId port, const OctetString& frame) {
  const unsigned ports = parameters_.ports_per_switch;
  if (!from.is_switch && port != PortId(1)) return {{&switch_of(from.index, 1), 1}};
  if (from.is_switch && port.value() > ports) {
    return {{nodes_[from.index * ports + port.value() - ports - 1].get(), 1}};
  }
  const unsigned segment = from.is_switch ? from.index * ports + port.value() - 1 : segment_of(from.index);
  std::vector<Receiver> all;
  if (!from.is_switch) all.push_back({&switch_of(from.index), 0});
  for (unsigned i = 0; i < parameters_.hosts_per_port; ++i) {
    const unsigned host = segment * parameters_.hosts_per_port + i;
    if (host < parameters_.hosts && nodes_[host].get() != &from) all.push_back({nodes_[host].get(), 0});
  }
  if (parameters_.hosts_per_port == 1) return all;
  const auto mac_at = [&](std::size_t offset) {
    MacAddress::Bytes octets;
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(offset), octets.size(), octets.begin());
    return MacAddress(octets);
  };
  const MacAddress destination = mac_at(0);
  learned_[{segment, mac_at(6)}] = &from;
  if ((destination.octets()[0] & 1) != 0) return {};
  if (const auto known = learned_.find({segment, destination}); known != learned_.end()) return {{known->second, 0}};
  return all;
}

void World::over_link(const std::function<void()>& arrives) {
  const int copies = chance(parameters_.loss) ? 0 : chance(parameters_.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    Instant when = now_ + microseconds(20 + below(30));
    if (chance(parameters_.reorder)) when += microseconds(below(5000));
    at(when, arrives);
  }
}

void World::carry(Node& from, Node& to, unsigned uplink, const OctetString& frame) {
  Node& host = from.is_switch ? to : from;
  if (parameters_.trace) trace_frame(from, to, frame);
  observe(from, host, uplink, frame);
  if (!host.link_up[uplink]) return;
  const PortId port = to.is_switch ? port_of(host.index, uplink) : PortId(1 + uplink);
  over_link([this, &to, port, &host, uplink, frame] {
    if (host.link_up[uplink]) arrive(to, port, frame);
  });
  // Somebody on the link repeats what was signed; where signatures are required that means nothing at any time.
  const bool required =
      host_mode(host.index) == auth::Mode::kRequire && port_mode(segment_of(host.index)) == auth::Mode::kRequire;
  if (required && chance(kReplayShare))
    at(now_ + milliseconds(below(20000)), [this, &to, port, frame] { replay(to, port, frame); });
}

void World::arrive(Node& to, PortId port, const OctetString& frame) {
  if (!to.alive) return;
  if (!to.is_switch) excuse_refusals(to, frame);
  with_agent(to, [&](auto& a) { a.handle_frame(port, frame, now_); });
  pump(to);
}

void World::replay(Node& to, PortId port, const OctetString& frame) {
  if (!to.alive) return;
  count("replay");
  with_agent(to, [&](auto& a) { a.handle_frame(port, frame, now_); });
  pump(to);
}

void World::apply_program(Node& node, const agent::Program& effect) {
  Owners before;
  for (const auto& row : effect.rows.fdb) before.push_back(node.datapath.open_owner(row.domain, row.mac));
  node.datapath.apply(effect.batch, effect.rows);
  check_program(node, effect, before);
}

std::string summary(const Parameters& parameters, const Report& report, double wall_seconds) {
  char line[400];
  std::snprintf(
      line, sizeof line,
      "sim: %s seed=%llu tsis=%zu events=%llu operations=%llu migrations=%llu crashes=%llu flaps=%llu removals=%llu "
      "differences=%zu virtual=%.1fs wall=%.1fs",
      report.pass ? "PASS" : "FAIL", static_cast<unsigned long long>(parameters.seed), report.tsis,
      static_cast<unsigned long long>(report.events), static_cast<unsigned long long>(report.lifecycle_operations),
      static_cast<unsigned long long>(report.migrations), static_cast<unsigned long long>(report.crashes),
      static_cast<unsigned long long>(report.flaps), static_cast<unsigned long long>(report.removals),
      report.differences.size(), std::chrono::duration<double>(report.virtual_time).count(), wall_seconds);
  return line;
}

std::string actions(const Report& report) {
  std::string line = "sim: actions";
  for (const auto& [name, times] : report.actions) line += " " + name + "=" + std::to_string(times);
  return line;
}

}  // namespace splitnve::sim
