// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "nnved/changes.hpp"
#include "nnved/host_traffic.hpp"
#include "nnved/record.hpp"
#include "nnved/tsi_table.hpp"
#include "nnved/vap.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::nnved {

/// What the tables mean for datapath, authority and store: each function says how one row shall be now. Pure reading.
class Projection {
 public:
  Projection(const AgentConfig& config, const Policy& policy, const TsiTable& tsis, const VapTable& vaps,
             const HostTraffic& host_traffic);

  datapath::DomainRow domain(GroupId vn) const;
  datapath::AccessRow access(const TagKey& key) const;
  datapath::IpRow ip(const IpKey& key) const;
  datapath::GuardRow guard(const GuardKey& key) const;
  datapath::FdbRow fdb(const AddressKey& key) const;
  datapath::Rows rows(const RowKeys& keys) const;
  /// Flood members found in the datapath that stay until this is called with none (S13).
  void adopt(const std::vector<datapath::DomainRow>& found);
  /// Everything the datapath shall hold, ports included.
  datapath::Rows all_rows() const;
  datapath::Rows rows_of_port(PortId port) const;

  /// The authority's row of an address that somebody here has.
  agent::AuthorityRow authority(const AddressKey& key, const Owner& owner) const;
  agent::AuthorityTag tag(const TagKey& key) const;

  /// The stored form; empty if the TSI is gone or on its way only.
  agent::StoreRecord record(Index instance) const;

 private:
  datapath::Rows rows_of(std::optional<PortId> only) const;
  const AgentConfig& config_;
  const Policy& policy_;
  const TsiTable& tsis_;
  const VapTable& vaps_;
  const HostTraffic& host_traffic_;
  agent::Permissions permissions_;
  boost::unordered_flat_map<AddressKey, datapath::UnderlayAddress> remotes_;
  boost::unordered_flat_map<GroupId, std::vector<datapath::FloodMember>> adopted_;
};

}  // namespace splitnve::nnved
