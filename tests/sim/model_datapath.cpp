// SPDX-License-Identifier: Apache-2.0
#include "model_datapath.hpp"

#include <algorithm>

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

std::string text(PortId port) { return "port " + std::to_string(port.value()); }
std::string text(DomainId domain) { return "domain " + std::to_string(domain.value()); }

template <class Map, class Name>
void compare(const char* table, const Map& have, const Map& want, Name&& name, std::vector<std::string>& out) {
  for (const auto& [key, row] : want) {
    const auto at = have.find(key);
    if (at == have.end()) out.push_back(std::string(table) + " " + name(key) + ": missing");
    else if (!(at->second == row)) out.push_back(std::string(table) + " " + name(key) + ": differs");
  }
  for (const auto& [key, row] : have)
    if (!want.contains(key)) out.push_back(std::string(table) + " " + name(key) + ": stale");
}

}  // namespace

agent::BatchResult ModelDatapath::apply(BatchId batch, const datapath::Rows& rows) {
  for (const auto& row : rows.ports) put(ports_, row.port, row, row.present);
  for (const auto& row : rows.domains) put(domains_, row.domain, sorted(row), row.present);
  for (const auto& row : rows.access) put(access_, std::pair(row.port, row.tag), row, row.domain.has_value());
  for (const auto& row : rows.guards) put(guards_, std::tuple(row.domain, row.port, row.mac), row, row.instance.has_value());
  for (const auto& row : rows.fdb) put(fdb_, FdbKey(row.domain, row.mac), row, row.owner.has_value());
  return {batch, {}, {}};
}

std::size_t ModelDatapath::reconcile(const datapath::Rows& full) {
  const std::size_t count = differences(full).size();
  *this = ModelDatapath();
  apply(BatchId(0), full);
  return count;
}

std::vector<std::string> ModelDatapath::differences(const datapath::Rows& full) const {
  ModelDatapath want;
  want.apply(BatchId(0), full);
  std::vector<std::string> out;
  compare("port", ports_, want.ports_, [](PortId p) { return text(p); }, out);
  compare("domain", domains_, want.domains_, [](DomainId d) { return text(d); }, out);
  compare("access", access_, want.access_,
          [](const auto& k) { return text(k.first) + " vid " + std::to_string(k.second.value()); }, out);
  compare("guard", guards_, want.guards_,
          [](const auto& k) { return text(std::get<0>(k)) + " " + text(std::get<1>(k)) + " " + std::get<2>(k).to_string(); },
          out);
  compare("fdb", fdb_, want.fdb_, [](const auto& k) { return text(k.first) + " " + k.second.to_string(); }, out);
  return out;
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
