// SPDX-License-Identifier: Apache-2.0
#include "nnved/latch.hpp"

#include <utility>

#include "agent/record_fields.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve::nnved {
namespace {

constexpr std::uint8_t kLatchRecordVersion = 1;
constexpr std::uint8_t kActivationOnlyVersion = 2;

}  // namespace

OctetString encode_latch(const Latch& latch) {
  ensure(latch.reason.size() <= limits::kLatchReasonOctetsMax, "a latch within its limits");
  OctetString octets(8 + latch.interface_name.size() + latch.reason.size() + (latch.vsi ? 17u : 0u) +
                     (latch.activation_only ? 6u : 0u));
  BoundedWriter writer(octets);
  writer.u8(latch.activation_only ? kActivationOnlyVersion : kLatchRecordVersion);
  writer.u32(latch.vn.value());
  agent::write_text(writer, latch.interface_name);
  writer.u8(latch.vsi ? 1 : 0);
  if (latch.vsi) agent::write_vsi(writer, *latch.vsi);
  agent::write_text(writer, latch.reason);
  if (latch.activation_only) writer.octets(latch.mac.octets());
  ensure(!writer.overflowed() && writer.room() == 0, "a latch record has the size that was reckoned");
  return octets;
}

Decoded<Latch> decode_latch(Octets octets) {
  BoundedReader reader(octets);
  Latch latch;
  std::uint8_t version = 0, has_vsi = 0;
  if (!reader.u8(version)) return reader.error("truncated");
  if (version != kLatchRecordVersion && version != kActivationOnlyVersion)
    return reader.error("unknown record version");
  if (!agent::read_id(reader, latch.vn) || !agent::read_text(reader, latch.interface_name) || !reader.u8(has_vsi))
    return reader.error("truncated");
  if (has_vsi > 1) return reader.error("unknown latch flags");
  if (has_vsi == 1 && !agent::read_vsi(reader, latch.vsi.emplace())) return reader.error("truncated");
  if (!agent::read_text(reader, latch.reason)) return reader.error("truncated");
  latch.activation_only = version == kActivationOnlyVersion;
  if (latch.activation_only) {
    if (!agent::read_mac(reader, latch.mac)) return reader.error("truncated");
    if (!latch.vsi) return reader.error("no VSI");
  }
  if (!reader.empty()) return reader.error("octets left over");
  if (!latch.vsi && latch.interface_name.empty()) return reader.error("neither port nor VSI");
  if (latch.reason.size() > limits::kLatchReasonOctetsMax) return reader.error("reason too long");
  return latch;
}

bool LatchTable::set(Latch latch) {
  if (const auto known = index_.find(key_of(latch)); known != index_.end()) {
    rows_[known->second].reason = std::move(latch.reason);
    changes_.latches.push_back(known->second);
    return true;
  }
  if (rows_.size() >= limits::kLatchesMax) return false;
  const Key key = key_of(latch);
  const Index number = rows_.emplace(std::move(latch));
  index_.emplace(key, number);
  changes_.latches.push_back(number);
  return true;
}

bool LatchTable::release(GroupId vn, const std::string& interface_name, const std::optional<VsiId>& vsi) {
  std::vector<Index> released;
  rows_.for_each([&](Index number, const Latch& latch) {
    if (latch.vn == vn && latch.interface_name == interface_name && latch.vsi == vsi) released.push_back(number);
  });
  for (const Index number : released) {
    changes_.latches.push_back(number);
    index_.erase(key_of(rows_[number]));
    rows_.erase(number);
  }
  return !released.empty();
}

const Latch* LatchTable::find(GroupId vn, const std::string& interface_name, const VsiId& vsi, const MacAddress& mac,
                              bool activates) const {
  if (index_.empty()) return nullptr;
  const auto at = [&](const Key& key) -> const Latch* {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &rows_[found->second];
  };
  if (const Latch* of_vsi = at({vn, "", vsi, false, {}})) return of_vsi;
  if (const Latch* of_vn = at({vn, interface_name, VsiId{}, false, {}})) return of_vn;
  if (!activates) return nullptr;
  if (const Latch* of_all = at({vn, "", vsi, true, {}})) return of_all;
  return mac.is_zero() ? nullptr : at({vn, "", vsi, true, mac});
}

bool LatchTable::restore(Index number, Latch latch) {
  if (number >= limits::kLatchesMax || rows_.contains(number) || index_.contains(key_of(latch))) return false;
  index_.emplace(key_of(latch), number);
  rows_.emplace_at(number, std::move(latch));
  return true;
}

agent::StoreRecord LatchTable::record(Index number) const {
  agent::StoreRecord stored;
  stored.key = agent::store_key(agent::RecordKind::kLatch, number + 1u);
  if (rows_.contains(number)) stored.value = encode_latch(rows_[number]);
  return stored;
}

}  // namespace splitnve::nnved
