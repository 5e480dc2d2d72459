// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_link_locals.hpp"

#include <algorithm>
#include <optional>

namespace splitnve::host::bpf {
namespace {

// The row's own key, if it is of one link-local address.
std::optional<switch_ip_key> link_local_of(const datapath::IpRow& row) {
  if (!row.prefix.is_link_local()) return std::nullopt;
  return encode(row, PortTable()).key;
}

switch_link_local entry_of(std::uint32_t domain, const switch_ip_key& row) {
  switch_link_local entry{};
  entry.domain = domain;
  std::copy(std::begin(row.address), std::end(row.address), entry.address);
  return entry;
}

}  // namespace

void LinkLocals::forget(const Table& table, const switch_ip_key& row) {
  const auto known = domain_of_.find(row);
  if (known == domain_of_.end()) return;
  const auto entry = entry_of(known->second, row);
  std::uint32_t holder = 0;
  if (table.get(entry, holder) && holder == row.instance) table.erase(entry);
  domain_of_.erase(known);
}

void LinkLocals::apply(const Table& table, const std::vector<datapath::IpRow>& rows,
                       std::vector<datapath::Failure>& failures) {
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const auto key = link_local_of(rows[i]);
    if (!key) continue;
    if (!rows[i].present) {
      forget(table, *key);
    } else if (rows[i].domain.value() != 0) {
      domain_of_[*key] = rows[i].domain.value();
      if (!table.put(entry_of(rows[i].domain.value(), *key), key->instance))
        failures.push_back({datapath::Table::kIp, i, "the table of link-local addresses is full"});
    }
  }
}

Result<void> LinkLocals::reconcile(const Table& table, const std::vector<datapath::IpRow>& rows) {
  domain_of_.clear();
  boost::unordered_flat_map<switch_link_local, std::uint32_t, OctetHash, OctetEqual> wanted;
  for (const auto& row : rows) {
    const auto key = link_local_of(row);
    if (!key || !row.present || row.domain.value() == 0) continue;
    domain_of_[*key] = row.domain.value();
    wanted[entry_of(row.domain.value(), *key)] = key->instance;
  }
  const auto actual = table.read_all();
  if (!actual) return unexpected<Error>(actual.error());
  for (const auto& [entry, instance] : *actual) {
    const auto found = wanted.find(entry);
    if (found == wanted.end())
      table.erase(entry);
    else if (found->second == instance)
      wanted.erase(found);
  }
  for (const auto& [entry, instance] : wanted)
    if (!table.put(entry, instance))
      return unexpected<Error>(Error{"the table of link-local addresses is full", "", ""});
  return {};
}

}  // namespace splitnve::host::bpf
