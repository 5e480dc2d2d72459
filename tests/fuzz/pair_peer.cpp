// SPDX-License-Identifier: Apache-2.0
// The link between the two agents, and strangers on it.
#include <algorithm>

#include "pair.hpp"
#include "splitnve/base/check.hpp"
#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/codec.hpp"

namespace splitnve::fuzz {
namespace {

/// Older frames are lost: the link holds no more.
constexpr std::size_t kFlightsMax = 64;
constexpr unsigned kStrangers = 3;
/// Addresses that pair.cpp's VMs have, and some more.
constexpr unsigned kAddresses = 28;

}  // namespace

void Pair::transmit(bool is_switch, agent::Transmit transmit) {
  ensure(transmit.frame.size() >= limits::kFrameOctetsMin && transmit.frame.size() <= limits::kFrameOctetsMax,
         "a frame fits the link");
  const auto frame = ecp::decode_frame(transmit.frame);
  ensure(frame.has_value(), "agents send what can be read");
  ensure(transmit.port == PortId(1) || transmit.port == PortId(2), "agents send out of ports they have");
  if (!link_up_[transmit.port.value() - 1]) return;
  if (flights_.size() == kFlightsMax) flights_.pop_front();
  flights_.push_back({!is_switch, transmit.port, std::move(transmit.frame)});
}

void Pair::arrive(const Flight& flight) {
  if (!link_up_[flight.port.value() - 1]) return;
  with(flight.to_switch, [&](auto& a) { a.handle_frame(flight.port, flight.frame, now_); });
}

/// 0 delivers, 1 loses, 2 delivers and keeps, 3 delivers with an octet changed, or cut.
void Pair::frame_in_flight(unsigned what) {
  if (flights_.empty()) return;
  const auto at = flights_.begin() + static_cast<std::ptrdiff_t>(choices_.octet() % flights_.size());
  Flight flight = *at;
  if (what != 2) flights_.erase(at);
  if (what == 1) return;
  if (what == 3) {
    // The VDPDU and the ECP header more often than the addresses.
    const unsigned where = choices_.u16();
    const std::size_t offset = (12 + where % flight.frame.size()) % flight.frame.size();
    flight.frame[offset] = choices_.octet();
    if (where >= 0xF000) flight.frame.resize(offset);
  }
  arrive(flight);
}

MacAddress Pair::any_mac() {
  const unsigned n = choices_.below(kAddresses + 3);
  if (n < kAddresses) return mac(n);
  if (n == kAddresses) return MacAddress();
  return n == kAddresses + 1 ? MacAddress(0xFFFFFFFFFFFFu) : host_mac(PortId(1));
}

/// Few, so that they meet again; some of them are none that a VM may have.
IpPrefix Pair::any_ip() {
  static constexpr const char* kIps[] = {"192.0.2.7",     "192.0.2.8", "192.0.2.0/24", "2001:db8::7",
                                         "2001:db8::/64", "0.0.0.0/0", "224.0.0.1",    "::"};
  return *IpPrefix::from_string(kIps[choices_.below(std::size(kIps))]);
}

/// A stranger's address, or that of the agent at the other end.
MacAddress Pair::any_station(bool to_switch, PortId port) {
  const unsigned n = choices_.below(kStrangers + 1);
  if (n > 0) return MacAddress(0x020000000300u + n);
  return to_switch ? host_mac(port) : switch_mac(port);
}

void Pair::association(vdp::VdpduWriter& writer) {
  constexpr vdp::TlvType kCommands[] = {vdp::TlvType::kPreAssociate, vdp::TlvType::kPreAssociateRr,
                                        vdp::TlvType::kAssociate, vdp::TlvType::kDeAssociate};
  const auto command = kCommands[choices_.below(std::size(kCommands))];
  const std::uint8_t status = choices_.octet();
  constexpr std::uint8_t kFormats[] = {1, 2, 3, 4, 0x05, 0x06, 0x07, 0x08, 0x85, 0x86, 0x87, 0x88};
  const auto format = static_cast<vdp::FilterFormat>(kFormats[choices_.below(std::size(kFormats))]);
  const VsiType type{1 + choices_.below(3), 1};
  const VsiId id = vsi(choices_.below(8));
  std::vector<vdp::FilterEntry> entries(choices_.below(5));
  if (entries.empty() && command != vdp::TlvType::kDeAssociate) entries.emplace_back();
  for (auto& entry : entries) {
    const std::uint8_t bits = choices_.octet();
    entry.group = GroupId((bits & 3) == 3 ? 0 : 70001u + (bits & 3u));
    entry.mac = any_mac();
    entry.vid = Vid((bits & 4) == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(98 + (bits >> 3 & 7)));
    entry.ps = (bits & 0x40) != 0;
    if (!vdp::has_ip(format)) continue;
    entry.ip = any_ip();
    if (entry.ip.family != vdp::layout(format).ip || (!vdp::has_prefix(format) && !entry.ip.is_single()))
      entry.ip = *IpPrefix::from_string(vdp::layout(format).ip == IpFamily::kV4 ? "192.0.2.8" : "2001:db8::8");
  }
  if (writer.fits(format, entries.size())) writer.association(command, status, type, id, format, entries);
}

OctetString Pair::any_vdpdu() {
  OctetString payload(limits::kVdpduOctetsMax);
  ManagerId manager{};
  manager.octets[0] = static_cast<std::uint8_t>(choices_.below(2));
  vdp::VdpduWriter writer(payload, manager);
  for (unsigned n = choices_.below(4) + 1; n > 0; --n) {
    const unsigned kind = choices_.below(8);
    if (kind == 6) {
      vdp::write_extension(writer, any_extension());
    } else if (kind == 7) {
      // The writer itself adds End (0) and the manager ID (5); a second manager comes as raw octets.
      const unsigned type = 1 + choices_.below(126);
      writer.raw(static_cast<std::uint8_t>(type < 5 ? type : type + 1), choices_.octets());
    } else {
      association(writer);
    }
  }
  payload.resize(writer.finish().size());
  return payload;
}

/// Ours, with any values: capabilities that may be another station's, a seal that nobody has made.
vdp::Extension Pair::any_extension() {
  switch (choices_.below(6)) {
    case 0: {
      vdp::Capabilities shown;
      shown.role = choices_.flip() ? vdp::Role::kBridge : vdp::Role::kStation;
      shown.flags = vdp::Flags(choices_.u16());
      shown.system[0] = static_cast<std::uint8_t>(choices_.below(4));
      shown.epoch = choices_.octet();
      shown.nonce[0] = choices_.octet();
      return shown;
    }
    case 1: return static_cast<vdp::Migration>(choices_.below(4));
    case 2: return vdp::VnName{};
    case 3:
      return vdp::VnRequest{
          choices_.flip() ? vdp::VnRequest::Operation::kConnect : vdp::VnRequest::Operation::kDisconnect,
          GroupId(70001u + choices_.below(3)), 0, Vid()};
    case 4: return vdp::ReasonText{choices_.octet(), "because"};
    default: break;
  }
  vdp::Authentication seal;
  seal.key = static_cast<std::uint16_t>(choices_.below(3));
  seal.session = choices_.u16();
  seal.counter = choices_.octet();
  for (std::uint8_t& octet : seal.tag) octet = choices_.octet();
  return seal;
}

/// A request with TLVs of any kind, an acknowledgement, a VDPDU of any octets, or a frame of any octets.
void Pair::stranger() {
  Flight flight;
  flight.to_switch = choices_.below(4) != 0;
  flight.port = PortId(1 + choices_.below(2));
  const unsigned what = choices_.below(8);
  if (what == 7) {
    const Octets raw = choices_.octets();
    flight.frame.assign(raw.begin(), raw.end());
    return arrive(flight);
  }
  const MacAddress source = any_station(flight.to_switch, flight.port);
  const MacAddress own = flight.to_switch ? switch_mac(flight.port) : host_mac(flight.port);
  const MacAddress destination = choices_.below(4) == 0 ? own : ecp::kNearestCustomerBridge;
  const auto operation = what == 6 ? ecp::Operation::kAck : ecp::Operation::kRequest;
  const EcpSequence sequence(choices_.u16());
  OctetString payload;
  if (what < 5) {
    payload = any_vdpdu();
  } else {
    const Octets raw = choices_.octets();
    payload.assign(raw.begin(), raw.end());
  }
  ecp::encode_frame(destination, source, operation, sequence, payload, flight.frame);
  arrive(flight);
}

}  // namespace splitnve::fuzz
