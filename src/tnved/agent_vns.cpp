// SPDX-License-Identifier: Apache-2.0
// VNs that are connected whether there are TSIs or not (S30), and those that the nNVE has disconnected (D6).
#include <algorithm>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {
namespace {

using vdp::VnStation;
using What = VnStation::Event::What;

/// The stored form:  version(1) connect(1)  and, in version 2: name(16)
constexpr std::uint8_t kVnRecordVersion = 1, kNamedVnRecordVersion = 2;

struct WishRecord {
  bool connect = false;
  std::optional<vdp::VnName> name{};
};

OctetString encode_wish(const WishRecord& record) {
  OctetString octets(record.name ? 18 : 2);
  BoundedWriter writer(octets);
  writer.u8(record.name ? kNamedVnRecordVersion : kVnRecordVersion);
  writer.u8(record.connect ? 1 : 0);
  if (record.name) writer.octets(record.name->octets);
  return octets;
}

std::optional<WishRecord> decode_wish(Octets octets) {
  BoundedReader reader(octets);
  WishRecord record;
  std::uint8_t version = 0, connect = 0;
  if (!reader.u8(version) || !reader.u8(connect) || connect > 1) return std::nullopt;
  if (version != kVnRecordVersion && version != kNamedVnRecordVersion) return std::nullopt;
  if (version == kNamedVnRecordVersion && !reader.array(record.name.emplace().octets)) return std::nullopt;
  if (!reader.empty()) return std::nullopt;
  record.connect = connect != 0;
  return record;
}

/// Has the nNVE shown that it takes no VN requests?
bool is_unable(const Uplink& uplink) {
  return uplink.exchange.verdict() != vdp::Exchange::Verdict::kUnknown &&
         !uplink.exchange.flags().has(vdp::Flag::kVnRequests);
}

std::string no_requests(const Uplink& uplink) {
  return "the nNVE behind " + uplink.config.interface_name + " has not shown that it takes VN requests";
}

}  // namespace

// --- what is wanted ---

bool Agent::Impl::connects_by_configuration(GroupId vn) const {
  return std::ranges::any_of(config_.vns, [&](const VnConfig& one) { return one.id == vn && one.connect; });
}

void Agent::Impl::configure_vns() {
  for (const VnConfig& vn : config_.vns)
    if (vn.connect) vns_[vn.id].connect = true;
}

/// An operator's wish that says what the configuration says is none.
void Agent::Impl::wish(GroupId vn, bool connect) {
  VnWish& of = vns_[vn];
  of.connect = connect;
  of.of_operator = connect != connects_by_configuration(vn);
  of.dirty = true;
}

std::string Agent::Impl::may_wish(const VnEvent& event) const {
  const std::string name = "VN " + std::to_string(event.vn.value());
  if (!event.vn.is_vn_id()) return name + " is not in 1..16777215";
  if (!uplink_for(event.vn)) return "no uplink serves " + name;
  if (!vns_.contains(event.vn) && vns_.size() >= limits::kVnConnectsPerStationMax) return "too many VNs";
  return "";
}

void Agent::Impl::handle_vn(const VnEvent& event, Instant now) {
  drain_stations(now);
  if (event.name) return resolve_vn(event, now);
  if (auto refusal = may_wish(event); !refusal.empty()) return answer(event.asker, false, refusal);
  const std::size_t via = *uplink_for(event.vn);
  wish(event.vn, event.connect);
  vns_[event.vn].uplink = via;
  auto& station = uplinks_[via].station.vns();
  event.connect ? station.connect(event.vn, now) : station.disconnect(event.vn, event.all, now);
  if (event.asker != 0)
    vn_askers_.push_back({event.asker, event.vn, event.connect, now + config_.start_deadline, "", {}});
  drain_vns(now);
}

// --- by name ---

std::optional<GroupId> Agent::Impl::vn_named(const vdp::VnName& name) const {
  for (const VnConfig& vn : config_.vns)
    if (vn.name == name) return vn.id;
  for (const auto& [vn, wish] : vns_)
    if (wish.name == name) return vn;
  return std::nullopt;
}

