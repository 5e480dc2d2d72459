// SPDX-License-Identifier: Apache-2.0
#include "audit.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "splitnve/host/json_text.hpp"

namespace splitnve::daemon {
namespace {

/// Values under printable keys, so that the order of differences is the order of the keys.
template <class Key, class Value>
std::vector<Difference> compare(const std::map<Key, Value>& want, const std::map<Key, Value>& have,
                                std::string (*name)(const Key&)) {
  std::vector<Difference> out;
  for (const auto& [key, value] : want) {
    const auto at = have.find(key);
    if (at == have.end())
      out.push_back({Difference::Kind::kMissing, name(key)});
    else if (!(at->second == value))
      out.push_back({Difference::Kind::kDiffers, name(key)});
  }
  for (const auto& [key, value] : have)
    if (!want.contains(key)) out.push_back({Difference::Kind::kStale, name(key)});
  return out;
}

std::string name_of(const std::uint64_t& key) { return agent::record_name(key); }
std::map<std::uint64_t, OctetString> by_key(std::span<const agent::StoreRecord> records) {
  std::map<std::uint64_t, OctetString> map;
  for (const auto& record : records)
    if (!record.value.empty()) map[record.key] = record.value;
  return map;
}

using AddressKey = std::pair<GroupId, MacAddress>;
using OwnerValue = std::tuple<VsiId, std::uint32_t, bool>;
std::string address_name(const AddressKey& key) {
  return "vn " + std::to_string(key.first.value()) + " " + key.second.to_string();
}
std::map<AddressKey, OwnerValue> by_key(std::span<const agent::AuthorityRow> rows) {
  std::map<AddressKey, OwnerValue> map;
  for (const auto& row : rows)
    if (row.mapped) map[{row.vn, row.mac}] = {row.vsi, row.generation, row.forwarding};
  return map;
}

using TagName = std::tuple<PortId, Vid, GroupId>;
std::string tag_name(const TagName& key) {
  return "tag port " + std::to_string(std::get<0>(key).value()) + " vid " + std::to_string(std::get<1>(key).value()) +
         " vn " + std::to_string(std::get<2>(key).value());
}
std::map<TagName, bool> by_key(std::span<const agent::AuthorityTag> tags) {
  std::map<TagName, bool> map;
  for (const auto& tag : tags)
    if (tag.present) map[{tag.port, tag.vid, tag.vn}] = true;
  return map;
}

}  // namespace

std::vector<Difference> differences(std::span<const agent::StoreRecord> want,
                                    std::span<const agent::StoreRecord> have) {
  return compare(by_key(want), by_key(have), name_of);
}

std::vector<agent::StoreRecord> repairs(std::span<const agent::StoreRecord> want,
                                        std::span<const agent::StoreRecord> have) {
  const auto wanted = by_key(want), there = by_key(have);
  std::vector<agent::StoreRecord> records;
  for (const auto& [key, value] : wanted)
    if (const auto at = there.find(key); at == there.end() || at->second != value) records.push_back({key, value});
  for (const auto& [key, value] : there)
    if (!wanted.contains(key)) records.push_back({key, {}});
  return records;
}

std::vector<Difference> differences(std::span<const agent::AuthorityRow> want,
                                    std::span<const agent::AuthorityRow> have) {
  return compare(by_key(want), by_key(have), address_name);
}

std::vector<Difference> differences(std::span<const agent::AuthorityTag> want,
                                    std::span<const agent::AuthorityTag> have) {
  return compare(by_key(want), by_key(have), tag_name);
}

void AuditReport::add(const char* plane, std::vector<Difference> found) {
  if (compared.empty() || compared.back() != plane) compared.emplace_back(plane);
  for (auto& difference : found) findings.push_back({plane, std::move(difference)});
}

host::RowSource stream_findings(std::vector<AuditReport::Finding> findings) {
  return [findings = std::move(findings), next = std::size_t{0}](std::string& out) mutable {
    if (next == findings.size()) return false;
    const auto& [plane, difference] = findings[next++];
    host::JsonText row(out);
    row.open('{').member("plane", plane).member("row", difference.row);
    row.member("difference", to_string(difference.kind)).close('}');
    return true;
  };
}

nlohmann::json result_of(const AuditReport& report) {
  return {{"differences", report.findings.size()},
          {"fixed", report.fixed},
          {"compared", report.compared},
          {"not_compared", report.not_compared}};
}

}  // namespace splitnve::daemon
