// SPDX-License-Identifier: Apache-2.0
#include "invariants.hpp"

#include <map>
#include <set>
#include <tuple>

#include "nnved/record.hpp"
#include "splitnve/base/check.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve::fuzz {

void check_rows(const datapath::Rows& rows) {
  std::set<DomainId> domains;
  for (const auto& row : rows.domains) {
    ensure(row.present && domains.insert(row.domain).second, "a domain stands once");
    ensure(row.local.size() <= limits::kFloodLocalMax && row.remote.size() <= limits::kFloodRemoteMax,
           "bounded floods");
  }
  std::map<std::pair<PortId, Vid>, DomainId> access;
  for (const auto& row : rows.access) {
    ensure(row.domain && access.emplace(std::pair(row.port, row.tag), *row.domain).second, "a tag means one domain");
    ensure(domains.contains(*row.domain), "an access row leads into a domain");
  }
  std::map<std::tuple<DomainId, PortId, MacAddress>, InstanceId> guards;
  for (const auto& row : rows.guards)
    ensure(row.instance && guards.emplace(std::tuple(row.domain, row.port, row.mac), *row.instance).second,
           "a source has one instance");
  std::set<std::tuple<InstanceId, MacAddress, IpPrefix>> ips;
  std::map<InstanceId, std::size_t> ips_of;
  for (const auto& row : rows.ips) {
    ensure(row.present && ips.emplace(row.instance, row.mac, row.prefix).second, "an IP stands once");
    ensure(row.prefix.is_usable_source() && !row.prefix.has_host_bits(), "an IP is one that a VM may have");
    ensure(++ips_of[row.instance] <= limits::kIpsPerInstanceMax, "bounded IPs");
  }
  for (const auto& row : rows.guards)
    for (const auto& [instance, mac, ip] : ips)
      if (instance == *row.instance && mac == row.mac)
        ensure(ip.family == IpFamily::kV4 ? row.ip.ipv4 : row.ip.ipv6, "a family with addresses is guarded");
  std::set<std::pair<DomainId, MacAddress>> addresses;
  for (const auto& row : rows.fdb) {
    ensure(row.owner && addresses.emplace(row.domain, row.mac).second, "an address has one owner");
    const auto* local = std::get_if<datapath::LocalOwner>(&*row.owner);
    if (local == nullptr) continue;
    const auto guard = guards.find(std::tuple(row.domain, local->port, row.mac));
    ensure(guard != guards.end() && guard->second == local->instance, "an owner here has the guard of its instance");
    const auto tag = access.find({local->port, local->tag});
    ensure(tag != access.end() && tag->second == row.domain, "an owner is reached by a tag of its domain");
  }
}

void check(const nnved::Agent& agent) {
  check_rows(agent.desired_rows());
  std::map<std::pair<GroupId, MacAddress>, VsiId> authority;
  for (const auto& row : agent.desired_authority()) {
    ensure(row.mapped, "what is wanted of the authority is mapped");
    ensure(authority.emplace(std::pair(row.vn, row.mac), row.vsi).second, "an address is claimed once");
  }
  for (const auto& record : agent.desired_records())
    if (agent::record_kind(record.key) == agent::RecordKind::kTsi)
      ensure(nnved::decode_record(record.value).has_value(), "what is stored can be read");
  std::map<PortId, unsigned> peers;
  for (const auto& peer : agent.peers()) ++peers[peer.port];
  for (const auto& [port, count] : peers) ensure(count <= limits::kPeersPerPortMax, "bounded peers");
  ensure(agent.tsi_slots() <= limits::kInstancesMax, "bounded slots");
  std::uint32_t tsis = 0;
  for (std::uint32_t slot = 0; slot < agent.tsi_slots(); ++slot) tsis += agent.tsi(slot) ? 1 : 0;
  ensure(tsis <= agent.config().instances_max, "bounded TSIs");
  for (const auto& vap : agent.vaps())
    ensure(vap.state == nnved::VapState::kDisconnected || vap.local_tag.value() <= 4094, "a VAP has a tag");
}

void check(const tnved::Agent& agent) {
  check_rows(agent.desired_rows());
  std::uint32_t tsis = 0;
  for (std::uint32_t slot = 0; slot < agent.tsi_slots(); ++slot) {
    const auto tsi = agent.tsi(slot);
    if (!tsi) continue;
    ++tsis;
    ensure(agent.find(tsi->vsi) == slot, "a VSI is found where it is");
    ensure(!tsi->addresses.empty() && tsi->addresses.size() <= limits::kAddressesPerInstanceMax, "bounded addresses");
  }
  ensure(tsis <= agent.config().instances_max, "bounded TSIs");
  for (const auto& peer : agent.peers()) ensure(peer.tsis <= tsis, "an uplink counts TSIs that are there");
}

}  // namespace splitnve::fuzz
