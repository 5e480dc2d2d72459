// SPDX-License-Identifier: Apache-2.0
#include "catalogue.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "splitnve/ecp/header.hpp"
#include "splitnve/evb/lldp.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::hostile {
namespace {

using vdp::TlvType;

constexpr std::uint8_t kMalformed = 0x61;   // response, KEEP, code 1
constexpr std::uint8_t kBadAddress = 0x55;  // response, HARD, code 5
constexpr std::uint8_t kElsewhere = 0x44;   // response, code 4
constexpr std::uint8_t kSuccess = 0x40;
constexpr std::uint16_t kVdpRequest = 0x1001, kVdpAck = 0x1401;
constexpr std::uint8_t kFormatVid = 1, kFormatFull = 4;

/// Octets as they come, with no check of anything.
class Raw {
 public:
  Raw& u8(unsigned value) {
    octets_.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  Raw& u16(unsigned value) { return u8(value >> 8).u8(value & 0xFF); }
  Raw& u32(std::uint32_t value) { return u16(value >> 16).u16(value & 0xFFFF); }
  Raw& add(Octets octets) {
    octets_.insert(octets_.end(), octets.begin(), octets.end());
    return *this;
  }
  Raw& zeros(std::size_t count) {
    octets_.resize(octets_.size() + count);
    return *this;
  }
  Raw& tlv(unsigned type, unsigned length, Octets value) { return u16(type << 9 | length).add(value); }
  Raw& tlv(unsigned type, Octets value) { return tlv(type, static_cast<unsigned>(value.size()), value); }
  Raw& manager() { return u16(5u << 9 | 16u).zeros(16); }
  Raw& end() { return u16(0); }
  Raw& pad_to(std::size_t size) {
    octets_.resize(std::max(octets_.size(), size));
    return *this;
  }
  operator Octets() const { return octets_; }
  const OctetString& octets() const { return octets_; }

 private:
  OctetString octets_;
};

/// The fixed part of an association and what follows it.
struct Value {
  std::uint8_t status = 0;
  VsiId vsi;
  std::uint8_t format = kFormatFull;
  std::uint16_t count = 1;
};
Raw association(const Value& value, Octets entries) {
  Raw raw;
  raw.u8(value.status).u8(0).u16(1).u8(1).u8(value.vsi.format).add(value.vsi.octets);
  raw.u8(value.format).u16(value.count).add(entries);
  return raw;
}
Raw entry(std::uint32_t vn, const MacAddress& mac, unsigned vid = 0) {
  Raw raw;
  raw.u32(vn).add(mac.octets()).u16(vid);
  return raw;
}

class Builder {
 public:
  explicit Builder(const Scene& scene) : scene_(scene) {
    own_vsi_.octets[0] = 0xBA;
    own_mac_ = MacAddress(0x02BAD0000001ull);
  }

  void lengths();
  void headers();
  void addresses();
  void managers();
  void tlvs();
  void counts();
  void identities();
  void ranges();
  void two_stations();
  void sequences();
  void capabilities();
  void lldp();
  std::vector<Case> take() { return std::move(cases_); }

  Raw frame(unsigned header, Octets payload) {
    Raw raw;
    raw.add(kNearestCustomerBridge.octets()).add(scene_.attacker.octets()).u16(ecp::kEtherType);
    raw.u16(header).u16(++sequence_).add(payload).pad_to(60);
    return raw;
  }
  Raw associate(const VsiId& vsi, Octets entries, unsigned format = kFormatFull, unsigned count = 1,
                TlvType command = TlvType::kAssociate, unsigned status = 0) {
    const Value value{static_cast<std::uint8_t>(status), vsi, static_cast<std::uint8_t>(format),
                      static_cast<std::uint16_t>(count)};
    return Raw().manager().tlv(static_cast<unsigned>(command), association(value, entries)).end();
  }

 private:
  Case& add(std::string name, const Raw& raw) {
    cases_.push_back({std::move(name), raw.octets(), Depth::kSession, "", "", std::nullopt, 0, 0, 0, false});
    return cases_.back();
  }
  /// Dropped before its peer is looked for.
  void early(std::string name, const Raw& raw, std::string cause) {
    Case& one = add(std::move(name), raw);
    one.depth = Depth::kFrame;
    one.drop = std::move(cause);
  }
  void vdpdu(std::string name, const Raw& payload, std::string cause) {
    add(std::move(name), frame(kVdpRequest, payload)).drop = std::move(cause);
  }
  void answered(std::string name, const Raw& payload, std::uint8_t status) {
    Case& one = add(std::move(name), frame(kVdpRequest, payload));
    one.answer = status;
    one.malformed = status == kMalformed ? 1 : 0;
  }
  Raw full() { return entry(scene_.vn, own_mac_); }

