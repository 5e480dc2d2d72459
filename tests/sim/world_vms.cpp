// SPDX-License-Identifier: Apache-2.0
// Lifecycle operations: each VM walks through a random plan of verbs, one at a time, as a hypervisor would.
#include <algorithm>
#include <utility>

#include "world.hpp"

namespace splitnve::sim {
using std::chrono::microseconds;
using tnved::Verb;

constexpr std::size_t kSettledShare = 4;

void World::build_vms() {
  for (unsigned host = 0; host < parameters_.hosts; ++host) {
    for (unsigned i = 0; i < parameters_.tsis_per_host; ++i) {
      const unsigned number = host * parameters_.tsis_per_host + i;
      Vm vm;
      for (unsigned octet = 0; octet < 4; ++octet)
        vm.vsi.octets[12 + octet] = static_cast<std::uint8_t>(number >> (24 - 8 * octet));
      vm.vn = GroupId(70001 + number % parameters_.vns);
      vm.number = number;
      vm.interface_name = "vm" + std::to_string(number);
      vm.host = host;
      vm_by_vsi_[vm.vsi] = vms_.size();
      vms_.push_back(vm);
    }
  }
}

void World::operate() {
  if (!operating_) return;
  plan_for(below(static_cast<unsigned>(vms_.size())));
  at(now_ + microseconds(200 + below(4000)), [this] { operate(); });
}

void World::operator_acts() {
  const unsigned switches = static_cast<unsigned>(nodes_.size()) - parameters_.hosts;
  switch (below(4)) {
    case 0: return operator_removes(*nodes_[parameters_.hosts + below(switches)]);
    case 1: return operator_moves_paths(*nodes_[below(parameters_.hosts)]);
    default: return operator_deactivates(*nodes_[parameters_.hosts + below(switches)]);
  }
}

/// The nNVE de-associates some TSI by itself; its VM is then shut down, whatever the plan made of it.
void World::operator_removes(Node& node) {
  if (!node.alive || node.nnved->tsi_slots() == 0) return;
  const auto view = node.nnved->tsi(below(node.nnved->tsi_slots()));
  if (!view || !vm_by_vsi_.contains(view->vsi)) return;
  ++report_.removals;
  count("remove");
  const std::size_t index = vm_by_vsi_.at(view->vsi);
  Vm& vm = vms_[index];
  vm.removed = true;
  for (unsigned host = 0; host < parameters_.hosts; ++host)
    if (&switch_of(host) == &node || &switch_of(host, uplinks_of(host) - 1) == &node) vm.excused.insert(host);
  node.nnved->remove_tsi(view->instance, "removed by the operator", now_);
  pump(node);
  advance(index);
}

/// Chooses what happens next to a VM that is at rest. Steps are taken from the back.
void World::plan_for(std::size_t index) {
  Vm& vm = vms_[index];
  if (vm.waiting || !vm.plan.empty()) return;
  // Some VMs run on, as most do: only time, crashes and links happen to them.
  if (index % kSettledShare == 0 && vm.phase == Phase::kRunning) return;
  const unsigned here = vm.host;
  const auto then = [&](Verb verb) { vm.plan.insert(vm.plan.begin(), {here, verb}); };
  if (vm.phase != Phase::kAbsent && chance(0.4)) {
    if (auto change = change_of(vm)) vm.plan = {std::move(*change)};
    return advance(index);
  }
  switch (vm.phase) {
    case Phase::kAbsent:
      then(Verb::kCreate);
      if (chance(0.3))
        vm.plan.back().starts = true;
      else if (chance(0.7))
        then(Verb::kStart);
      break;
    case Phase::kCreated: then(chance(0.8) ? Verb::kStart : Verb::kShutdown); break;
    case Phase::kSuspended: then(chance(0.8) ? Verb::kResume : Verb::kShutdown); break;
    case Phase::kRunning: return plan_running(index);
  }
  advance(index);
}

void World::plan_running(std::size_t index) {
  Vm& vm = vms_[index];
  const unsigned here = vm.host;
  const unsigned first = here / hosts_per_switch() * hosts_per_switch();
  const unsigned count = std::min(hosts_per_switch(), parameters_.hosts - first);
  const unsigned there = first + below(count);
  const unsigned dice = below(10);
  if (dice < 2) {
    vm.plan = {{here, Verb::kShutdown}};
  } else if (dice < 3) {
    vm.plan = {{here, Verb::kPause}};
  } else if (dice < 6 || there == here || is_dual(here) || is_dual(there)) {
    vm.plan = {{here, Verb::kSuspend}};
  } else {
    ++report_.migrations;
    vm.arriving_at = there;
    const bool abort = chance(0.2);
    vm.plan = {{here, abort ? Verb::kAbort : Verb::kShutdown},
               {there, abort ? Verb::kAbort : Verb::kResume},
               {there, Verb::kMigrateIn},
               {here, Verb::kMigrateOut}};
  }
  advance(index);
}

void World::advance(std::size_t index) {
  Vm& vm = vms_[index];
  if (!vm.waiting && vm.plan.empty() && std::exchange(vm.removed, false) && vm.phase != Phase::kAbsent)
    vm.plan.push_back({vm.host, Verb::kShutdown});
  if (vm.waiting || vm.plan.empty()) return;
  const Step step = vm.plan.back();
  if (!nodes_[step.host]->alive) {
    at(now_ + std::chrono::milliseconds(20), [this, index] { advance(index); });
    return;
  }
  vm.plan.pop_back();
  issue(index, step);
}

void World::issue(std::size_t index, const Step& step) {
  Vm& vm = vms_[index];
  ++report_.lifecycle_operations;
  vm.waiting = true;
  Node& node = *nodes_[step.host];
  const std::uint64_t asker = next_asker_++;
  asked_[asker] = {index, step, node.incarnation};
  if (step.change) return issue_change(index, step, asker);
  count(tnved::to_string(step.verb));
  if (step.verb == Verb::kStart || step.verb == Verb::kResume || step.starts) {
    vm.ever_started = true;
    vm.excused.erase(step.host);
  }
  if (step.verb == Verb::kSuspend || step.verb == Verb::kShutdown) vm.excused.insert(step.host);
  if (step.verb == Verb::kAbort && step.host != vm.host) vm.excused.insert(step.host);
  if (step.verb == Verb::kCreate) describe(vm);
  tnved::LifecycleEvent event;
  event.verb = step.verb;
  event.starts = step.starts;
  event.replace = true;
  event.vsi = vm.vsi;
  event.asker = asker;
  event.vn = vm.vn;
  event.interface_name = vm.interface_name;
  fill(event, vm);
  node.tnved->handle_event(event, now_);
  pump(node);
}

void World::answered(std::uint64_t asker, bool ok, const std::string& reason) {
  const auto at_asker = asked_.find(asker);
  if (at_asker == asked_.end()) return fail("an answer that nobody asked for, or a second one");
  const Asked asked = at_asker->second;
  asked_.erase(at_asker);
  Vm& vm = vms_[asked.vm];
  vm.waiting = false;
  const char* verb = asked.step.change ? tnved::to_string(asked.step.change->verb) : tnved::to_string(asked.step.verb);
  trace(vm.interface_name + " " + verb + " at host " + std::to_string(asked.step.host) +
        (ok ? ": done" : ": refused: " + reason));
  if (!ok && reason != kRestarted) count("refused");
  if (asked.step.change) {
    complete_change(vm, asked.step, ok, reason);
  } else {
    if (!ok) vm.excused.insert(asked.step.host);  // the VM was told not to run there
    complete(asked.vm, asked.step, ok);
  }
  // A refused step is not tried again in the same instant.
  if (ok)
    advance(asked.vm);
  else
    at(now_ + std::chrono::milliseconds(10), [this, index = asked.vm] { advance(index); });
}

/// What the hypervisor concludes: a refused step ends the plan, and the VM is shut down wherever it may be known.
void World::complete(std::size_t index, const Step& step, bool ok) {
  Vm& vm = vms_[index];
  if (!ok) {
    if (step.verb == Verb::kShutdown || step.verb == Verb::kAbort) {
      if (!nodes_[step.host]->alive || knows(*nodes_[step.host], vm.vsi)) {
        vm.plan.push_back(step);  // again, until it holds
        return;
      }
    } else {
      vm.plan.clear();
      vm.plan.push_back({vm.host, Verb::kShutdown});
      if (vm.arriving_at && *vm.arriving_at != vm.host) vm.plan.push_back({*vm.arriving_at, Verb::kShutdown});
      vm.arriving_at.reset();
      return;
    }
  }
  switch (step.verb) {
    case Verb::kCreate: vm.phase = step.starts ? Phase::kRunning : Phase::kCreated; break;
    case Verb::kStart: vm.phase = Phase::kRunning; break;
    case Verb::kResume:
      vm.phase = Phase::kRunning;
      if (vm.arriving_at == step.host && vm.host != step.host) {
        vm.host = step.host;
        for (Address& address : vm.addresses) {  // it was described anew there
          address.deactivated = false;
          address.deactivated_ips.clear();
        }
      }
      break;
    case Verb::kSuspend: vm.phase = Phase::kSuspended; break;
    case Verb::kShutdown:
      if (step.host == vm.host) vm.phase = Phase::kAbsent;
      vm.arriving_at.reset();
      break;
    case Verb::kAbort:
      if (step.host == vm.host) vm.arriving_at.reset();
      break;
    case Verb::kPause:
    case Verb::kMigrateOut:
    case Verb::kMigrateIn: break;
  }
}

bool World::knows(const Node& host, const VsiId& vsi) { return host.tnved->find(vsi).has_value(); }

bool World::bring_up_all() {
  bool any = false;
  for (std::size_t index = 0; index < vms_.size(); ++index) {
    Vm& vm = vms_[index];
    if (vm.phase == Phase::kRunning) continue;
    any = true;
    if (vm.phase == Phase::kSuspended)
      vm.plan = {{vm.host, Verb::kResume}};
    else if (vm.phase == Phase::kCreated)
      vm.plan = {{vm.host, Verb::kStart}};
    else
      vm.plan = {{vm.host, Verb::kStart}, {vm.host, Verb::kCreate}};
    advance(index);
  }
  return any;
}

bool World::plans_done() const {
  return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->alive; }) &&
         std::all_of(vms_.begin(), vms_.end(),
                     [](const Vm& vm) { return !vm.waiting && vm.plan.empty() && !vm.removed && !vm.latched_at; });
}

}  // namespace splitnve::sim
