// SPDX-License-Identifier: Apache-2.0
// The TSI machine's full state x event table (C1), driven by frames, links, time and the operator.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::TlvType;

enum class State { kInit, kAssociated, kActivated, kSuperseded, kCount };
enum class Event {
  kAssociate,  // RFC 8394 Associate: Pre-Associate with RR
  kActivate,   // Associate
  kActivateMigrating,
  kDeactivate,  // Pre-Associate from a station that has shown it can
  kDeactivateIncapable,
  kDeAssociateAll,
  kDeAssociateOneOfTwo,
  kDeAssociateUnknown,
  kAddReserved,
  kAddActive,
  kSuspendedKeepAlive,  // Associate with S
  kNotRenewed,
  kStationSilent,
  kLinkLost,
  kLinkFlap,
  kTakeover,  // the same VSI activates at another port, signalled
  kOtherVsiClaims,
  kOperatorRemoves,
  kAuthorityFails,  // an Activate while the authority is down
  kDatapathFails,
  kIpReserved,  // an update of addresses is a self loop: an IP comes, and goes
  kIpGone,
  // what no station may send
  kSuspendedAndMigrating,
  kUnknownFormat,
  kUnknownVn,
  kVidOfNobody,
  kAResponse,
  kCount,
};
constexpr std::size_t kStates = static_cast<std::size_t>(State::kCount);
constexpr std::size_t kEvents = static_cast<std::size_t>(Event::kCount);

// What each event makes of each state: I Init (no row), A Associated, V Activated, S superseded (Associated).
struct Expectation {
  Event event;
  const char* name;
  const char* to;  ///< for Init, Associated, Activated, superseded
};
constexpr std::array<Expectation, kEvents> kTable{{
    {Event::kAssociate, "Associate", "AAVS"},  // on an active entry of an incapable station: code 4 + KEEP
    {Event::kActivate, "Activate", "VVVS"},
    {Event::kActivateMigrating, "Activate, migrating", "VVVS"},
    {Event::kDeactivate, "Deactivate", "AAAS"},
    {Event::kDeactivateIncapable, "Deactivate without capability", "AAVS"},
    {Event::kDeAssociateAll, "De-Associate", "IIII"},
    {Event::kDeAssociateOneOfTwo, "De-Associate one of two addresses", "IAVS"},
    {Event::kDeAssociateUnknown, "De-Associate of an unknown address", "IAVS"},
    {Event::kAddReserved, "another address reserved", "AAVS"},
    {Event::kAddActive, "another address activated", "VVVV"},
    {Event::kSuspendedKeepAlive, "Associate with S", "VVVS"},
    {Event::kNotRenewed, "not renewed", "IIII"},
    {Event::kStationSilent, "station silent", "IIII"},
    {Event::kLinkLost, "link lost", "IIII"},
    {Event::kLinkFlap, "link flap", "IAVS"},
    {Event::kTakeover, "takeover", "IASS"},
    {Event::kOtherVsiClaims, "another VSI claims the address", "IAVS"},
    {Event::kOperatorRemoves, "operator removes", "IIII"},
    {Event::kAuthorityFails, "Activate, authority down", "IAVS"},
    {Event::kDatapathFails, "Activate, datapath full", "IAVS"},
    {Event::kIpReserved, "an IP reserved", "AAVS"},
    {Event::kIpGone, "an IP reserved and gone again", "IAVS"},
    {Event::kSuspendedAndMigrating, "Associate with S and M", "IAVS"},
    {Event::kUnknownFormat, "Associate of an unknown filter format", "IAVS"},
    {Event::kUnknownVn, "Associate in an unknown VN", "IAVS"},
    {Event::kVidOfNobody, "Associate with a VID that nobody may have", "IAVS"},
    {Event::kAResponse, "an Associate that says it is a response", "IAVS"},
}};

Tlv command(TlvType type, unsigned address = 1, std::uint8_t status = 0) {
  return {type, vsi(1), {entry(70001, mac(address))}, status};
}
Tlv ip_command(TlvType type) {
  vdp::FilterEntry one = entry(70001, mac(1));
  one.ip = *IpPrefix::from_string("10.0.0.1");
  return {type, vsi(1), {one}, 0, vdp::FilterFormat::kGroupMacIpv4Vid};
}

