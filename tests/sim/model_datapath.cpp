// SPDX-License-Identifier: Apache-2.0
#include "model_datapath.hpp"

#include <algorithm>

#include "splitnve/datapath/difference.hpp"

namespace splitnve::sim {
namespace {

datapath::DomainRow sorted(datapath::DomainRow row) {
  std::sort(row.local.begin(), row.local.end());
  std::sort(row.remote.begin(), row.remote.end());
  return row;
}

template <class Map, class Row, class Key>
void put(Map& map, const Key& key, const Row& row, bool present) {
  if (present)
    map.insert_or_assign(key, row);
  else
    map.erase(key);
}

}  // namespace

agent::BatchResult ModelDatapath::apply(BatchId batch, const datapath::Rows& rows) {
  for (const auto& row : rows.ports) put(ports_, row.port, row, row.present);
  for (const auto& row : rows.domains) put(domains_, row.domain, sorted(row), row.present);
  for (const auto& row : rows.access) put(access_, std::pair(row.port, row.tag), row, row.domain.has_value());
  for (const auto& row : rows.ips) put(ips_, std::tuple(row.instance, row.mac, row.prefix), row, row.present);
  for (const auto& row : rows.guards)
    put(guards_, std::tuple(row.domain, row.port, row.mac), row, row.instance.has_value());
  for (const auto& row : rows.fdb) put(fdb_, FdbKey(row.domain, row.mac), row, row.owner.has_value());
  return {batch, {}, {}};
}

std::size_t ModelDatapath::reconcile(const datapath::Rows& full) {
  const std::size_t count = differences(full).size();
  *this = ModelDatapath();
  apply(BatchId(0), full);
  return count;
}

datapath::Rows ModelDatapath::dump() const {
  datapath::Rows rows;
  for (const auto& [key, row] : ports_) rows.ports.push_back(row);
  for (const auto& [key, row] : domains_) rows.domains.push_back(row);
  for (const auto& [key, row] : access_) rows.access.push_back(row);
  for (const auto& [key, row] : ips_) rows.ips.push_back(row);
  for (const auto& [key, row] : guards_) rows.guards.push_back(row);
  for (const auto& [key, row] : fdb_) rows.fdb.push_back(row);
  return rows;
}

std::vector<std::string> ModelDatapath::differences(const datapath::Rows& full) const {
  std::vector<std::string> lines;
  for (const auto& found : datapath::differences(full, dump()))
    lines.push_back(found.row + ": " + to_string(found.kind));
  return lines;
}

std::optional<datapath::LocalOwner> ModelDatapath::open_owner(DomainId domain, MacAddress mac) const {
  const auto at = fdb_.find(FdbKey(domain, mac));
  if (at == fdb_.end() || !at->second.owner) return std::nullopt;
  const auto* local = std::get_if<datapath::LocalOwner>(&*at->second.owner);
  if (local == nullptr) return std::nullopt;
  const auto guard = guards_.find(std::tuple(domain, local->port, mac));
  if (guard == guards_.end() || guard->second.instance != local->instance) return std::nullopt;
  return *local;
}

}  // namespace splitnve::sim