  Scene scene_;
  VsiId own_vsi_;
  MacAddress own_mac_;
  std::uint16_t sequence_ = 0;
  std::vector<Case> cases_;
};

void Builder::lengths() {
  const Raw whole = frame(kVdpRequest, Raw().manager().end());
  for (std::size_t n = 0; n <= 17; ++n) {
    const char* cause = n < 12 ? "truncated Ethernet header" : n < 14 ? "truncated EtherType" : "truncated ECP header";
    early("frame of " + std::to_string(n) + " octets", Raw().add(Octets(whole).first(n)), cause);
    if (n < 14) cases_.back().depth = Depth::kFilter;
  }
  Raw short_one;
  short_one.add(Octets(frame(kVdpRequest, Raw().manager().end())).first(59));
  add("frame of 59 octets", short_one);
  for (const std::size_t octets : {60u, 1500u, 1501u, 1514u, 1515u}) {
    Raw raw = frame(kVdpRequest, Raw().manager().end());
    add("frame of " + std::to_string(octets) + " octets", raw.pad_to(octets));
  }
  Raw jumbo = frame(kVdpRequest, Raw().manager().end());
  Case& one = add("frame of 9000 octets", jumbo.pad_to(9000));
  one.depth = Depth::kPort;
  one.port_drop = "rx_oversize";
}

void Builder::headers() {
  const Raw payload = associate(own_vsi_, full());
  for (const unsigned version : {0u, 2u, 15u})
    early("ECP version " + std::to_string(version), frame(version << 12 | 1, payload), "unsupported ECP version");
  for (const unsigned subtype : {0u, 2u, 3u, 1023u})
    early("ECP subtype " + std::to_string(subtype), frame(0x1000 | subtype, payload), "unsupported ECP subtype");
  for (const unsigned operation : {2u, 3u})
    early("ECP operation " + std::to_string(operation), frame(kVdpRequest | operation << 10, payload),
          "unsupported ECP operation");
  add("ack to nothing", frame(kVdpAck, Raw())).drop = "unexpected acknowledgement";
  add("ack to nothing with a payload", frame(kVdpAck, payload)).drop = "unexpected acknowledgement";
}

void Builder::addresses() {
  const Raw sound = frame(kVdpRequest, Raw().manager().end());
  const auto with = [&](std::size_t at, Octets octets) {
    OctetString changed = sound.octets();
    std::copy(octets.begin(), octets.end(), changed.begin() + static_cast<std::ptrdiff_t>(at));
    return Raw().add(changed);
  };
  const auto tagged = [&](unsigned tci) {
    const Octets all(sound);
    return Raw().add(all.first(12)).u16(0x8100).u16(tci).add(all.subspan(12));
  };
  early("to another address", with(0, MacAddress(0x02FEFEFEFEFEull).octets()), "not for us");
  early("to another group", with(0, MacAddress(0x0180C2000010ull).octets()), "not for us");
  early("from the port's own address", with(6, scene_.port.octets()), "our own frame");
  early("from a group address", with(6, MacAddress(0x01005E000001ull).octets()), "group source address");
  early("EtherType of a draft", with(12, Raw().u16(0x88B7)), "not the EtherType of ECP");
  cases_.back().depth = Depth::kFilter;
  for (const unsigned vid : {1u, 100u, 4095u}) {
    early("tagged with VID " + std::to_string(vid), tagged(vid), "tagged with a VLAN");
    cases_.back().depth = Depth::kPort;
    cases_.back().port_drop = "rx_tagged";
  }
  add("tagged with a priority", tagged(7u << 13)).fixed_sequence = true;
}

void Builder::managers() {
  const Raw one = association({0, own_vsi_, kFormatFull, 1}, full());
  vdpdu("no TLV at all", Raw(), "VSI manager ID missing");
  vdpdu("manager missing", Raw().tlv(3, one).end(), "VSI manager ID missing");
  vdpdu("manager not first", Raw().tlv(3, one).manager().end(), "VSI manager ID missing");
  vdpdu("manager twice", Raw().manager().manager().tlv(3, one).end(), "second VSI manager ID");
  vdpdu("manager again behind an Associate", Raw().manager().tlv(3, one).manager().end(), "second VSI manager ID");
  for (const unsigned length : {0u, 15u, 17u, 511u})
    vdpdu("manager of " + std::to_string(length) + " octets",
          Raw().tlv(5, length, Raw().zeros(length)).tlv(3, one).end(), "VSI manager ID of other than 16 octets");
  add("manager cut off", Raw().add(Octets(frame(kVdpRequest, Raw().manager())).first(30))).drop = "truncated TLV value";
  Raw odd = frame(kVdpRequest, Raw().manager());
  add("half a TLV header", Raw().add(Octets(odd).first(36)).u8(6)).drop = "truncated TLV header";
  add("data behind End", frame(kVdpRequest, Raw().manager().end().tlv(3, one).tlv(3, 511, Raw().u8(1))));
}

void Builder::tlvs() {
  const Raw one = association({0, own_vsi_, kFormatFull, 1}, full());
  for (const unsigned length : {0u, 1u, 21u})
    add("Associate of " + std::to_string(length) + " octets",
        frame(kVdpRequest, Raw().manager().tlv(3, Octets(one).first(length)).end()))
        .malformed = 1;
  for (const unsigned length : {22u, 23u, 24u, 36u})
    answered("Associate of " + std::to_string(length) + " octets",
             Raw().manager().tlv(3, Octets(one).first(length)).end(), kMalformed);
  answered("De-Associate of 24 octets", Raw().manager().tlv(4, Octets(one).first(24)).end(), kMalformed);
  vdpdu("Associate past the end", Raw().manager().tlv(3, 511, one), "truncated TLV value");
  vdpdu("unknown TLV past the end", Raw().manager().tlv(99, 64, Raw().zeros(8)), "truncated TLV value");
  answered("Associate of 511 octets with one entry",
           Raw().manager().tlv(3, Raw().add(one).zeros(511 - one.octets().size())).end(), kMalformed);
  answered("Associate of 511 octets, full of VIDs", associate(own_vsi_, Raw().zeros(486), kFormatVid, 243),
           kBadAddress);
  for (const unsigned type : {6u, 64u, 126u})
    add("TLV type " + std::to_string(type), frame(kVdpRequest, Raw().manager().tlv(type, Raw().zeros(20)).end()))
        .skipped = 1;
  add("TLV type 99 of 511 octets", frame(kVdpRequest, Raw().manager().tlv(99, Raw().zeros(511)).end())).skipped = 1;
  for (const unsigned octets : {0u, 3u, 4u})
    add("organizational TLV of " + std::to_string(octets) + " octets",
        frame(kVdpRequest, Raw().manager().tlv(127, Raw().zeros(octets)).end()))
        .skipped = 1;
  add("an answer to nothing",
      frame(kVdpRequest, associate(own_vsi_, full(), kFormatFull, 1, TlvType::kAssociate, 0x40)))
      .stray = 1;
  add("a refusal of nothing",
      frame(kVdpRequest, associate(own_vsi_, full(), kFormatFull, 1, TlvType::kDeAssociate, 0x55)))
      .stray = 1;
  Case& both = add("suspended and migrating at once",
                   frame(kVdpRequest, associate(own_vsi_, full(), kFormatFull, 1, TlvType::kAssociate, 0x30)));
  both.answer = kMalformed;
}

void Builder::counts() {
  for (const unsigned format : {0u, 9u, 0x7Fu, 0x84u, 0xFFu})
    answered("filter format " + std::to_string(format), associate(own_vsi_, full(), format), kMalformed);
  answered("no entry", associate(own_vsi_, Raw(), kFormatFull, 0), kMalformed);
  answered("count 0 with an entry", associate(own_vsi_, full(), kFormatFull, 0), kMalformed);
  answered("count 1 without entry", associate(own_vsi_, Raw(), kFormatFull, 1), kMalformed);
  answered("count 2 with one entry", associate(own_vsi_, full(), kFormatFull, 2), kMalformed);
  answered("count 65535", associate(own_vsi_, full(), kFormatFull, 65535), kMalformed);
  // 16385 entries of 12 octets are 12 octets, counted in 16 bits.
  answered("product of count and size overflows", associate(own_vsi_, full(), kFormatFull, 16385), kMalformed);
  answered("De-Associate of what is not there", associate(own_vsi_, Raw(), kFormatFull, 0, TlvType::kDeAssociate),
           kSuccess);
}

void Builder::identities() {
  const auto identity = [&](const char* name, std::uint32_t vn, const MacAddress& mac, unsigned vid = 0) {
    answered(name, associate(own_vsi_, entry(vn, mac, vid)), kBadAddress);
  };
  identity("VID 1", scene_.vn, own_mac_, 1);
  identity("VID 4095", scene_.vn, own_mac_, 4095);
  identity("GroupID 0", 0, own_mac_);
  identity("GroupID 2^24", 1u << 24, own_mac_);
  identity("GroupID 2^32 - 1", 0xFFFFFFFFu, own_mac_);
  identity("unknown VN", 4242, own_mac_);
  identity("zero MAC", scene_.vn, MacAddress());
  identity("multicast MAC", scene_.vn, MacAddress(0x01005E000001ull));
  identity("broadcast MAC", scene_.vn, MacAddress(0xFFFFFFFFFFFFull));
  identity("the port's own MAC", scene_.vn, scene_.port);
  answered("a good entry and a bad one",
           associate(own_vsi_, Raw().add(full()).add(entry(scene_.vn, MacAddress())), kFormatFull, 2), kBadAddress);
}

void Builder::ranges() {
  const auto range = [&](const char* name, unsigned format, Octets address, unsigned length) {
    Raw raw;
    raw.u32(scene_.vn).add(own_mac_.octets()).add(address).u8(length).u16(0);
    answered(name, associate(own_vsi_, raw, format), kMalformed);
  };
  const Raw v4 = Raw().u32(0x0A000000), v6 = Raw().u32(0x20010DB8).zeros(12);
  range("IPv4 prefix of 33", 0x87, v4, 33);
  range("IPv4 prefix of 255", 0x87, v4, 255);
  range("IPv6 prefix of 129", 0x88, v6, 129);
}

void Builder::two_stations() {
  answered("the VSI of another station", associate(scene_.victim_vsi, entry(scene_.vn, scene_.victim_mac)), kElsewhere);
  answered("the MAC of another station", associate(own_vsi_, entry(scene_.vn, scene_.victim_mac)), kBadAddress);
  answered("De-Associate of another station's VSI",
           associate(scene_.victim_vsi, Raw(), kFormatFull, 0, TlvType::kDeAssociate), kSuccess);
}

void Builder::sequences() {
  const Raw refused = associate(own_vsi_, entry(4242, own_mac_));
  const auto at = [&](const char* name, std::uint16_t sequence) -> Case& {
    sequence_ = static_cast<std::uint16_t>(sequence - 1);
    answered(name, refused, kBadAddress);
    cases_.back().fixed_sequence = true;
    return cases_.back();
  };
  at("sequence jumps ahead", 30000);
  at("sequence jumps back", 20000);
  at("sequence before its wrap", 65535);
  at("sequence wraps", 0);
  Case& replay = at("replayed", 0);
  replay.answer.reset();
  replay.drop = "duplicate";
  sequence_ = 40000;
}

void Builder::capabilities() {
  vdp::Capabilities shown;
  const auto show = [&](const char* name) {
    OctetString payload;
    vdp::write_capabilities_only(shown, payload);
    add(name, frame(kVdpRequest, Raw().add(payload)));
  };
  shown.role = vdp::Role::kBridge;
  show("capabilities of a second bridge");
  shown.role = vdp::Role::kStation;
  shown.flags = vdp::Flags::all();
  show("capabilities, all flags");
  shown.flags = vdp::Flags(0xFFFFFFFF);
  show("capabilities, unknown flags");
  shown.flags = vdp::Flags();
  show("capabilities taken back");
  shown.nonce[0] = 1;
  show("a new session in mid-life");
  shown.epoch = 77;
  show("a new epoch in mid-life");
  shown.system[3] = 9;
  show("another system in mid-life");
}

void Builder::lldp() {
  const OctetString mac(scene_.attacker.octets().begin(), scene_.attacker.octets().end());
  for (const std::uint8_t exponent : {std::uint8_t{0}, std::uint8_t{31}}) {
    evb::Tlv tlv;
    tlv.mode = static_cast<std::uint8_t>(evb::Role::kStation);
    tlv.values = {exponent == 0 ? std::uint8_t{0} : std::uint8_t{7}, exponent, exponent, exponent};
    OctetString octets;
    evb::encode_lldp({kNearestCustomerBridge,
                      scene_.attacker,
                      {evb::LldpId::kChassisMac, mac},
                      {evb::LldpId::kPortMac, mac},
                      120,
                      tlv},
                     octets);
    early("EVB exponents " + std::to_string(exponent), Raw().add(octets), "LLDP while EVB is off");
  }
  Raw nothing;
  nothing.add(kNearestCustomerBridge.octets()).add(scene_.attacker.octets()).u16(0x88CC).pad_to(60);
  early("an empty LLDPDU", nothing, "LLDP while EVB is off");
}

}  // namespace

std::vector<Case> catalogue(const Scene& scene) {
  Builder builder(scene);
  builder.lengths();
  builder.headers();
  builder.addresses();
  builder.managers();
  builder.tlvs();
  builder.counts();
  builder.identities();
  builder.ranges();
  builder.two_stations();
  builder.sequences();
  builder.capabilities();
  builder.lldp();
  return builder.take();
}

OctetString valid_request(const Scene& scene, const VsiId& vsi, const MacAddress& mac, std::uint16_t sequence) {
  Builder builder(scene);
  OctetString octets = builder.frame(kVdpRequest, builder.associate(vsi, entry(scene.vn, mac))).octets();
  octets[kSequenceOffset] = static_cast<std::uint8_t>(sequence >> 8);
  octets[kSequenceOffset + 1] = static_cast<std::uint8_t>(sequence);
  return octets;
}

}  // namespace splitnve::hostile
