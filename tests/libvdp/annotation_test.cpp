// SPDX-License-Identifier: Apache-2.0
// What our TLVs say of the association before them: said to whom it may be said, and taken from whoever says it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr ResponseStatus kRefused{Code::kOther, false, true};
constexpr Flags kReasons = Flags().set(Flag::kReasonText);

/// The associations of a VDPDU, each with what was said of it.
std::vector<std::string> said(const OctetString& octets) {
  std::vector<std::string> texts;
  StatementReader reader(octets);
  while (const auto statement = reader.next()) {
    const auto head = decode_association_head(statement->tlv);
    char status[8];
    std::snprintf(status, sizeof status, "%02x", head ? head->status : 0xFF);
    std::string text = status;
    if (statement->reason) text += " " + std::string(statement->reason->text);
    if (statement->migration) text += std::string(" ") + to_string(*statement->migration);
    texts.push_back(text);
  }
  return texts;
}

class Annotation : public ::testing::Test {
 protected:
  Request ask(std::uint32_t n) {
    EXPECT_TRUE(bridge_.handle_vdpdu(one(TlvType::kAssociate, 0, vsi(n), {entry(mac(n), 0)}), now_));
    return bridge_.poll_request().value_or(Request{});
  }
  std::vector<std::string> sent() {
    OctetString octets;
    if (!bridge_.compose(octets, now_)) return {};
    bridge_.handle_delivered(now_);
    return said(octets);
  }
  /// The station's next VDPDU, answered with this behind every answer.
  void answer_with(std::uint8_t status, std::string_view why) { answer_with(status, ReasonText{4, why}); }
  void answer_with(std::uint8_t status, const Extension& behind) {
    OctetString octets;
    ASSERT_TRUE(station_.compose(octets, now_));
    station_.handle_delivered(now_);
    auto vdpdu = *read_vdpdu(octets);
    OctetString out(limits::kVdpduOctetsMax);
    VdpduWriter writer(out, vdpdu.manager);
    for (const CopiedTlv& tlv : vdpdu.tlvs) {
      const auto& a = std::get<CopiedAssociation>(tlv);
      writer.association(a.command, status, a.type, a.vsi, a.format, a.entries);
      write_extension(writer, behind);
    }
    out.resize(writer.finish().size());
    EXPECT_TRUE(station_.handle_vdpdu(out, now_));
  }
  template <class Event>
  std::optional<Event> next() {
    while (const auto event = station_.poll_event())
      if (const auto* found = std::get_if<Event>(&*event)) return *found;
    return std::nullopt;
  }

  Bridge bridge_{kTiming, limits::kDecisionDeadline};
  Station station_{kTiming, kAll};
  Instant now_ = at({});
};

TEST_F(Annotation, TheStationKnowsWhatTheLastAnswerSaidOfTheVn) {
  const auto handle = station_.open(spec(4));
  const GroupId group = spec(4).group;
  station_.set_entry(handle, mac(1), Level::kActive, Vid(100), now_);
  answer_with(0x40, VnAttributes{GroupId(9), VnAttributes::kLocalSwitchingOff});
  EXPECT_EQ(station_.attributes(group), 0) << "said of another VN";
  station_.reassert_all(now_);
  answer_with(0x40, VnAttributes{group, VnAttributes::kLocalSwitchingOff});
  EXPECT_EQ(station_.attributes(group), VnAttributes::kLocalSwitchingOff);
  station_.reassert_all(now_);
  answer_with(0x40, Migration::kUnknown);
  EXPECT_EQ(station_.attributes(group), 0) << "nothing is special any more";
}

TEST_F(Annotation, ARefusalSaysWhyToAPeerThatUnderstandsItAndToNobodyElse) {
  bridge_.respond(ask(1).id, kRefused, {}, {7, "no such VN"});
  EXPECT_THAT(sent(), ElementsAre("54"));
  bridge_.set_peer(kReasons);
  bridge_.respond(ask(1).id, kRefused, {}, {7, "no such VN"});
  EXPECT_THAT(sent(), ElementsAre("54 no such VN"));
  bridge_.respond(ask(1).id, kRefused, {}, {7, "no such VN"});
  bridge_.set_peer(Flags());
  EXPECT_THAT(sent(), ElementsAre("54")) << "somebody else may be there now";
}