/// A name that nobody here knows the ID of: the nNVE that serves VNs without an uplink of their own is asked.
void Agent::Impl::resolve_vn(const VnEvent& event, Instant now) {
  if (const auto known = vn_named(*event.name)) {
    VnEvent by_id = event;
    by_id.vn = *known;
    by_id.name.reset();
    return handle_vn(by_id, now);
  }
  const auto via = uplink_for(GroupId());
  if (!event.connect) return answer(event.asker, false, "no VN of this name is known here");
  if (!via) return answer(event.asker, false, "no uplink serves VNs that are not named in the configuration");
  if (!uplinks_[*via].exchange.flags().has(vdp::Flag::kVnName))
    return answer(event.asker, false,
                  "the nNVE behind " + uplinks_[*via].config.interface_name +
                      " has not shown that it knows VNs by name: connect it by its ID");
  if (vn_askers_.size() >= limits::kVnConnectsPerStationMax) return answer(event.asker, false, "too many VNs");
  vn_askers_.push_back({event.asker, {}, true, now + config_.start_deadline, "", event.name});
  uplinks_[*via].station.vns().resolve(*event.name);
}

void Agent::Impl::vn_resolved(std::size_t via, const VnStation::Event& event, Instant now) {
  const bool wanted = std::ranges::any_of(vn_askers_, [&](const VnAsker& one) { return one.name == event.name; });
  const std::string refusal = event.status.success() ? may_wish({event.vn, {}, true, false, 0})
                                                     : "the nNVE refused the VN" + status_text(event.status, event.why);
  for (VnAsker& asker : vn_askers_) {
    if (asker.name != event.name) continue;
    asker.name.reset();
    asker.vn = event.vn;
    asker.refusal = refusal;
  }
  if (!wanted || !refusal.empty()) return;
  vns_[event.vn].name = event.name;
  wish(event.vn, true);
  place_vns(now);
  uplinks_[via].station.vns().connect(event.vn, now);
}

/// Each wish stands at the nNVE that serves its VN now.
void Agent::Impl::place_vns(Instant now) {
  for (auto& [vn, wish] : vns_) {
    const auto via = uplink_for(vn);
    if (wish.uplink == via) continue;
    if (wish.uplink) uplinks_[*wish.uplink].station.vns().leave(vn, now);
    wish.uplink = via;
    if (wish.connect && via) uplinks_[*via].station.vns().connect(vn, now);
  }
}

// --- what the nNVE says ---

void Agent::Impl::drain_vns(Instant now) {
  for (std::size_t i = 0; i < uplinks_.size(); ++i)
    while (const auto event = uplinks_[i].station.vns().poll_event()) handle_vn_verdict(i, *event, now);
  std::erase_if(vn_askers_, [&](const VnAsker& asker) { return answer_vn(asker, now); });
  std::erase_if(vns_, [&](const auto& one) {
    const auto& [vn, wish] = one;
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): both have their values
    const bool asked = std::ranges::any_of(vn_askers_, [&](const VnAsker& asker) { return asker.vn == vn; });
    return !wish.connect && !wish.of_operator && !wish.dirty && wish.stores_waiting == 0 && !asked;
  });
}

void Agent::Impl::handle_vn_verdict(std::size_t via, const VnStation::Event& event, Instant now) {
  const std::string subject =
      "uplink " + uplinks_[via].config.interface_name + " vn " + std::to_string(event.vn.value());
  const auto log = [&](const char* from, const char* to, const std::string& why) {
    emit(agent::Transition{"vn", subject, from, to, why});
  };
  const auto refuse = [&](const std::string& why) {
    for (VnAsker& asker : vn_askers_)
      if (asker.vn == event.vn && asker.refusal.empty()) asker.refusal = why;
  };
  switch (event.what) {
    case What::kConnected:
      return log("disconnected", "connected", "VID " + std::to_string(event.vid.value()) + " from the nNVE");
    case What::kRefused: {
      const std::string why = "the nNVE refused to connect the VN" + status_text(event.status, event.why);
      refuse(why);
      return log("disconnected", "refused", why);
    }
    case What::kDown: {
      const std::string why = "the nNVE disconnected the VN" + said(event.why);
      refuse(why);
      notice("TNVED_VN_DISCONNECTED", agent::Notice::Level::kWarning, subject + ": " + why);
      return log("connected", "disconnected", why);
    }
    case What::kReleased: return vn_released(via, event.vn, now);
    case What::kNamed: return vn_resolved(via, event, now);
    case What::kLeft: return log("connected", "disconnected", "asked for here");
    case What::kStays:
      refuse("the nNVE refused to disconnect the VN" + status_text(event.status, event.why));
      if (const auto view = uplinks_[via].station.vns().view(event.vn); view && view->wanted) wish(event.vn, true);
      return;
  }
}

/// TSIs that went with the VN ask again; what else the nNVE holds it refuses again.
void Agent::Impl::vn_released(std::size_t via, GroupId vn, Instant now) {
  emit(agent::Transition{"vn", "uplink " + uplinks_[via].config.interface_name + " vn " + std::to_string(vn.value()),
                         "disconnected", "released", "the nNVE lets the VN be connected again"});
  handle_standing(via, {vdp::Standing::What::kReleased, vdp::Standing::Scope::kVn, {}, vn}, now);
}

