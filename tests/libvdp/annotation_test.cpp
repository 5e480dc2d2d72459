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
  /// The station's next VDPDU, answered with this reason behind every answer.
  void answer_with(std::uint8_t status, std::string_view why) {
    OctetString octets;
    ASSERT_TRUE(station_.compose(octets, now_));
    station_.handle_delivered(now_);
    auto vdpdu = *read_vdpdu(octets);
    OctetString out(limits::kVdpduOctetsMax);
    VdpduWriter writer(out, vdpdu.manager);
    for (const CopiedTlv& tlv : vdpdu.tlvs) {
      const auto& a = std::get<CopiedAssociation>(tlv);
      writer.association(a.command, status, a.type, a.vsi, a.format, a.entries);
      write_extension(writer, ReasonText{4, why});
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

TEST_F(Annotation, ASuccessSaysNothingAndALongReasonIsCutBetweenCharacters) {
  bridge_.set_peer(kReasons);
  const Request granted = ask(1);
  bridge_.respond(granted.id, {}, granted.entries, {7, "not said"});
  EXPECT_THAT(sent(), ElementsAre("40"));
  bridge_.respond(ask(1).id, kRefused, {}, {7, std::string(63, 'x') + "\xC3\xBC"});
  EXPECT_THAT(sent(), ElementsAre("54 " + std::string(63, 'x')));
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
  writer.association(TlvType::kDeAssociate, 0, kType, vsi(1), FilterFormat::kGroupMacVid, std::vector{entry(mac(1), 101)});
  write_extension(writer, ReasonText{4, "moving"});
  out.resize(writer.finish().size());
  EXPECT_TRUE(station_.handle_vdpdu(out, now_));
  EXPECT_EQ(next<Station::Revoked>()->why, "moving");
}

TEST_F(Annotation, AReasonWithoutAssociationOrUnreadableCountsAsAbsent) {
  OctetString out(limits::kVdpduOctetsMax);
  VdpduWriter writer(out, manager('1'));
  write_extension(writer, ReasonText{4, "of nothing"});
  writer.association(TlvType::kDeAssociate, 0, kType, vsi(1), FilterFormat::kGroupMacVid, std::vector{entry(mac(1), 101)});
  writer.raw(127, from_hex("02534e 05 01"));
  write_extension(writer, ReasonText{4, "the first that can be read"});
  write_extension(writer, ReasonText{4, "a second"});
  out.resize(writer.finish().size());
  EXPECT_THAT(said(out), ElementsAre("00 the first that can be read"));
  EXPECT_TRUE(station_.handle_vdpdu(out, now_));
  EXPECT_EQ(station_.stats().skipped_tlvs, 2u);
  EXPECT_THAT(events(station_), IsEmpty());
}

}  // namespace
}  // namespace splitnve::vdp::test