TEST_F(Annotation, ASuccessMaySayWhatIsHeldAndALongReasonIsCutBetweenCharacters) {
  bridge_.set_peer(kReasons);
  const Request granted = ask(1);
  bridge_.respond(granted.id, {}, granted.entries, {7, "held"});
  EXPECT_THAT(sent(), ElementsAre("40 held"));
  const Request again = ask(1);
  bridge_.respond(again.id, {}, again.entries);
  EXPECT_THAT(sent(), ElementsAre("40"));
  bridge_.respond(ask(1).id, kRefused, {}, {7, std::string(60, 'x') + "\xC3\xBC and more"});
  EXPECT_THAT(sent(), ElementsAre("54 " + std::string(60, 'x') + "..."));
}

TEST_F(Annotation, WhatTheBridgeRefusesByItselfIsExplainedToo) {
  bridge_.set_peer(kReasons);
  EXPECT_TRUE(bridge_.handle_vdpdu(one(TlvType::kAssociate, 0x30, vsi(1), {entry(mac(1), 0)}), now_));
  EXPECT_THAT(sent(), ElementsAre("61 S and M together"));
  ask(2);
  EXPECT_TRUE(bridge_.poll_expired(now_ + limits::kDecisionDeadline));
  EXPECT_THAT(sent(), ElementsAre("43 no decision within the decision deadline"));
}

TEST_F(Annotation, ADeAssociateOfTheBridgeSaysWhyAndAgainAfterAFailure) {
  bridge_.set_peer(kReasons);
  bridge_.deassociate(manager('1'), kType, vsi(1), FilterFormat::kGroupMacVid, std::vector{entry(mac(1), 103)},
                      {12, "moving the rack"});
  OctetString octets;
  ASSERT_TRUE(bridge_.compose(octets, now_));
  bridge_.handle_delivery_failed(now_);
  EXPECT_THAT(sent(), ElementsAre("00 moving the rack"));
}

TEST_F(Annotation, ReasonsThatDoNotFitGoWithTheirAnswerIntoTheNextVdpdu) {
  bridge_.set_peer(kReasons);
  std::vector<Request> asked;
  for (std::uint32_t n = 1; n <= 37; ++n) asked.push_back(ask(n));
  const std::string why(64, 'y');
  for (const Request& request : asked) bridge_.respond(request.id, kRefused, {}, {7, why});
  std::size_t answers = 0;
  for (auto texts = sent(); !texts.empty(); texts = sent()) {
    for (const std::string& text : texts) EXPECT_EQ(text, "54 " + why);
    answers += texts.size();
  }
  EXPECT_EQ(answers, 37u);
}

TEST_F(Annotation, TheStationHandsOnWhyItWasRefusedAndWhyItWasDeAssociated) {
  const auto handle = station_.open(spec(1));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(101), now_);
  answer_with(0x54, "no such VN");
  EXPECT_EQ(next<Station::Refused>()->why, "no such VN");
  station_.set_entry(handle, mac(1), Level::kActive, Vid(101), now_);
  answer_with(0x40, "");
  ASSERT_TRUE(next<Station::Confirmed>());
  OctetString out(limits::kVdpduOctetsMax);
  VdpduWriter writer(out, manager('1'));
  writer.association(TlvType::kDeAssociate, 0, kType, vsi(1), FilterFormat::kGroupMacVid,
                     std::vector{entry(mac(1), 101)});
  write_extension(writer, ReasonText{4, "moving"});
  out.resize(writer.finish().size());
  EXPECT_TRUE(station_.handle_vdpdu(out, now_));
  EXPECT_EQ(next<Station::Revoked>()->why, "moving");
}