// --- those who asked ---

/// True if the one who asked has been answered.
bool Agent::Impl::answer_vn(const VnAsker& asker, Instant now) {
  const VnWish* wish = vns_.contains(asker.vn) ? &vns_.at(asker.vn) : nullptr;
  const auto tell = [&](bool ok, std::string why) {
    answer(asker.id, ok, std::move(why));
    return true;
  };
  if (!asker.refusal.empty()) return tell(false, asker.refusal);
  if (asker.name) {
    if (now < asker.deadline) return false;
    for (Uplink& uplink : uplinks_) uplink.station.vns().forget(*asker.name);
    return tell(false, "no nNVE has told the ID of the VN in time");
  }
  if (wish == nullptr || !wish->uplink || wish->connect != asker.connect)
    return tell(false, "another wish for the VN came after this one");
  const Uplink& uplink = uplinks_[*wish->uplink];
  const auto view = uplink.station.vns().view(asker.vn);
  const bool stored = !wish->dirty && wish->stores_waiting == 0;
  const bool unable = is_unable(uplink);
  if (asker.connect) {
    if (unable) return tell(false, no_requests(uplink) + "; the VN waits for one that does, or for its first TSI");
    if (view && view->state == VnStation::State::kDown)
      return tell(false, "the nNVE disconnected the VN" + said(view->why) + "; it is asked again when it releases it");
    if (view && view->state == VnStation::State::kConnected && stored) return tell(true, "");
  } else if ((!view || view->state == VnStation::State::kDown) && stored) {
    return tell(true, unable ? no_requests(uplink) : "");
  }
  if (now < asker.deadline) return false;
  return tell(false,
              "the nNVE behind " + uplink.config.interface_name + " has not answered in time; it is asked again");
}

std::optional<Instant> Agent::Impl::next_vn_deadline() const {
  std::optional<Instant> next;
  for (const VnAsker& asker : vn_askers_) next = earliest(next, asker.deadline);
  return next;
}

// --- the store ---

void Agent::Impl::gather_vns(agent::Persist& persist, Batch& batch) {
  for (auto& [vn, wish] : vns_) {
    if (!wish.dirty) continue;
    wish.dirty = false;
    ++wish.stores_waiting;
    persist.records.push_back({agent::store_key(agent::RecordKind::kVn, vn.value()),
                               wish.of_operator ? encode_wish({wish.connect, wish.name}) : OctetString()});
    batch.vns.push_back(vn);
  }
}

bool Agent::Impl::vns_dirty() const {
  return !store_retry_at_ && std::ranges::any_of(vns_, [](const auto& wish) { return wish.second.dirty; });
}

void Agent::Impl::stored_vns(const agent::BatchResult& result, const Batch& batch) {
  for (const GroupId vn : batch.vns) {
    VnWish& wish = vns_.at(vn);
    --wish.stores_waiting;
    wish.dirty |= !result.ok();
  }
}

std::string Agent::Impl::restore_vn(const agent::StoreRecord& stored) {
  const GroupId vn(static_cast<std::uint32_t>(stored.key & 0xFFFFFFFF));
  if (!vn.is_vn_id()) return "no VN ID";
  const auto read = decode_wish(stored.value);
  if (!read) return "no wish for a VN that this version writes";
  vns_[vn].connect = read->connect;
  vns_[vn].name = read->name;
  vns_[vn].of_operator = true;
  return "";
}

// --- views ---

std::optional<vdp::VnName> Agent::Impl::name_of_vn(GroupId vn) const {
  for (const VnConfig& one : config_.vns)
    if (one.id == vn && one.name) return one.name;
  const auto at = vns_.find(vn);
  return at == vns_.end() ? std::nullopt : at->second.name;
}

std::vector<VnView> Agent::Impl::vn_views() const {
  std::vector<VnView> out;
  for (std::size_t i = 0; i < uplinks_.size(); ++i) {
    const Uplink& uplink = uplinks_[i];
    const bool unable = is_unable(uplink);
    for (const auto& row : uplink.station.vns().views()) {
      VnView view{uplink.config.id, row.vn, name_of_vn(row.vn), row.wanted, vdp::to_string(row.state), row.vid, ""};
      if (unable) view.state = "waiting";
      if (unable)
        view.reason = no_requests(uplink);
      else if (!row.why.empty())
        view.reason = "the nNVE says" + said(row.why);
      out.push_back(std::move(view));
    }
  }
  return out;
}

}  // namespace splitnve::tnved
