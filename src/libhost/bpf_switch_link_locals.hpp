// SPDX-License-Identifier: Apache-2.0
// Link-local IPv6 addresses that instances signalled, by domain: what the programs ask before another source may use
// one (S47). They follow from the IP rows, which say the same by instance.
#pragma once
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <vector>

#include "bpf_switch_map.hpp"
#include "bpf_switch_rows.hpp"
#include "splitnve/base/result.hpp"

namespace splitnve::host::bpf {

class LinkLocals {
 public:
  using Table = Map<switch_link_local, std::uint32_t>;

  /// Follows the IP rows of a batch; a row that names no domain is one to be removed, or is not followed.
  void apply(const Table& table, const std::vector<datapath::IpRow>& rows, std::vector<datapath::Failure>& failures);
  /// How many rows of the table differ from what was applied; with `mend` no more.
  Result<std::size_t> examine(const Table& table, bool mend) const;
  std::size_t size() const { return holders_of_.size(); }
  /// Brings the table to what all wanted IP rows say.
  Result<void> reconcile(const Table& table, const std::vector<datapath::IpRow>& rows);

 private:
  void hold(const switch_ip_key& row, std::uint32_t domain);
  void forget(const Table& table, const switch_ip_key& row);

  /// Which domain each address was entered in: rows that shall go do not say it.
  boost::unordered_flat_map<switch_ip_key, std::uint32_t, OctetHash, OctetEqual> domain_of_;
  /// The instances that have an address, the last one in front of the programs.
  boost::unordered_flat_map<switch_link_local, boost::container::small_vector<std::uint32_t, 2>, OctetHash, OctetEqual>
      holders_of_;
};

}  // namespace splitnve::host::bpf
