// SPDX-License-Identifier: Apache-2.0
// What the tests of both machines share: short names for VSIs and addresses, events as text, answers to what was sent.
#pragma once
#include <string>
#include <vector>

#include "codec_support.hpp"
#include "splitnve/vdp/bridge.hpp"
#include "splitnve/vdp/station.hpp"

namespace splitnve::vdp::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// response_wait() 1.99 s, keepalive_interval() 10.49 s: far enough apart to tell them by the time.
inline constexpr Timing kTiming{3, 8, 17, 20};
inline constexpr Flags kIncremental = Flags().set(Flag::kIncrementalFilter);
inline constexpr Flags kDeactivating = Flags().set(Flag::kDeactivate);
inline constexpr Flags kAll = Flags().set(Flag::kIncrementalFilter).set(Flag::kDeactivate);
inline constexpr Flags kLegacy;

inline Instant at(Duration since_start) { return Instant(seconds(1000) + since_start); }
inline VsiId vsi(std::uint32_t n) {
  VsiId id = *VsiId::from_uuid("11111111-2222-3333-4444-555555555500");
  id.octets[13] ^= static_cast<std::uint8_t>(n >> 16);
  id.octets[14] ^= static_cast<std::uint8_t>(n >> 8);
  id.octets[15] = static_cast<std::uint8_t>(n);
  return id;
}
inline MacAddress mac(std::uint64_t n) { return MacAddress(0x02AA00000000 + n); }
inline ManagerId manager(char n) { return ManagerId{{'m', 'g', 'r', static_cast<std::uint8_t>(n)}}; }
inline const GroupId kBlue(0x011174);
inline const GroupId kRed(0x011175);
inline const VsiType kType{1, 1};

inline Station::Spec spec(std::uint32_t n, GroupId group = kBlue, char manager_name = '1') {
  return {vsi(n), manager(manager_name), kType, group, FilterFormat::kGroupMacVid};
}
inline FilterEntry entry(MacAddress address, std::uint16_t vid, GroupId group = kBlue) {
  return {group, address, Vid(vid), false, 0};
}

inline const char* to_text(Station::State state) {
  switch (state) {
    case Station::State::kSettled: return "Settled";
    case Station::State::kQueued: return "Queued";
    case Station::State::kAwaitingResponse: return "AwaitingResponse";
    case Station::State::kUnconfirmed: return "Unconfirmed";
    case Station::State::kRefused: return "Refused";
  }
  return "?";
}

/// `Associate 00 1:101 ..`: command, status octet in hexadecimal, and each entry as number of the MAC:VID.
inline std::string to_text(const CopiedAssociation& a) {
  char status[8];
  std::snprintf(status, sizeof status, "%02x", a.status);
  std::string text = std::string(to_string(a.command)) + " " + status;
  for (const FilterEntry& e : a.entries)
    text += " " + std::to_string(e.mac.value() & 0xFFFF) + ":" + std::to_string(e.vid.value());
  return text;
}
inline std::vector<std::string> to_text(const CopiedVdpdu& vdpdu) {
  std::vector<std::string> texts;
  for (const CopiedTlv& tlv : vdpdu.tlvs) {
    const auto* a = std::get_if<CopiedAssociation>(&tlv);
    texts.push_back(a != nullptr ? to_text(*a) : "raw " + std::to_string(std::get<RawTlv>(tlv).type));
  }
  return texts;
}

struct EventText {
  static std::string number(MacAddress address) { return std::to_string(address.value() & 0xFFFF); }
  std::string operator()(const Station::Confirmed& e) const {
    return "confirmed " + number(e.mac) + " " + to_string(e.level) + " " + std::to_string(e.vid.value());
  }
  std::string operator()(const Station::Refused& e) const {
    return std::string("refused ") + to_string(e.command) + " " + std::to_string(static_cast<int>(e.status.code)) +
           (e.status.keep ? " keep" : "");
  }
  std::string operator()(const Station::Revoked& e) const { return "revoked " + number(e.mac); }
  std::string operator()(const Station::Lowered& e) const { return "lowered " + number(e.mac); }
  std::string operator()(const Station::Released& e) const { return "released " + number(e.mac); }
  std::string operator()(const Station::Unconfirmed& e) const { return e.unconfirmed ? "unconfirmed" : "answered"; }
  std::string operator()(const Station::Closed&) const { return "closed"; }
};

/// The event texts that have piled up since the last call.
inline std::vector<std::string> events(Station& station) {
  std::vector<std::string> texts;
  while (const auto event = station.poll_event()) texts.push_back(std::visit(EventText{}, *event));
  return texts;
}

/// The next VDPDU of either machine, delivered by ECP; nothing if there is none.
template <class Machine>
std::optional<CopiedVdpdu> send(Machine& machine, Instant now) {
  OctetString octets;
  if (!machine.compose(octets, now)) return std::nullopt;
  machine.handle_delivered(now);
  return *read_vdpdu(octets);
}

/// The bridge's answer: every association with `status`, and for a success VID 0 replaced by 100 + the MAC's number.
inline OctetString answer(CopiedVdpdu vdpdu, std::uint8_t status = 0x40) {
  for (CopiedTlv& tlv : vdpdu.tlvs) {
    auto& association = std::get<CopiedAssociation>(tlv);
    association.status = status;
    for (FilterEntry& e : association.entries)
      if (e.vid.is_null() && status == 0x40) e.vid = Vid(static_cast<std::uint16_t>(100 + (e.mac.value() & 0xFF)));
  }
  return write_vdpdu(vdpdu);
}

inline OctetString one(TlvType command, std::uint8_t status, const VsiId& id, std::vector<FilterEntry> entries,
                       char manager_name = '1', FilterFormat format = FilterFormat::kGroupMacVid) {
  return write_vdpdu({manager(manager_name), {CopiedAssociation{command, status, kType, id, format, entries}}});
}

}  // namespace splitnve::vdp::test
