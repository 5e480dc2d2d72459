// SPDX-License-Identifier: Apache-2.0
#include "nnved/host_traffic.hpp"

#include <algorithm>
#include <chrono>

namespace splitnve::nnved {
namespace {

constexpr std::uint64_t kKey = agent::store_key(agent::RecordKind::kMeta, 2);
constexpr Duration kWarnEach = std::chrono::hours(24);

/// Names, each behind its length.
std::optional<std::set<std::string>> decode(const agent::StoreRecord& stored) {
  std::set<std::string> names;
  BoundedReader reader(stored.value);
  std::uint8_t marker = 0, length = 0;
  if (!reader.u8(marker)) return std::nullopt;
  while (!reader.empty()) {
    Octets name;
    if (!reader.u8(length) || !reader.take(length, name)) return std::nullopt;
    names.emplace(name.begin(), name.end());
  }
  return names;
}

}  // namespace

bool HostTraffic::restore(std::span<const agent::StoreRecord> records) {
  const auto stored = std::ranges::find(records, kKey, &agent::StoreRecord::key);
  const bool before_the_key = stored == records.end() && !records.empty();
  std::optional<std::set<std::string>> known;
  if (stored != records.end()) known = decode(*stored);
  const auto was_open = [&](const PortConfig& port) {
    return !port.host_traffic && (before_the_key || (known && known->contains(port.interface_name)));
  };
  for (const auto& port : config_.ports)
    if (was_open(port)) inherited_.insert(port.interface_name);
  if (!inherited_.empty()) warn_at_ = Instant{};
  return !known || *known != inherited_;
}

datapath::HostTraffic HostTraffic::of(const PortConfig& port) const {
  using State = datapath::HostTraffic;
  if (port.host_traffic) return *port.host_traffic ? State::kOpen : State::kClosed;
  return inherited_.contains(port.interface_name) ? State::kInherited : State::kClosed;
}

agent::StoreRecord HostTraffic::record() const {
  agent::StoreRecord stored{kKey, OctetString{1}};
  for (const auto& name : inherited_) {
    stored.value.push_back(static_cast<std::uint8_t>(name.size()));
    stored.value.insert(stored.value.end(), name.begin(), name.end());
  }
  return stored;
}

std::string HostTraffic::due(Instant now) {
  if (!warn_at_ || now < *warn_at_) return {};
  warn_at_ = now + kWarnEach;
  std::string names;
  for (const auto& name : inherited_) names += (names.empty() ? "" : ", ") + name;
  return "untagged traffic of stations reaches this host by " + names +
         ", as it did before this version: set \"host_traffic\" of each port to false (or true)";
}

}  // namespace splitnve::nnved
