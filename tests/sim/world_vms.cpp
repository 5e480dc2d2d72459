// SPDX-License-Identifier: Apache-2.0
// Lifecycle operations: each VM walks through a random plan of verbs, one at a time, as a hypervisor would.
#include <algorithm>
#include <utility>

#include "world.hpp"

namespace splitnve::sim {
namespace {

/// Some VMs have one: 10.0.0.0 and on.
IpPrefix ip_of(std::size_t index) {
  return {IpFamily::kV4, 32,
          {10, static_cast<std::uint8_t>(index >> 16), static_cast<std::uint8_t>(index >> 8),
           static_cast<std::uint8_t>(index)}};
}

}  // namespace

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
      vm.mac = MacAddress(0x02AA00000000u + number);
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

/// The nNVE de-associates some TSI by itself; its VM is then shut down, whatever the plan made of it.
void World::operator_removes(Node& node) {
  if (!node.alive || node.nnved->tsi_slots() == 0) return;
  const auto view = node.nnved->tsi(below(node.nnved->tsi_slots()));
  if (!view) return;
  ++report_.removals;
  const std::size_t index = vm_by_vsi_.at(view->vsi);
  Vm& vm = vms_[index];
  vm.removed = true;
  for (unsigned host = 0; host < parameters_.hosts; ++host)
    if (&switch_of(host) == &node) vm.excused.insert(host);
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
  switch (vm.phase) {
    case Phase::kAbsent:
      then(Verb::kCreate);
      if (chance(0.8)) then(Verb::kStart);
      break;
    case Phase::kCreated: then(chance(0.8) ? Verb::kStart : Verb::kShutdown); break;
    case Phase::kSuspended: then(chance(0.8) ? Verb::kResume : Verb::kShutdown); break;
    case Phase::kRunning: {
      const unsigned first = here / hosts_per_switch() * hosts_per_switch();
      const unsigned count = std::min(hosts_per_switch(), parameters_.hosts - first);
      const unsigned there = first + below(count);
      const unsigned dice = below(10);
      if (dice < 2)
        then(Verb::kShutdown);
      else if (dice < 3)
        then(Verb::kPause);
      else if (dice < 6 || there == here)
        then(Verb::kSuspend);
      else {
        ++report_.migrations;
        vm.arriving_at = there;
        const bool abort = chance(0.2);
        vm.plan = {{here, abort ? Verb::kAbort : Verb::kShutdown},
                   {there, abort ? Verb::kAbort : Verb::kResume},
                   {there, Verb::kMigrateIn},
                   {here, Verb::kMigrateOut}};
      }
      break;
    }
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
  if (step.verb == Verb::kStart || step.verb == Verb::kResume) {
    vm.ever_started = true;
    vm.excused.erase(step.host);
  }
  if (step.verb == Verb::kSuspend || step.verb == Verb::kShutdown) vm.excused.insert(step.host);
  if (step.verb == Verb::kAbort && step.host != vm.host) vm.excused.insert(step.host);
  Node& node = *nodes_[step.host];
  const std::uint64_t asker = next_asker_++;
  asked_[asker] = {index, step, node.incarnation};
  tnved::LifecycleEvent event;
  event.verb = step.verb;
  event.vsi = vm.vsi;
  event.asker = asker;
  event.vn = vm.vn;
  event.macs = {vm.mac};
  if (index % 3 == 0) event.ips = {{vm.mac, ip_of(index)}};
  if (index % 6 == 0) event.ips.push_back({vm.mac, *IpPrefix::from_string("2001:db8::/64")});
  event.interface_name = vm.interface_name;
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
  trace(vm.interface_name + " " + tnved::to_string(asked.step.verb) + " at host " + std::to_string(asked.step.host) +
        (ok ? ": done" : ": refused: " + reason));
  if (!ok) vm.excused.insert(asked.step.host);  // the VM was told not to run there
  complete(asked.vm, asked.step, ok);
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
    case Verb::kCreate: vm.phase = Phase::kCreated; break;
    case Verb::kStart: vm.phase = Phase::kRunning; break;
    case Verb::kResume:
      vm.phase = Phase::kRunning;
      if (vm.arriving_at == step.host) vm.host = step.host;
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

bool World::knows(const Node& host, const VsiId& vsi) {
  for (std::uint32_t i = 0; i < host.tnved->tsi_slots(); ++i)
    if (const auto view = host.tnved->tsi(i); view && view->vsi == vsi) return true;
  return false;
}

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
                     [](const Vm& vm) { return !vm.waiting && vm.plan.empty() && !vm.removed; });
}

}  // namespace splitnve::sim
