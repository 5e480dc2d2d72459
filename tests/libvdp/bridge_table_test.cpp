// SPDX-License-Identifier: Apache-2.0
// The bridge's full table: every request state x every event, with the request's state and what is ready to be sent.
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "splitnve/base/limits.hpp"
#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

enum class At { kReceived, kDeciding, kAnswered, kSent, kGone };
constexpr std::array kStates{At::kReceived, At::kDeciding, At::kAnswered, At::kSent, At::kGone};

const char* to_text(At state) {
  switch (state) {
    case At::kReceived: return "Received";
    case At::kDeciding: return "Deciding";
    case At::kAnswered: return "Answered";
    case At::kSent: return "Sent";
    case At::kGone: return "gone";
  }
  return "?";
}

At where(const Bridge& bridge, RequestId id) {
  const auto state = bridge.state(id);
  if (!state) return At::kGone;
  switch (*state) {
    case Bridge::RequestState::kReceived: return At::kReceived;
    case Bridge::RequestState::kDeciding: return At::kDeciding;
    case Bridge::RequestState::kAnswered: return At::kAnswered;
    case Bridge::RequestState::kSent: return At::kSent;
  }
  return At::kGone;
}

/// One Associate of MAC 1, brought to a state. Ids are deterministic, so a twin tells the id of what was not polled.
struct Subject {
  explicit Subject(At wanted) {
    const OctetString associate = one(TlvType::kAssociate, 0, vsi(4), {entry(mac(1), 103)});
    Bridge twin(kTiming, limits::kDecisionDeadline);
    EXPECT_TRUE(twin.handle_vdpdu(associate, now));
    request = *twin.poll_request();
    hear(associate);
    if (wanted >= At::kDeciding) bridge.poll_request();
    if (wanted >= At::kAnswered) bridge.respond(request.id, {}, request.entries);
    OctetString octets;
    if (wanted >= At::kSent) bridge.compose(octets, now);
    if (wanted == At::kGone) bridge.handle_delivered(now);
    EXPECT_EQ(where(bridge, request.id), wanted);
  }
  void hear(const OctetString& octets) { EXPECT_TRUE(bridge.handle_vdpdu(octets, now)); }
  void associate(std::uint64_t n) { hear(one(TlvType::kAssociate, 0, vsi(4), {entry(mac(n), 103)})); }
  void deassociate(std::uint64_t n) { hear(one(TlvType::kDeAssociate, 0, vsi(4), {entry(mac(n), 103)})); }
  /// `State | TLV, TLV`: the request's state, then what the next VDPDU carries. What is under way counts as delivered.
  std::string outcome() {
    std::string text = to_text(where(bridge, request.id));
    bridge.handle_delivered(now);
    const char* separator = " | ";
    while (const auto vdpdu = send(bridge, now))
      for (const std::string& tlv : test::to_text(*vdpdu)) text += std::exchange(separator, ", ") + tlv;
    return text;
  }

  Bridge bridge{kTiming, limits::kDecisionDeadline};
  Instant now = at({});
  Request request;
};

struct Line {
  const char* event;
  std::function<void(Subject&)> happen;
  std::array<const char*, kStates.size()> expected;  ///< in the order of kStates
};

const std::vector<Line>& table() {
  static const std::vector<Line> lines = {
      // event, what happens, then: Received, Deciding, Answered, Sent, gone
      {"poll_request",
       [](Subject& s) { s.bridge.poll_request(); },
       {"Deciding", "Deciding", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"respond, success",
       [](Subject& s) { s.bridge.respond(s.request.id, {}, s.request.entries); },
       {"Received", "Answered | Associate 40 1:103", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"respond, refusal",
       [](Subject& s) { s.bridge.respond(s.request.id, {Code::kInsufficientResources, true, false}, {}); },
       {"Received", "Answered | Associate 62 1:103", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"set_keep_on_expiry",
       [](Subject& s) { s.bridge.set_keep_on_expiry(s.request.id, true); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"decision deadline",
       [](Subject& s) { s.bridge.poll_expired(s.now + limits::kDecisionDeadline); },
       {"Answered | Associate 43 1:103", "Answered | Associate 43 1:103", "Answered | Associate 40 1:103", "Sent",
        "gone"}},
      {"time before the deadline",
       [](Subject& s) { s.bridge.poll_expired(s.now); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"De-Associate of its entries",
       [](Subject& s) { s.deassociate(1); },
       {"Answered | Associate 64 1:103", "Answered | Associate 64 1:103", "Answered | Associate 40 1:103", "Sent",
        "gone"}},
      {"De-Associate of another address",
       [](Subject& s) { s.deassociate(2); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"De-Associate of the VSI",
       [](Subject& s) { s.hear(one(TlvType::kDeAssociate, 0, vsi(4), {})); },
       {"Answered | Associate 64 1:103", "Answered | Associate 64 1:103", "Answered | Associate 40 1:103", "Sent",
        "gone"}},
      {"a repeat of the request",
       [](Subject& s) { s.associate(1); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"Associate of another address",
       [](Subject& s) { s.associate(2); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"malformed TLV of the VSI",
       [](Subject& s) { s.hear(one(TlvType::kAssociate, 0x30, vsi(4), {entry(mac(1), 7)})); },
       {"Received", "Deciding", "Answered | Associate 40 1:103, Associate 61 1:7", "Sent | Associate 61 1:7",
        "gone | Associate 61 1:7"}},
      {"stray response",
       [](Subject& s) { s.hear(one(TlvType::kAssociate, 0x40, vsi(4), {entry(mac(1), 7)})); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "Sent", "gone"}},
      {"bridge-initiated De-Associate",
       [](Subject& s) { s.bridge.deassociate(manager('1'), kType, vsi(4), FilterFormat::kGroupMacVid, {}); },
       {"Received | De-Associate 00", "Deciding | De-Associate 00", "Answered | Associate 40 1:103, De-Associate 00",
        "Sent | De-Associate 00", "gone | De-Associate 00"}},
      {"compose",
       [](Subject& s) {
         OctetString octets;
         s.bridge.compose(octets, s.now);
       },
       {"Received", "Deciding", "Sent", "Sent", "gone"}},
      {"delivered",
       [](Subject& s) { s.bridge.handle_delivered(s.now); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "gone", "gone"}},
      {"delivery failed",
       [](Subject& s) { s.bridge.handle_delivery_failed(s.now); },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "Answered | Associate 40 1:103", "gone"}},
      {"delivery failed after a repeat",
       [](Subject& s) {
         s.associate(1);
         s.bridge.handle_delivery_failed(s.now);
       },
       {"Received", "Deciding", "Answered | Associate 40 1:103", "gone", "gone"}},
  };
  return lines;
}

TEST(BridgeTable, EveryStateMeetsEveryEvent) {
  std::size_t covered = 0;
  for (const Line& line : table()) {
    for (std::size_t s = 0; s < kStates.size(); ++s) {
      Subject subject(kStates[s]);
      line.happen(subject);
      EXPECT_EQ(subject.outcome(), line.expected[s]) << to_text(kStates[s]) << " x " << line.event;
      ++covered;
    }
  }
  std::printf("bridge cells=%zu*%zu covered=%zu\n", kStates.size(), table().size(), covered);
  EXPECT_EQ(covered, kStates.size() * table().size());
}

}  // namespace
}  // namespace splitnve::vdp::test