TEST_F(Annotation, AReasonWithoutAssociationOrUnreadableCountsAsAbsent) {
  OctetString out(limits::kVdpduOctetsMax);
  VdpduWriter writer(out, manager('1'));
  write_extension(writer, ReasonText{4, "of nothing"});
  writer.association(TlvType::kDeAssociate, 0, kType, vsi(1), FilterFormat::kGroupMacVid,
                     std::vector{entry(mac(1), 101)});
  writer.raw(127, from_hex("02534e 05 01"));
  write_extension(writer, ReasonText{4, "the first that can be read"});
  write_extension(writer, ReasonText{4, "a second"});
  out.resize(writer.finish().size());
  EXPECT_THAT(said(out), ElementsAre("00 the first that can be read"));
  EXPECT_TRUE(station_.handle_vdpdu(out, now_));
  EXPECT_EQ(station_.stats().skipped_tlvs, 2u);
  EXPECT_THAT(events(station_), IsEmpty());
}

// --- migration (D13) ---

std::vector<std::string> told(Flags peer, bool suspended, Migration migration) {
  Station station(kTiming, peer);
  const auto handle = station.open(spec(1));
  station.set_status(handle, suspended, migration);
  station.set_entry(handle, mac(1), Level::kActive, Vid(101), at({}));
  OctetString octets;
  EXPECT_TRUE(station.compose(octets, at({})));
  return said(octets);
}

TEST(MigrationTlv, GoesAlongWhereTheBitsLeaveItOpenAndOnlyToAPeerThatKnowsIt) {
  const Flags knows = Flags(kAll).set(Flag::kMigration);
  EXPECT_THAT(told(knows, false, Migration::kNone), ElementsAre("00"));
  EXPECT_THAT(told(knows, false, Migration::kUnknown), ElementsAre("00 unknown"));
  EXPECT_THAT(told(knows, false, Migration::kArriving), ElementsAre("10"));
  EXPECT_THAT(told(knows, false, Migration::kDeparting), ElementsAre("20"));
  EXPECT_THAT(told(knows, true, Migration::kNone), ElementsAre("20 no"));
  EXPECT_THAT(told(kAll, true, Migration::kNone), ElementsAre("20"));
  EXPECT_THAT(told(kAll, false, Migration::kUnknown), ElementsAre("00"));
}

TEST_F(Annotation, TheMigrationOfARequestIsWhatTheTlvSaysElseWhatTheBitsDo) {
  const auto heard = [&](Flags peer, std::uint8_t status, std::optional<Migration> tlv) {
    Bridge bridge(kTiming, limits::kDecisionDeadline);
    bridge.set_peer(peer);
    OctetString out(limits::kVdpduOctetsMax);
    VdpduWriter writer(out, manager('1'));
    writer.association(TlvType::kAssociate, status, kType, vsi(1), FilterFormat::kGroupMacVid,
                       std::vector{entry(mac(1), 0)});
    if (tlv) write_extension(writer, *tlv);
    out.resize(writer.finish().size());
    EXPECT_TRUE(bridge.handle_vdpdu(out, now_));
    return bridge.poll_request()->migration;
  };
  const Flags knows = Flags().set(Flag::kMigration);
  EXPECT_EQ(heard(knows, 0x00, {}), Migration::kNone);
  EXPECT_EQ(heard(knows, 0x20, {}), Migration::kDeparting);
  EXPECT_EQ(heard(knows, 0x20, Migration::kNone), Migration::kNone);
  EXPECT_EQ(heard(knows, 0x00, Migration::kUnknown), Migration::kUnknown);
  EXPECT_EQ(heard(knows, 0x10, Migration::kDeparting), Migration::kDeparting) << "our TLV wins over the bits";
  EXPECT_EQ(heard(kLegacy, 0x00, {}), Migration::kUnknown);
  EXPECT_EQ(heard(kLegacy, 0x20, {}), Migration::kUnknown);
  EXPECT_EQ(heard(kLegacy, 0x10, {}), Migration::kArriving);
}

// --- bridge-initiated deactivate (D9) ---

