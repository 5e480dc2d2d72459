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
  domain_of_.erase(known);
  const auto holders = holders_of_.find(entry);
  auto& list = holders->second;
  list.erase(std::remove(list.begin(), list.end(), row.instance), list.end());
  // Two places of a VSI have it while it moves: what one gives up is still the other's.
  if (!holders->second.empty()) {
    table.put(entry, holders->second.back());
    return;
  }
  holders_of_.erase(holders);
  table.erase(entry);
}

void LinkLocals::hold(const switch_ip_key& row, std::uint32_t domain) {
  domain_of_[row] = domain;
  auto& holders = holders_of_[entry_of(domain, row)];
  if (std::ranges::count(holders, row.instance) == 0) holders.push_back(row.instance);
}

void LinkLocals::apply(const Table& table, const std::vector<datapath::IpRow>& rows,
                       std::vector<datapath::Failure>& failures) {
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const auto key = link_local_of(rows[i]);
    if (!key) continue;
    if (!rows[i].present) {
      forget(table, *key);
    } else if (rows[i].domain.value() != 0) {
      hold(*key, rows[i].domain.value());
      if (!table.put(entry_of(rows[i].domain.value(), *key), key->instance))
        failures.push_back({datapath::Table::kIp, i, "the table of link-local addresses is full"});
    }
  }
}

Result<void> LinkLocals::reconcile(const Table& table, const std::vector<datapath::IpRow>& rows) {
  domain_of_.clear();
  holders_of_.clear();
  for (const auto& row : rows) {
    const auto key = link_local_of(row);
    if (key && row.present && row.domain.value() != 0) hold(*key, row.domain.value());
  }
  const auto done = examine(table, true);
  return done ? Result<void>() : unexpected<Error>(done.error());
}

Result<std::size_t> LinkLocals::examine(const Table& table, bool mend) const {
  const auto actual = table.read_all();
  if (!actual) return unexpected<Error>(actual.error());
  auto missing = holders_of_;
  std::size_t strangers = 0;
  for (const auto& [entry, instance] : *actual) {
    const auto holders = missing.find(entry);
    if (holders == missing.end()) {
      ++strangers;
      if (mend) table.erase(entry);
    } else if (std::ranges::count(holders->second, instance) != 0) {
      missing.erase(holders);
    }
  }
  if (mend)
    for (const auto& [entry, holders] : missing)
      if (!table.put(entry, holders.back()))
        return unexpected<Error>(Error{"the table of link-local addresses is full", "", ""});
  return strangers + missing.size();
}

}  // namespace splitnve::host::bpf