struct Cell {
  explicit Cell(bool capable) : rig(make_config(2)), host(rig.station(1, 1)), other(rig.station(2, 2)) {
    if (!capable) host.shows->flags = vdp::Flags();
  }

  void bring_to(State state) {
    rig.ask(host, {TlvType::kAssociate, vsi(50), {entry(70001, mac(50))}});  // so that the peer is known in Init too
    if (state == State::kInit) return;
    rig.ask(host, command(state == State::kAssociated ? TlvType::kPreAssociateRr : TlvType::kAssociate));
    if (state == State::kSuperseded) rig.ask(other, command(TlvType::kAssociate, 1, vdp::kStatusMigrating));
  }
  void fire(Event event) {
    switch (event) {
      case Event::kAssociate:
      case Event::kDeactivate:
      case Event::kDeactivateIncapable: rig.ask(host, command(TlvType::kPreAssociateRr)); break;
      case Event::kActivate: rig.ask(host, command(TlvType::kAssociate)); break;
      case Event::kActivateMigrating: rig.ask(host, command(TlvType::kAssociate, 1, vdp::kStatusMigrating)); break;
      case Event::kDeAssociateAll: EXPECT_TRUE(rig.ask(host, {TlvType::kDeAssociate, vsi(1), {}})); break;
      case Event::kDeAssociateOneOfTwo:
        if (rig.tsi(vsi(1))) {
          rig.ask(host, command(TlvType::kPreAssociateRr, 2));
          EXPECT_EQ(rig.tsi(vsi(1))->addresses.size(), 2u);
        }
        [[fallthrough]];
      case Event::kDeAssociateUnknown:
        EXPECT_TRUE(rig.ask(host, command(TlvType::kDeAssociate, 2))->response().success());
        break;
      case Event::kAddReserved: rig.ask(host, command(TlvType::kPreAssociateRr, 2)); break;
      case Event::kAddActive: rig.ask(host, command(TlvType::kAssociate, 2)); break;
      case Event::kSuspendedKeepAlive: rig.ask(host, command(TlvType::kAssociate, 1, vdp::kStatusSuspended)); break;
      case Event::kNotRenewed:
        for (int i = 0; i < 4; ++i) {
          rig.advance(10s);
          rig.ask(host, {TlvType::kAssociate, vsi(50), {entry(70001, mac(50))}});
          if (rig.tsi(vsi(1), 2)) rig.ask(other, command(TlvType::kAssociate));
        }
        EXPECT_TRUE(rig.tsi(vsi(50)));
        break;
      case Event::kStationSilent: rig.advance(45s); break;
      case Event::kLinkLost:
      case Event::kLinkFlap:
        rig.agent.handle_link(PortId(1), false, rig.now);
        rig.advance(event == Event::kLinkLost ? 4s : 2s);
        rig.agent.handle_link(PortId(1), true, rig.now);
        rig.run();
        break;
      case Event::kTakeover: rig.ask(other, command(TlvType::kAssociate, 1, vdp::kStatusMigrating)); break;
      case Event::kOtherVsiClaims: claim_by_other(); break;
      case Event::kOperatorRemoves:
        if (const auto tsi = rig.tsi(vsi(1))) {
          EXPECT_TRUE(rig.agent.remove_tsi(tsi->instance, "test", rig.now));
        }
        rig.run();
        break;
      case Event::kAuthorityFails:
        rig.publish_error = "down";
        rig.ask(host, command(TlvType::kAssociate));
        rig.publish_error.clear();
        rig.advance(2s);
        break;
      case Event::kDatapathFails:
        rig.fdb_fails = [](const datapath::FdbRow& row) { return row.owner ? std::string("full") : std::string(); };
        rig.ask(host, command(TlvType::kAssociate));
        rig.fdb_fails = nullptr;
        rig.advance(2s);
        break;
      case Event::kIpReserved: rig.ask(host, ip_command(TlvType::kPreAssociateRr)); break;
      case Event::kIpGone:
        if (rig.tsi(vsi(1))) rig.ask(host, ip_command(TlvType::kPreAssociateRr));
        EXPECT_TRUE(rig.ask(host, ip_command(TlvType::kDeAssociate))->response().success());
        break;
      case Event::kSuspendedAndMigrating:
        expect_refused(command(TlvType::kAssociate, 1, vdp::kStatusSuspended | vdp::kStatusMigrating));
        break;
      case Event::kUnknownFormat: {
        OctetString octets = vdpdu({command(TlvType::kAssociate)}, host.shows);
        octets[18 + 2 + 22] = 9;
        rig.send_octets(host, octets);
        rig.run();
        break;
      }
      case Event::kUnknownVn: expect_refused({TlvType::kAssociate, vsi(1), {entry(12345, mac(1))}}); break;
      case Event::kVidOfNobody: expect_refused({TlvType::kAssociate, vsi(1), {entry(70001, mac(1), 1)}}); break;
      case Event::kAResponse: rig.send(host, {command(TlvType::kAssociate, 1, vdp::kStatusResponse)}); break;
      case Event::kCount: break;
    }
  }
  void expect_refused(const Tlv& tlv) {
    const auto answer = rig.ask(host, tlv);
    ASSERT_TRUE(answer);
    EXPECT_FALSE(answer->response().success());
  }
  /// What passes is what the TSI shows as active, no more and no less.
  void expect_forwarding_as_shown() {
    const auto tsi = rig.tsi(vsi(1), 1);
    if (!tsi) {
      for (const auto& [key, instance] : rig.datapath.guards)
        EXPECT_FALSE(std::get<1>(key) == PortId(1) && std::get<2>(key) == mac(1)) << "a guard is left";
      return;
    }
    for (const AddressView& address : tsi->addresses)
      EXPECT_EQ(rig.datapath.open(PortId(1), address.vid, address.mac), address.active) << address.mac.to_string();
  }
  void claim_by_other() {
    if (!rig.tsi(vsi(1))) return;
    const auto answer = rig.ask(other, {TlvType::kAssociate, vsi(2), {entry(70001, mac(1))}});
    EXPECT_EQ(answer->response().code, vdp::Code::kInvalidAddress);
  }
  char seen() const {
    const auto tsi = rig.tsi(vsi(1), 1);
    if (!tsi) return 'I';
    switch (tsi->state) {
      case TsiState::kInit: return '?';
      case TsiState::kAssociated: return tsi->superseded ? 'S' : 'A';
      case TsiState::kActivated: return 'V';
    }
    return '?';
  }
  Rig rig;
  Station& host;
  Station& other;
};

