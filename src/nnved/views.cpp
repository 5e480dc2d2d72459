// SPDX-License-Identifier: Apache-2.0
// What the control socket shows.
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

datapath::Rows Agent::desired_rows() const { return impl_->projection.all_rows(); }
datapath::Rows Agent::rows_of_port(PortId port) const { return impl_->projection.rows_of_port(port); }

std::vector<agent::AuthorityRow> Agent::desired_authority() const {
  std::vector<agent::AuthorityRow> rows;
  impl_->tsis.for_each_owner(
      [&](const AddressKey& key, const Owner& owner) { rows.push_back(impl_->projection.authority(key, owner)); });
  std::ranges::sort(rows, {}, [](const agent::AuthorityRow& row) { return std::pair(row.vn, row.mac); });
  return rows;
}

std::vector<agent::AuthorityTag> Agent::desired_tags() const {
  std::vector<agent::AuthorityTag> tags;
  impl_->vaps.rows().for_each([&](Index, const VapRow& vap) {
    if (vap.uses() == 0) return;
    tags.push_back({vap.vn, vap.port, vap.vid, true});
    for (const Vid vid : vap.more) tags.push_back({vap.vn, vap.port, vid, true});
  });
  return tags;
}

std::vector<agent::StoreRecord> Agent::desired_records() const {
  std::vector<agent::StoreRecord> records;
  if (impl_->epoch != 0) {
    records.push_back(impl_->epoch_record());
    records.push_back(impl_->host_traffic.record());
  }
  impl_->tsis.rows().for_each([&](Index instance, const TsiRow&) {
    if (auto record = impl_->projection.record(instance); !record.value.empty()) records.push_back(std::move(record));
  });
  impl_->latches.rows().for_each([&](Index number, const Latch&) { records.push_back(impl_->latches.record(number)); });
  for (std::uint32_t number = 0; number < impl_->signers.size(); ++number)
    if (impl_->signers.contains(number)) records.push_back(impl_->signers.record(number));
  impl_->connects.rows().for_each(
      [&](Index number, const Connect&) { records.push_back(impl_->connect_record(number)); });
  for (auto& record : impl_->held.desired()) records.push_back(std::move(record));
  return records;
}

std::vector<agent::HeldRecords::Held> Agent::held() const { return impl_->held.views(); }

std::uint32_t Agent::tsi_slots() const { return impl_->tsis.rows().slots(); }

std::optional<TsiView> Agent::tsi(std::uint32_t slot) const {
  if (!impl_->tsis.rows().contains(slot)) return std::nullopt;
  const TsiRow& row = impl_->tsis[slot];
  const VapRow& vap = impl_->vaps[row.vap];
  TsiView view;
  view.instance = instance_id(slot);
  view.vsi = row.vsi;
  view.manager = impl_->tsis.manager(slot);
  view.type = row.type;
  view.vn = row.vn;
  view.port = vap.port;
  view.station = row.station;
  view.state = row.state();
  view.vid = vap.vid;
  view.migration = row.migration;
  view.suspended = row.suspended;
  view.last_refusal = info(row.last_refusal).text;
  for (const AddressRow& address : row.addresses) {
    if (address.ip != 0) {
      AddressView& mac = view.addresses.back();
      mac.ips.push_back(impl_->tsis.name(slot, address).ip);
      if (mac.active && address.level != Level::kActive) mac.deactivated_ips.push_back(mac.ips.back());
      continue;
    }
    view.addresses.push_back({address.mac,
                              address.vid.is_null() ? vap.vid : address.vid,
                              address.level == Level::kActive,
                              address.superseded,
                              {}});
    view.superseded = view.superseded || address.superseded;
    view.guarded = view.guarded && !address.mac.is_zero();
  }
  return view;
}

std::vector<VapView> Agent::vaps() const {
  std::vector<VapView> views;
  impl_->vaps.rows().for_each([&](Index, const VapRow& row) {
    VapView view;
    view.port = row.port;
    view.vn = row.vn;
    view.state = row.state;
    view.associated_tsis = row.associated;
    view.connects = row.connects;
    view.local_tag = row.vid;
    if (!row.vid.is_null()) view.local_tags.push_back(row.vid);
    view.local_tags.insert(view.local_tags.end(), row.more.begin(), row.more.end());
    if (const VnConfig* vn = impl_->policy.vn(row.vn)) view.vni = vn->vni;
    view.reason = words(row.reason, std::string(impl_->segments.why(row.port_index, row.reason)));
    views.push_back(std::move(view));
  });
  return views;
}

