// SPDX-License-Identifier: Apache-2.0
#include "foreign_station.hpp"

#include <algorithm>
#include <set>

namespace splitnve::sim {
namespace {

/// Of one VN and port (docs/limits.md).
constexpr unsigned kVidsMax = 8;
constexpr Duration kAgain = std::chrono::milliseconds(700);

ecp::Session::Config session_config(const ForeignStation::Identity& identity, EcpSequence first) {
  ecp::Session::Config config;
  config.own_mac = identity.own;
  config.peer_mac = identity.bridge;
  config.first_sequence = first;
  return config;
}

}  // namespace

ForeignStation::ForeignStation(const Identity& identity, EcpSequence first)
    : identity_(identity), session_(session_config(identity, first)) {
  shows_.flags = vdp::Flags().set(vdp::Flag::kIpFormats).set(vdp::Flag::kPrefixFormats);
  shows_.system[0] = 3;
  shows_.nonce[0] = 1;
}

void ForeignStation::want(unsigned vids, const std::optional<IpPrefix>& ip) {
  wanted_ = vids;
  wanted_ip_ = ip;
  state_ = State::kLeave;
  speak_at_ = {};
}

void ForeignStation::handle_frame(Octets octets, Instant now) {
  const auto frame = ecp::decode_frame(octets);
  if (!frame || frame->source != identity_.bridge) return;
  session_.handle_frame(*frame, now);
  while (const auto vdpdu = session_.inbox_front()) {
    vdp::VdpduReader reader(*vdpdu);
    if (reader.manager())
      for (auto tlv = reader.next(); tlv && *tlv; tlv = reader.next()) answer(**tlv);
    session_.pop_inbox();
  }
  handle_time(now);
}

void ForeignStation::handle_time(Instant now) {
  session_.handle_time(now);
  while (const auto outcome = session_.poll_outcome())
    if (*outcome == ecp::Transmitter::Outcome::kFailed) speak_at_ = now;
  if (now >= speak_at_ && session_.ready(now)) speak(now);
}

std::vector<vdp::FilterEntry> ForeignStation::entries() const {
  std::vector<vdp::FilterEntry> all;
  const bool renews = state_ == State::kSettled;
  for (std::size_t i = 0; i < (renews ? vids_.size() : wanted_); ++i) {
    vdp::FilterEntry entry;
    entry.group = identity_.vn;
    entry.mac = identity_.mac;
    if (renews) entry.vid = vids_[i];
    all.push_back(entry);
  }
  return all;
}

/// Without MAC: it means the only one of the VSI.
vdp::FilterFormat ForeignStation::ip_format() const {
  using vdp::FilterFormat;
  if (wanted_ip_->family == IpFamily::kV4)
    return wanted_ip_->is_single() ? FilterFormat::kGroupIpv4Vid : FilterFormat::kGroupIpv4PrefixVid;
  return wanted_ip_->is_single() ? FilterFormat::kGroupIpv6Vid : FilterFormat::kGroupIpv6PrefixVid;
}

void ForeignStation::speak(Instant now) {
  OctetString payload(limits::kVdpduOctetsMax);
  vdp::VdpduWriter writer(payload, ManagerId{});
  const VsiType type{1, 1};
  const auto named = entries();
  vdp::FilterEntry with_ip;
  with_ip.group = identity_.vn;
  with_ip.vid = vids_.empty() ? Vid() : vids_.front();
  with_ip.ip = wanted_ip_.value_or(IpPrefix{});
  constexpr auto kWhole = vdp::FilterFormat::kVid;
  switch (state_) {
    case State::kLeave: writer.association(vdp::TlvType::kDeAssociate, 0, type, identity_.vsi, kWhole, {}); break;
    case State::kJoin:
      writer.association(vdp::TlvType::kAssociate, 0, type, identity_.vsi, vdp::FilterFormat::kGroupMacVid, named);
      break;
    case State::kIp:
      writer.association(vdp::TlvType::kAssociate, 0, type, identity_.vsi, ip_format(), {&with_ip, 1});
      break;
    case State::kSettled:
      if (vids_.empty()) return;
      writer.association(vdp::TlvType::kAssociate, 0, type, identity_.vsi, vdp::FilterFormat::kGroupMacVid, named);
      if (ip_) writer.association(vdp::TlvType::kAssociate, 0, type, identity_.vsi, ip_format(), {&with_ip, 1});
      break;
  }
  vdp::write_extension(writer, shows_);
  payload.resize(writer.finish().size());
  session_.send(payload, now);
  speak_at_ = now + (state_ == State::kSettled ? identity_.renewal : kAgain);
}

void ForeignStation::answer(const vdp::Tlv& tlv) {
  const auto head = vdp::decode_association_head(tlv);
  if (!head || head->vsi != identity_.vsi || (head->status & vdp::kStatusResponse) == 0) return;
  const auto association = vdp::decode_association(tlv);
  const bool leaves = head->command == vdp::TlvType::kDeAssociate;
  if (leaves != (state_ == State::kLeave)) return;
  if (leaves) {
    vids_.clear();
    ip_.reset();
    state_ = wanted_ == 0 ? State::kSettled : State::kJoin;
    speak_at_ = {};
  } else if (!association) {  // code 1: a switch that withholds the formats with IP
    if (state_ == State::kIp) state_ = State::kSettled;
  } else if (state_ == State::kJoin && !vdp::has_ip(association->format)) {
    joined(*association);
  } else if (state_ == State::kIp && vdp::has_ip(association->format) && association->response().success()) {
    ip_ = wanted_ip_;
    state_ = State::kSettled;
    ++stats_.ips;
  }
}

/// Up to the limit as many VIDs as entries, each another one (S14); beyond it code 2, and nothing.
void ForeignStation::joined(const vdp::Association& association) {
  const auto status = association.response();
  if (wanted_ > kVidsMax) {
    if (status.success()) fault_ = "D7: more VIDs than a port gives";
    if (status.code != vdp::Code::kInsufficientResources) return;
    ++stats_.beyond;
    state_ = State::kSettled;
    return;
  }
  if (!status.success() || association.count != wanted_) return;  // of another request, or asked for again
  std::set<std::uint16_t> distinct;
  for (unsigned i = 0; i < wanted_; ++i) {
    vids_.push_back(association.entry(i).vid);
    distinct.insert(vids_.back().value());
  }
  if (distinct.size() != wanted_ || distinct.contains(0)) fault_ = "D7: several entries have one VID";
  if (wanted_ > 1) ++stats_.several;
  state_ = wanted_ip_ ? State::kIp : State::kSettled;
  speak_at_ = {};
}

}  // namespace splitnve::sim