TEST(TsiMachine, EveryEventInEveryStateDoesWhatTheTableSays) {
  std::size_t covered = 0;
  for (const Expectation& row : kTable) {
    EXPECT_EQ(static_cast<std::size_t>(row.event), static_cast<std::size_t>(&row - kTable.data()));
    for (std::size_t state = 0; state < kStates; ++state) {
      SCOPED_TRACE(std::string(row.name) + " in state " + "IAVS"[state]);
      Cell cell(row.event == Event::kDeactivate || row.event == Event::kIpReserved || row.event == Event::kIpGone);
      cell.bring_to(static_cast<State>(state));
      ASSERT_EQ(cell.seen(), "IAVS"[state]);
      const std::size_t before = cell.rig.transitions.size();
      cell.fire(row.event);
      EXPECT_EQ(cell.seen(), row.to[state]);
      EXPECT_TRUE(cell.rig.consistent()) << cell.rig.difference();
      cell.expect_forwarding_as_shown();
      // Exactly the transitions of this TSI are journalled, and they form a chain (F5).
      std::string at = state == 0 ? "Init" : state == 2 ? "Activated" : "Associated";
      for (std::size_t i = before; i < cell.rig.transitions.size(); ++i) {
        const auto& one = cell.rig.transitions[i];
        const std::string subject = to_string(one.subject);
        if (std::string(one.machine) != "tsi" || subject.find(vsi(1).to_string()) == std::string::npos ||
            subject.find("port p1") == std::string::npos)
          continue;
        EXPECT_EQ(one.from, at);
        EXPECT_FALSE(one.reason.empty());
        at = one.to;
      }
      const char end = row.to[state];
      EXPECT_EQ(at, end == 'I' ? "Init" : end == 'V' ? "Activated" : "Associated");
      ++covered;
    }
  }
  std::printf("tsi cells=%zu*%zu covered=%zu\n", kStates, kEvents, covered);
  EXPECT_EQ(covered, kStates * kEvents);
}

}  // namespace
}  // namespace splitnve::nnved::test
