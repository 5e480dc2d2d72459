// SPDX-License-Identifier: Apache-2.0
// Whatever stands in a state store: records that can be read are written again the same, and an agent that restores any
// of them starts, with as many notices as it could not use, and wants nothing that contradicts itself.
//
//   input   { kind and number(1) length(2) octets } x n
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "choices.hpp"
#include "invariants.hpp"
#include "nnved/connect.hpp"
#include "nnved/record.hpp"
#include "splitnve/base/check.hpp"
#include "tnved/record.hpp"

namespace {

using namespace splitnve;
using agent::StoreRecord;

constexpr std::size_t kRecordsMax = 16;
constexpr std::size_t kRecordOctetsMax = 1024;
const Instant kStart(std::chrono::hours(1));

/// The record's address list may be put into order, reserved bits are dropped: reading is compared, not octets.
template <class Decode, class Encode>
void check_codec(Octets octets, Decode decode, Encode encode) {
  const auto record = decode(octets);
  if (!record) {
    ensure(record.error().offset <= octets.size(), "an error lies within the record");
    return;
  }
  const OctetString written = encode(*record);
  const auto again = decode(written);
  ensure(again.has_value() && *again == *record, "what is written reads as what was read");
  ensure(encode(*again) == written, "writing is a function of what was read");
}

nnved::AgentConfig switch_config() {
  nnved::AgentConfig config;
  for (unsigned i = 1; i <= 2; ++i) {
    nnved::PortConfig port;
    port.id = PortId(i);
    port.interface_name = "p" + std::to_string(i);
    port.segment = "s";
    port.mac = MacAddress(0x020000000200u + i);
    port.vids = {Vid(100), Vid(103)};
    port.legacy = i == 2;
    config.ports.push_back(port);
  }
  config.vns.push_back({GroupId(70001), "blue", "", 1001, {}});
  config.vns.push_back({GroupId(70002), "red", "", 1002, {}});
  return config;
}

tnved::AgentConfig host_config() {
  tnved::AgentConfig config;
  for (unsigned i = 1; i <= 2; ++i) {
    tnved::UplinkConfig uplink;
    uplink.id = PortId(i);
    uplink.interface_name = "up" + std::to_string(i);
    uplink.mac = MacAddress(0x020000000100u + i);
    uplink.vns = {GroupId(70000 + i)};
    config.uplinks.push_back(uplink);
  }
  return config;
}

/// Runs the agent as its driver would for a while: no back end answers.
template <class Agent>
void run(Agent& agent, std::map<std::uint64_t, OctetString>& store) {
  Instant now = kStart;
  for (unsigned turn = 0; turn < 64; ++turn) {
    while (agent.handle_work(8, now)) {
    }
    std::size_t effects = 0;
    while (auto effect = agent.poll_effect()) {
      ensure(++effects <= fuzz::kEffectsPerCallMax, "bounded effects");
      const auto* persist = std::get_if<agent::Persist>(&*effect);
      if (persist == nullptr) continue;
      for (const auto& record : persist->records) {
        if (record.value.empty())
          store.erase(record.key);
        else
          store[record.key] = record.value;
      }
      agent.handle_result({persist->batch, {}, {}}, now);
    }
    fuzz::check(agent);
    const auto deadline = agent.next_deadline();
    if (!deadline) return;
    now = std::max(now, *deadline);
    agent.handle_time(now);
  }
}

template <class Agent, class Config>
void check_restore(const Config& config, const std::vector<StoreRecord>& records) {
  std::map<std::uint64_t, OctetString> store;
  for (const auto& record : records) store[record.key] = record.value;
  Agent agent(config, 1);
  ensure(agent.restore(records, kStart) <= records.size(), "a record is complained of once");
  fuzz::check(agent);
  run(agent, store);
}

/// What the switch wants stored is what it reads back without a complaint.
void check_again(const std::vector<StoreRecord>& records) {
  nnved::Agent first(switch_config(), 1);
  first.restore(records, kStart);
  const auto wanted = first.desired_records();
  nnved::Agent second(switch_config(), 2);
  ensure(second.restore(wanted, kStart) == 0, "what the agent stores it can restore");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Choices choices{Octets(data, size)};
  std::vector<StoreRecord> records;
  std::set<std::uint64_t> keys;
  while (!choices.empty() && records.size() < kRecordsMax) {
    const std::uint8_t name = choices.octet();
    const Octets value = choices.take(choices.u16() % kRecordOctetsMax);
    check_codec(value, nnved::decode_record, nnved::encode_record);
    check_codec(value, nnved::decode_connect, nnved::encode_connect);
    check_codec(value, tnved::decode_record, tnved::encode_record);
    // Seven of eight are TSIs; a store has a key once.
    const auto kind = (name & 0x0E) != 0 ? agent::RecordKind::kTsi : static_cast<agent::RecordKind>(name & 3);
    const std::uint64_t id = (name & 0x0F) == 0x0F ? ~std::uint64_t{0} >> 8 : name >> 4;
    if (keys.insert(agent::store_key(kind, id)).second)
      records.push_back({agent::store_key(kind, id), OctetString(value.begin(), value.end())});
  }
  check_restore<nnved::Agent>(switch_config(), records);
  check_restore<tnved::Agent>(host_config(), records);
  check_again(records);
  return 0;
}