class BridgeDeactivate : public Annotation {
 protected:
  void SetUp() override {
    station_.set_peer(Flags::all());
    station_.set_offered(Flags::all());
    handle_ = station_.open(spec(1));
    for (const std::uint64_t n : {1u, 2u}) station_.set_entry(handle_, mac(n), Level::kActive, Vid(), now_);
    EXPECT_TRUE(station_.handle_vdpdu(answer(*send(station_, now_)), now_));
    events(station_);
  }
  /// The command as the bridge sends it to this peer, handed to the station; its TLV.
  std::vector<std::string> command(Flags peer, std::vector<FilterEntry> entries) {
    bridge_.set_peer(peer);
    bridge_.deactivate(manager('1'), kType, vsi(1), FilterFormat::kGroupMacVid, entries, {1, "maintenance"});
    OctetString octets;
    EXPECT_TRUE(bridge_.compose(octets, now_));
    bridge_.handle_delivered(now_);
    EXPECT_TRUE(station_.handle_vdpdu(octets, now_));
    return to_text(*read_vdpdu(octets));
  }
  Station::Handle handle_ = 0;
};

TEST_F(BridgeDeactivate, LeavesTheNamedEntryReservedAnswersAndAsksForItOnlyWhenItIsWantedAnew) {
  EXPECT_THAT(command(Flags::all(), {entry(mac(1), 101)}), ElementsAre("Pre-Associate-RR 00 1:101", "raw 127"));
  EXPECT_THAT(events(station_), ElementsAre("lowered 1"));
  OctetString reply;
  ASSERT_TRUE(station_.compose(reply, now_));
  EXPECT_THAT(to_text(*read_vdpdu(reply)), ElementsAre("Pre-Associate-RR 40 1:101"));
  station_.handle_delivered(now_);
  EXPECT_TRUE(bridge_.handle_vdpdu(reply, now_));
  EXPECT_EQ(bridge_.stats().commands_answered, 1u);
  EXPECT_EQ(bridge_.stats().stray_responses, 0u);
  EXPECT_FALSE(station_.queued());
  EXPECT_EQ(station_.entries(handle_)[0].confirmed, Level::kReserved);
  EXPECT_EQ(station_.entries(handle_)[1].confirmed, Level::kActive);
  now_ += seconds(11);
  station_.handle_time(now_);
  const auto renewals = send(station_, now_);
  EXPECT_THAT(to_text(*renewals), ElementsAre("Pre-Associate-RR 00 1:101")) << "its keep-alives keep the reservation";
  EXPECT_TRUE(station_.handle_vdpdu(answer(*renewals), now_));
  station_.set_entry(handle_, mac(1), Level::kActive, Vid(), now_);
  EXPECT_TRUE(station_.queued());
}

TEST_F(BridgeDeactivate, IsADeAssociateToAPeerWithoutTheFlag) {
  EXPECT_THAT(command(kIncremental, {entry(mac(1), 101)}), ElementsAre("De-Associate 00 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("revoked 1"));
}

TEST_F(BridgeDeactivate, IsIgnoredByAStationThatHasNotOfferedIt) {
  station_.set_offered(Flags());
  command(Flags::all(), {entry(mac(1), 101)});
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_FALSE(station_.queued());
}

TEST_F(BridgeDeactivate, AnAnswerThatIsLostGoesAgainAndCommandsWithoutEndTakeNoMemoryWithoutEnd) {
  for (std::size_t i = 0; i < limits::kRepliesMax + 10; ++i) command(Flags::all(), {entry(mac(1), 101)});
  EXPECT_EQ(station_.stats().replies_dropped, 10u);
  OctetString octets;
  ASSERT_TRUE(station_.compose(octets, now_));
  station_.handle_delivery_failed(now_);
  std::size_t answers = 0;
  while (const auto vdpdu = send(station_, now_)) answers += vdpdu->tlvs.size();
  EXPECT_EQ(answers, limits::kRepliesMax);
}

TEST_F(BridgeDeactivate, OfWhatIsUnknownOrReservedChangesNothingAndIsAnswered) {
  command(Flags::all(), {entry(mac(7), 101)});
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_THAT(to_text(*send(station_, now_)), ElementsAre("Pre-Associate-RR 40 7:101"));
}

}  // namespace
}  // namespace splitnve::vdp::test
