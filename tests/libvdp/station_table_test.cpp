// SPDX-License-Identifier: Apache-2.0
// The station's full table: every association state x every event, with the state and the events that follow.
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

using State = Station::State;

constexpr std::array kStates{State::kSettled, State::kQueued, State::kAwaitingResponse, State::kUnconfirmed,
                             State::kRefused};

/// One association with MAC 1. Settled: active. In the other states it is reserved and wanted active, and `request` is
/// the Associate that asks for it (in Queued: not sent yet, so nothing to answer).
struct Subject {
  explicit Subject(State wanted) {
    station.set_entry(handle, mac(1), wanted == State::kSettled ? Level::kActive : Level::kReserved, Vid(), now);
    request = *send(station, now);
    hear(answer(request));
    if (wanted != State::kSettled) station.set_entry(handle, mac(1), Level::kActive, Vid(), now);
    if (wanted != State::kSettled && wanted != State::kQueued) {
      OctetString octets;
      EXPECT_TRUE(station.compose(octets, now));
      request = *read_vdpdu(octets);
    }
    if (wanted == State::kUnconfirmed) to_deadline();
    if (wanted == State::kRefused) hear(answer(request, 0x64));
    EXPECT_EQ(station.state(handle), wanted);
    events(station);
  }
  void hear(const OctetString& octets) { EXPECT_TRUE(station.handle_vdpdu(octets, now)); }
  void to_deadline() {
    now = station.next_deadline().value_or(now);
    station.handle_time(now);
  }
  void want(std::uint64_t n, Level level) { station.set_entry(handle, mac(n), level, Vid(), now); }
  /// `State | event, event`.
  std::string outcome() {
    std::string text = station.size() == 0 ? "gone" : to_text(station.state(handle));
    const char* separator = " | ";
    for (const std::string& event : events(station)) text += std::exchange(separator, ", ") + event;
    return text;
  }

  Station station{kTiming, kAll};
  Instant now = at({});
  Station::Handle handle = station.open(spec(4));
  CopiedVdpdu request;
};

OctetString head_refusal() {
  OctetString octets(64);
  VdpduWriter writer(octets, manager('1'));
  EXPECT_TRUE(writer.association_head({TlvType::kAssociate, 0, kType, vsi(4)}, 0x41));
  octets.resize(writer.finish().size());
  return octets;
}

struct Line {
  const char* event;
  std::function<void(Subject&)> happen;
  std::array<const char*, kStates.size()> expected;  ///< in the order of kStates
};

