// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "splitnve/agent/effects.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::sim {

/// The tables of a datapath in memory: what an eBPF switch holds in its maps, for comparison and invariants. It
/// survives its agent, as pinned maps do.
class ModelDatapath {
 public:
  using FdbKey = std::pair<DomainId, MacAddress>;

  agent::BatchResult apply(BatchId batch, const datapath::Rows& rows);
  /// Makes the tables exactly `full`; returns how many rows differed.
  std::size_t reconcile(const datapath::Rows& full);
  datapath::Rows dump() const;
  /// Lines `table key: missing | stale | differs`; empty when equal.
  std::vector<std::string> differences(const datapath::Rows& full) const;

  const std::map<FdbKey, datapath::FdbRow>& fdb() const { return fdb_; }
  const std::map<std::pair<PortId, Vid>, datapath::AccessRow>& access() const { return access_; }
  const std::map<DomainId, datapath::DomainRow>& domains() const { return domains_; }
  /// The local owner of an address if its guard is open: the instance that may really send and receive.
  std::optional<datapath::LocalOwner> open_owner(DomainId domain, MacAddress mac) const;

 private:
  std::map<PortId, datapath::PortRow> ports_;
  std::map<DomainId, datapath::DomainRow> domains_;
  std::map<std::pair<PortId, Vid>, datapath::AccessRow> access_;
  std::map<std::tuple<InstanceId, MacAddress, IpPrefix>, datapath::IpRow> ips_;
  std::map<std::tuple<DomainId, PortId, MacAddress>, datapath::GuardRow> guards_;
  std::map<FdbKey, datapath::FdbRow> fdb_;
};

}  // namespace splitnve::sim