std::vector<PeerView> Agent::peers() const {
  std::vector<PeerView> views;
  impl_->peers.for_each([&](Index, const Peer& peer) {
    PeerView view{
        {peer.session, peer.exchange, peer.authentication}, impl_->config.ports[peer.port_index].id, peer.station};
    view.tsis = peer.tsis;
    const auto& answered = peer.bridge.stats();
    view.ecpdus_received = peer.session.receiver().stats().accepted;
    view.requests = answered.requests;
    view.refused = answered.refused;
    view.malformed_tlvs = answered.malformed_tlvs;
    view.skipped_tlvs = answered.skipped_tlvs;
    view.stray_responses = answered.stray_responses;
    view.overflow = answered.overflow;
    views.push_back(view);
  });
  return views;
}

std::vector<PortView> Agent::ports() const {
  std::vector<PortView> views;
  for (std::uint32_t i = 0; i < impl_->ports.size(); ++i) {
    const SegmentWatch::Verdict& verdict = impl_->segments.verdict(i);
    views.push_back({impl_->config.ports[i].id, impl_->ports[i].up,
                     static_cast<std::uint32_t>(impl_->ports[i].members.size()),
                     static_cast<std::uint32_t>(impl_->tables.tsis.used(i)), impl_->vaps.vids_free(i),
                     impl_->segments.is_direct(i), static_cast<std::uint32_t>(impl_->segments.neighbours(i)),
                     verdict.seen == Reason::kNone ? "open" : info(verdict.seen).name, verdict.text});
  }
  return views;
}

std::vector<agent::EvbView> Agent::evb() const {
  std::vector<agent::EvbView> views;
  for (std::uint32_t i = 0; i < impl_->ports.size(); ++i)
    if (const auto& evb = impl_->ports[i].evb)
      views.push_back({impl_->config.ports[i].interface_name, &evb->machine()});
  return views;
}

std::vector<RefusalView> Agent::refusals() const {
  std::vector<RefusalView> views;
  for (std::uint32_t i = 0; i < impl_->ports.size(); ++i)
    for (const Refusal& one : impl_->ports[i].refusals)
      views.push_back({one.at, impl_->config.ports[i].id, one.station, one.vsi, one.vn, info(one.reason).code,
                       words(one.reason, one.detail)});
  std::ranges::stable_sort(views, {}, [](const RefusalView& view) { return view.at; });
  return views;
}

std::vector<ShareView> Agent::shares() const {
  std::vector<ShareView> views;
  for (std::uint32_t i = 0; i < impl_->ports.size(); ++i) {
    const auto add = [&](const char* what, const Shares& of) {
      views.push_back({impl_->config.ports[i].id, what, of.used(i), of.share(), of.reserve(), of.sum(), of.total()});
    };
    add("tsis", impl_->tables.tsis);
    add("mac_addresses", impl_->address_shares.macs);
    add("ip_addresses", impl_->address_shares.ips);
    add("waiting_octets", impl_->tables.waiting);
    add("changes_under_way", impl_->tables.works);
    const Shares& vids = impl_->vaps.vid_shares(i);
    views.push_back({impl_->config.ports[i].id, "vids", vids.used(impl_->vaps.place_in_pool(i)), vids.share(),
                     vids.reserve(), vids.sum(), vids.total()});
    const std::uint64_t peers = impl_->ports[i].members.size();
    views.push_back({impl_->config.ports[i].id, "peers", peers, limits::kPeersPerPortMax, limits::kPeersPerPortMax,
                     impl_->peers.size(), limits::kPeersPerPortMax * impl_->ports.size()});
  }
  return views;
}

std::vector<std::pair<std::string, std::uint64_t>> Agent::frame_drops() const {
  return {impl_->drops.begin(), impl_->drops.end()};
}
std::uint64_t Agent::frames_taken() const { return impl_->frames_taken; }

}  // namespace splitnve::nnved
