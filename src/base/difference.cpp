// SPDX-License-Identifier: Apache-2.0
#include "splitnve/datapath/difference.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace splitnve {

const char* to_string(Difference::Kind kind) {
  switch (kind) {
    case Difference::Kind::kMissing: return "missing";
    case Difference::Kind::kStale: return "stale";
    case Difference::Kind::kDiffers: return "differs";
    case Difference::Kind::kMended: return "mended";
  }
  return "unknown";
}

namespace datapath {
namespace {

std::string text(PortId port) { return "port " + std::to_string(port.value()); }
std::string text(DomainId domain) { return "domain " + std::to_string(domain.value()); }

// --- a row's key, whether it says "present", its name for people, and its value in a form that compares ---

auto key_of(const PortRow& row) { return row.port; }
bool is_present(const PortRow& row) { return row.present; }
std::string name_of(const PortRow& row) { return text(row.port); }
PortRow normal(PortRow row) { return row; }

auto key_of(const DomainRow& row) { return row.domain; }
bool is_present(const DomainRow& row) { return row.present; }
std::string name_of(const DomainRow& row) { return text(row.domain); }
DomainRow normal(DomainRow row) {
  std::sort(row.local.begin(), row.local.end());
  std::sort(row.remote.begin(), row.remote.end());
  std::sort(row.reserved.begin(), row.reserved.end());
  return row;
}

auto key_of(const AccessRow& row) { return std::pair(row.port, row.tag); }
bool is_present(const AccessRow& row) { return row.domain.has_value(); }
std::string name_of(const AccessRow& row) {
  return "access " + text(row.port) + " vid " + std::to_string(row.tag.value());
}
AccessRow normal(AccessRow row) { return row; }

auto key_of(const GuardRow& row) { return std::tuple(row.domain, row.port, row.mac); }
bool is_present(const GuardRow& row) { return row.instance.has_value(); }
std::string name_of(const GuardRow& row) {
  return "guard " + text(row.domain) + " " + text(row.port) + " " + row.mac.to_string();
}
GuardRow normal(GuardRow row) { return row; }

auto key_of(const IpRow& row) { return std::tuple(row.instance, row.mac, row.prefix); }
bool is_present(const IpRow& row) { return row.present; }
std::string name_of(const IpRow& row) {
  return "ip instance " + std::to_string(row.instance.value()) + " " + row.mac.to_string() + " " +
         row.prefix.to_string();
}
IpRow normal(IpRow row) {
  row.domain = {};  // no part of the row that the datapath tells
  return row;
}

auto key_of(const FdbRow& row) { return std::pair(row.domain, row.mac); }
bool is_present(const FdbRow& row) { return row.owner.has_value(); }
std::string name_of(const FdbRow& row) { return "fdb " + text(row.domain) + " " + row.mac.to_string(); }
FdbRow normal(FdbRow row) { return row; }

/// By key; of several rows with one key the last counts, as in a batch.
template <class Row>
auto by_key(const std::vector<Row>& rows) {
  std::map<decltype(key_of(std::declval<Row>())), Row> map;
  for (const Row& row : rows) {
    if (is_present(row)) {
      map.insert_or_assign(key_of(row), normal(row));
    } else {
      map.erase(key_of(row));
    }
  }
  return map;
}

template <class Row>
void compare(const std::vector<Row>& want, const std::vector<Row>& have, std::vector<Difference>& out) {
  const auto wanted = by_key(want), there = by_key(have);
  for (const auto& [key, row] : wanted) {
    const auto at = there.find(key);
    if (at == there.end())
      out.push_back({Difference::Kind::kMissing, name_of(row)});
    else if (!(at->second == row))
      out.push_back({Difference::Kind::kDiffers, name_of(row)});
  }
  for (const auto& [key, row] : there)
    if (!wanted.contains(key)) out.push_back({Difference::Kind::kStale, name_of(row)});
}

}  // namespace

std::vector<Difference> differences(const Rows& want, const Rows& have) {
  std::vector<Difference> out;
  compare(want.ports, have.ports, out);
  compare(want.domains, have.domains, out);
  compare(want.access, have.access, out);
  compare(want.ips, have.ips, out);
  compare(want.guards, have.guards, out);
  compare(want.fdb, have.fdb, out);
  return out;
}

}  // namespace datapath
}  // namespace splitnve
