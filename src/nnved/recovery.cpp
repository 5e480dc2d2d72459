// SPDX-License-Identifier: Apache-2.0
// A lost store: the stations are asked nothing, they repeat what they have; the datapath forwards on meanwhile.
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

void Impl::recover(const datapath::Rows& found, bool hold_vids, Instant now) {
  const Instant ends = now + config.vdp.keepalive_timeout();
  recovery.ends = ends;
  for (const datapath::AccessRow& row : found.access) {
    const auto port_index = policy.port_index(row.port);
    if (port_index && row.domain && policy.vn(GroupId(row.domain->value())) != nullptr)
      vaps.adopt(*port_index, row.tag, GroupId(row.domain->value()), ends);
  }
  for (const datapath::FdbRow& row : found.fdb) {
    const auto* local = row.owner ? std::get_if<datapath::LocalOwner>(&*row.owner) : nullptr;
    const bool sane =
        local != nullptr && local->instance.value() > 0 && local->instance.value() <= limits::kInstancesMax;
    if (!sane) continue;
    recovery.numbers.emplace(AddressKey{GroupId(row.domain.value()), row.mac}, instance_index(local->instance));
    recovery.first_unused = std::max(recovery.first_unused, local->instance.value());
  }
  projection.adopt(found.domains);
  if (hold_vids) vaps.begin_recovery(ends);
  journal.notice("nnved.recovering", agent::Notice::Level::kWarning,
                 std::to_string(recovery.numbers.size()) + " addresses found in the datapath forward on");
}

void Impl::end_recovery(Instant now) {
  if (!recovery.ends) return;
  recovery = {};
  projection.adopt({});
  journal.notice("nnved.recovered", agent::Notice::Level::kInfo,
                 std::to_string(tsis.rows().size()) + " TSIs were told by their stations");
  settle(now);
}

/// Under the number that the datapath knows it by; another TSI gets none of those.
Index Impl::new_instance(const VsiId& vsi, GroupId vn, Index peer, Index vap, const MacAddress& mac) {
  Index number = kNoIndex;
  if (recovery.ends) {
    const auto known = recovery.numbers.find(AddressKey{vn, mac});
    number = known != recovery.numbers.end() && !tsis.rows().contains(known->second)
                 ? known->second
                 : std::max(recovery.first_unused, tsis.rows().slots());
    if (number >= limits::kInstancesMax) number = kNoIndex;
  }
  return machine.create(vsi, vn, peer, peers[peer].station, vap, number);
}

void Agent::recover(const datapath::Rows& found, bool hold_vids, Instant now) { impl_->recover(found, hold_vids, now); }
std::optional<Instant> Agent::recovery_ends() const { return impl_->recovery.ends; }
void Agent::end_recovery(Instant now) { impl_->end_recovery(now); }

}  // namespace splitnve::nnved