const std::vector<Line>& table() {
  static const std::vector<Line> lines = {
      // event, what happens, then: Settled, Queued, AwaitingResponse, Unconfirmed, Refused
      {"set_entry, same level",
       [](Subject& s) { s.want(1, Level::kActive); },
       {"Settled | confirmed 1 active 101", "Queued", "AwaitingResponse", "Unconfirmed", "Queued"}},
      {"set_entry, lower level",
       [](Subject& s) { s.want(1, Level::kReserved); },
       {"Queued", "Settled | confirmed 1 reserved 101", "AwaitingResponse", "Queued",
        "Settled | confirmed 1 reserved 101"}},
      {"set_entry, none",
       [](Subject& s) { s.want(1, Level::kNone); },
       {"Queued", "Queued", "AwaitingResponse", "Queued", "Queued"}},
      {"set_entry, another address",
       [](Subject& s) { s.want(2, Level::kActive); },
       {"Queued", "Queued", "AwaitingResponse", "Queued", "Queued"}},
      {"set_status",
       [](Subject& s) { s.station.set_status(s.handle, true, Migration::kNone); },
       {"Settled", "Queued", "AwaitingResponse", "Unconfirmed", "Refused"}},
      {"close",
       [](Subject& s) { s.station.close(s.handle, s.now); },
       {"Queued", "Queued", "AwaitingResponse", "Queued", "Queued"}},
      {"close, forget",
       [](Subject& s) { s.station.close(s.handle, s.now, true); },
       {"gone | closed", "gone | closed", "gone | closed", "gone | closed", "gone | closed"}},
      {"restore_entry",
       [](Subject& s) { s.station.restore_entry(s.handle, mac(2), Level::kActive, Vid(9), s.now); },
       {"Queued", "Queued", "AwaitingResponse", "Queued", "Queued"}},
      {"reassert_all",
       [](Subject& s) { s.station.reassert_all(s.now); },
       {"Queued", "Queued", "Queued", "Queued", "Queued"}},
      {"success",
       [](Subject& s) { s.hear(answer(s.request)); },
       {"Settled", "Queued", "Settled | confirmed 1 active 101", "Settled | answered, confirmed 1 active 101",
        "Refused"}},
      {"refusal",
       [](Subject& s) { s.hear(answer(s.request, 0x44)); },
       {"Settled", "Queued", "Refused | refused Associate 4, revoked 1",
        "Refused | answered, refused Associate 4, revoked 1", "Refused"}},
      {"refusal with KEEP",
       [](Subject& s) { s.hear(answer(s.request, 0x64)); },
       {"Settled", "Queued", "Refused | refused Associate 4 keep", "Refused | answered, refused Associate 4 keep",
        "Refused"}},
      {"refusal code 5 of a VID",
       [](Subject& s) { s.hear(answer(s.request, 0x65)); },
       {"Settled", "Queued", "Queued", "Queued | answered", "Refused"}},
      {"refusal without entries",
       [](Subject& s) { s.hear(head_refusal()); },
       {"Settled", "Queued", "Refused | refused Associate 1, revoked 1",
        "Refused | answered, refused Associate 1, revoked 1", "Refused"}},
      {"success without VID",
       [](Subject& s) { s.hear(one(TlvType::kAssociate, 0x40, vsi(4), {entry(mac(1), 0)})); },
       {"Settled", "Queued", "AwaitingResponse", "Unconfirmed", "Refused"}},
      {"answer about another VSI",
       [](Subject& s) { s.hear(one(TlvType::kAssociate, 0x40, vsi(5), {entry(mac(1), 7)})); },
       {"Settled", "Queued", "AwaitingResponse", "Unconfirmed", "Refused"}},
      {"De-Associate response",
       [](Subject& s) { s.hear(one(TlvType::kDeAssociate, 0x40, vsi(4), {entry(mac(1), 101)})); },
       {"Settled", "Queued", "Refused | refused Associate 4, revoked 1",
        "Refused | answered, refused Associate 4, revoked 1", "Refused"}},
      {"De-Associate response without entries",
       [](Subject& s) { s.hear(one(TlvType::kDeAssociate, 0x40, vsi(4), {})); },
       {"Settled", "Queued", "AwaitingResponse", "Unconfirmed", "Refused"}},
      {"bridge De-Associate",
       [](Subject& s) { s.hear(one(TlvType::kDeAssociate, 0x00, vsi(4), {entry(mac(1), 0)})); },
       {"Refused | revoked 1", "Refused | revoked 1", "AwaitingResponse | revoked 1", "Refused | revoked 1, answered",
        "Refused | revoked 1"}},
      {"bridge De-Associate of another address",
       [](Subject& s) { s.hear(one(TlvType::kDeAssociate, 0x00, vsi(4), {entry(mac(2), 0)})); },
       {"Settled", "Queued", "AwaitingResponse", "Unconfirmed", "Refused"}},
      {"compose",
       [](Subject& s) { send(s.station, s.now); },
       {"Settled", "AwaitingResponse", "AwaitingResponse", "Unconfirmed", "Refused"}},
      {"delivered",
       [](Subject& s) { s.station.handle_delivered(s.now); },
       {"Settled", "Queued", "AwaitingResponse", "Unconfirmed", "Refused"}},
      {"delivery failed",
       [](Subject& s) { s.station.handle_delivery_failed(s.now); },
       {"Settled", "Queued", "Queued", "Unconfirmed", "Refused"}},
      {"deadline",
       [](Subject& s) { s.to_deadline(); },
       {"Queued", "Queued", "Unconfirmed | unconfirmed", "Queued", "Queued"}},
      {"time passes before the deadline",
       [](Subject& s) { s.station.handle_time(s.now); },
       {"Settled", "Queued", "AwaitingResponse", "Unconfirmed", "Refused"}},
  };
  return lines;
}

TEST(StationTable, EveryStateMeetsEveryEvent) {
  std::size_t covered = 0;
  for (const Line& line : table()) {
    for (std::size_t s = 0; s < kStates.size(); ++s) {
      Subject subject(kStates[s]);
      line.happen(subject);
      EXPECT_EQ(subject.outcome(), line.expected[s]) << to_text(kStates[s]) << " x " << line.event;
      ++covered;
    }
  }
  std::printf("station cells=%zu*%zu covered=%zu\n", kStates.size(), table().size(), covered);
  EXPECT_EQ(covered, kStates.size() * table().size());
}

}  // namespace
}  // namespace splitnve::vdp::test
