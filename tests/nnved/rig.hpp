// SPDX-License-Identifier: Apache-2.0
// One nnved agent between stations that speak real frames, a datapath and a store that are maps, and an authority.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "nnved/agent.hpp"
#include "nnved/embedded_authority.hpp"
#include "nnved/peer.hpp"
#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::nnved::test {

using namespace std::chrono_literals;

inline VsiId vsi(unsigned n) {
  VsiId id;
  id.octets[14] = static_cast<std::uint8_t>(n >> 8);
  id.octets[15] = static_cast<std::uint8_t>(n);
  return id;
}
inline MacAddress mac(unsigned n) { return MacAddress(0x02AA00000000ull + n); }
inline MacAddress station_mac(unsigned n) { return MacAddress(0x020000000100ull + n); }
inline MacAddress port_mac(unsigned n) { return MacAddress(0x020000000200ull + n); }

/// What a datapath holds after all programmed batches, keyed as the rows are.
struct DatapathModel {
  std::map<std::pair<PortId, Vid>, datapath::AccessRow> access;
  std::map<std::tuple<DomainId, PortId, MacAddress>, InstanceId> guards;
  std::map<std::tuple<DomainId, PortId, MacAddress>, std::pair<bool, bool>>
      guarded;  ///< IPv4 and IPv6, where either is
  std::set<std::tuple<InstanceId, MacAddress, IpPrefix>> ips;
  std::map<std::pair<DomainId, MacAddress>, std::variant<datapath::LocalOwner, datapath::RemoteOwner>> fdb;
  std::map<DomainId, datapath::DomainRow> domains;

  void apply(const datapath::Rows& rows) {
    for (const auto& row : rows.domains) {
      if (row.present)
        domains[row.domain] = row;
      else
        domains.erase(row.domain);
    }
    for (const auto& row : rows.access) {
      if (row.domain)
        access[{row.port, row.tag}] = row;
      else
        access.erase({row.port, row.tag});
    }
    for (const auto& row : rows.ips) {
      if (row.present)
        ips.insert({row.instance, row.mac, row.prefix});
      else
        ips.erase({row.instance, row.mac, row.prefix});
    }
    for (const auto& row : rows.guards) {
      guarded.erase({row.domain, row.port, row.mac});
      if (row.ip.ipv4 || row.ip.ipv6) guarded[{row.domain, row.port, row.mac}] = {row.ip.ipv4, row.ip.ipv6};
      if (row.instance)
        guards[{row.domain, row.port, row.mac}] = *row.instance;
      else
        guards.erase({row.domain, row.port, row.mac});
    }
    for (const auto& row : rows.fdb) {
      if (row.owner)
        fdb[{row.domain, row.mac}] = *row.owner;
      else
        fdb.erase({row.domain, row.mac});
    }
  }
  /// May this source send from this port and tag?
  bool open(PortId port, Vid vid, const MacAddress& source) const {
    const auto at = access.find({port, vid});
    if (at == access.end()) return false;
    if (at->second.unguarded) return true;
    const auto guard = guards.find({*at->second.domain, port, source});
    const auto owner = fdb.find({*at->second.domain, source});
    if (guard == guards.end() || owner == fdb.end()) return false;
    const auto* local = std::get_if<datapath::LocalOwner>(&owner->second);
    return local != nullptr && local->instance == guard->second;
  }
  /// The same for what it says with this IP.
  bool open(PortId port, Vid vid, const MacAddress& source, const IpPrefix& ip) const {
    if (!open(port, vid, source)) return false;
    const auto key = std::tuple(*access.at({port, vid}).domain, port, source);
    const auto families = guarded.find(key);
    if (families == guarded.end()) return true;
    const bool looked_at = ip.family == IpFamily::kV4 ? families->second.first : families->second.second;
    return !looked_at || ips.contains({guards.at(key), source, ip});
  }
  friend bool operator==(const DatapathModel&, const DatapathModel&) = default;
};

/// An association TLV to send, or one received.
struct Tlv {
  vdp::TlvType command = vdp::TlvType::kAssociate;
  VsiId id;
  std::vector<vdp::FilterEntry> entries;
  std::uint8_t status = 0;
  vdp::FilterFormat format = vdp::FilterFormat::kGroupMacVid;
  ManagerId manager{};
  VsiType type{1, 1};
  std::string reason{};  ///< received behind it
  vdp::ResponseStatus response() const { return vdp::ResponseStatus::from_octet(status); }
};
inline vdp::FilterEntry entry(std::uint32_t vn, MacAddress address, std::uint16_t vid = 0) {
  vdp::FilterEntry e;
  e.group = GroupId(vn);
  e.mac = address;
  e.vid = Vid(vid);
  return e;
}

/// A VN request or answer of the bridge, and what it said of it.
struct VnSaid {
  vdp::VnRequest request;
  std::string reason;
  std::optional<vdp::VnName> name{};
};

struct Station {
  PortId port;
  MacAddress address;
  bool acks = true;
  std::uint16_t sequence = 100;
  std::vector<Tlv> received;               ///< responses and commands of the bridge
  std::vector<VnSaid> vns;                 ///< what it says of whole VNs
  std::vector<vdp::Standing> standings;    ///< what it says that it holds, or lets back
  std::vector<OctetString> raw;            ///< every frame from the bridge
  unsigned acked = 0;                      ///< acks for our ECPDUs
  std::optional<vdp::Capabilities> shows;  ///< with each request; nullopt: a legacy station
};

inline OctetString vdpdu(const std::vector<Tlv>& tlvs, const std::optional<vdp::Capabilities>& shown = std::nullopt) {
  OctetString payload(limits::kVdpduOctetsMax);
  vdp::VdpduWriter writer(payload, tlvs.front().manager);
  for (const Tlv& tlv : tlvs) writer.association(tlv.command, tlv.status, tlv.type, tlv.id, tlv.format, tlv.entries);
  if (shown) vdp::write_extension(writer, *shown);
  payload.resize(writer.finish().size());
  return payload;
}

inline std::vector<Tlv> read_vdpdu(Octets octets) {
  std::vector<Tlv> tlvs;
  vdp::VdpduReader reader(octets);
  const auto manager = reader.manager();
  if (!manager) return tlvs;
  while (true) {
    const auto next = reader.next();
    if (!next || !*next) return tlvs;
    if (vdp::extension_type(**next) == vdp::ExtensionType::kReason && !tlvs.empty())
      tlvs.back().reason = std::get<vdp::ReasonText>(**vdp::decode_extension(**next)).text;
    const auto association = vdp::decode_association(**next);
    if (!association) continue;
    Tlv tlv{association->command, association->vsi, {}, association->status, association->format, *manager,
            association->type};
    for (std::size_t i = 0; i < association->count; ++i) tlv.entries.push_back(association->entry(i));
    tlvs.push_back(tlv);
  }
}

inline std::vector<VnSaid> read_vns(Octets octets) {
  std::vector<VnSaid> vns;
  vdp::VdpduReader reader(octets);
  if (!reader.manager()) return vns;
  bool behind = false;
  while (true) {
    const auto next = reader.next();
    if (!next || !*next) return vns;
    const auto type = vdp::extension_type(**next);
    if (type == vdp::ExtensionType::kVnRequest)
      vns.push_back({std::get<vdp::VnRequest>(**vdp::decode_extension(**next)), "", {}});
    else if (type == vdp::ExtensionType::kVnName && behind)
      vns.back().name = std::get<vdp::VnName>(**vdp::decode_extension(**next));
    else if (type == vdp::ExtensionType::kReason && behind)
      vns.back().reason = std::get<vdp::ReasonText>(**vdp::decode_extension(**next)).text;
    behind = type == vdp::ExtensionType::kVnRequest || (behind && type == vdp::ExtensionType::kVnName);
  }
}

inline std::vector<vdp::Standing> read_standings(Octets octets) {
  std::vector<vdp::Standing> standings;
  vdp::VdpduReader reader(octets);
  if (!reader.manager()) return standings;
  for (auto next = reader.next(); next && *next; next = reader.next())
    if (vdp::extension_type(**next) == vdp::ExtensionType::kStanding)
      standings.push_back(std::get<vdp::Standing>(**vdp::decode_extension(**next)));
  return standings;
}

/// Two VNs (70001 blue, 70002 red), `ports` ports p1.. with ids 1...
inline AgentConfig make_config(unsigned ports) {
  AgentConfig config;
  for (unsigned i = 1; i <= ports; ++i) {
    PortConfig port;
    port.id = PortId(i);
    port.interface_name = "p" + std::to_string(i);
    port.mac = port_mac(i);
    port.direct = true;
    config.ports.push_back(port);
  }
  config.vns.push_back({GroupId(70001), "blue", "", 1001, {}});
  config.vns.push_back({GroupId(70002), "red", "", 1002, {}});
  return config;
}

class Rig {
 public:
  explicit Rig(AgentConfig config, Instant start = Instant(1h)) : now(start), agent(std::move(config), 7) {}

  Station& station(unsigned n, unsigned port = 1) {
    for (Station& known : stations)
      if (known.address == station_mac(n) && known.port == PortId(port)) return known;
    stations.emplace_back();
    stations.back().port = PortId(port);
    stations.back().address = station_mac(n);
    vdp::Capabilities shows;
    shows.flags = vdp::Flags::all();
    shows.system[15] = shows.nonce[15] = static_cast<std::uint8_t>(n);
    stations.back().shows = shows;
    return stations.back();
  }
  void send_octets(Station& from, Octets payload) {
    OctetString frame;
    ecp::encode_frame(ecp::kNearestCustomerBridge, from.address, ecp::Operation::kRequest, EcpSequence(from.sequence++),
                      payload, frame);
    agent.handle_frame(from.port, frame, now);
    drain();
  }
  /// Sends the TLVs and runs until all is quiet. The answers stand in `from.received`.
  void send(Station& from, const std::vector<Tlv>& tlvs) {
    send_octets(from, vdpdu(tlvs, from.shows));
    run();
  }
  /// One VN request and its answer; nullopt if none came.
  std::optional<VnSaid> ask_vn(Station& from, vdp::VnRequest::Operation operation, std::uint32_t vn,
                               std::uint16_t vid = 0, const std::optional<vdp::VnName>& name = {}) {
    OctetString payload(limits::kVdpduOctetsMax);
    vdp::VdpduWriter writer(payload, ManagerId{});
    vdp::write_extension(writer, vdp::VnRequest{operation, GroupId(vn), 0, Vid(vid)});
    if (name) vdp::write_extension(writer, *name);
    if (from.shows) vdp::write_extension(writer, *from.shows);
    payload.resize(writer.finish().size());
    from.vns.clear();
    send_octets(from, payload);
    run();
    for (const VnSaid& said : from.vns)
      if (said.request.operation == operation && (name ? said.name == name : said.request.group == GroupId(vn)) &&
          said.request.is_response())
        return said;
    return std::nullopt;
  }
  /// One command and its answer; nullopt if none came.
  std::optional<Tlv> ask(Station& from, const Tlv& tlv) {
    from.received.clear();
    send(from, {tlv});
    if (from.received.empty()) advance(kLegacyPace);  // a legacy station is spoken to at its pace
    for (const Tlv& answer : from.received)
      if (answer.id == tlv.id && (answer.status & vdp::kStatusResponse) != 0) return answer;
    return std::nullopt;
  }
  void run() {
    do drain();
    while (agent.handle_work(64, now));
    drain();
  }
  /// Moves time on, waking the agent at each of its deadlines.
  void advance(Duration by) {
    const Instant until = now + by;
    unsigned wakes = 0;
    while (const auto at = agent.next_deadline()) {
      if (*at > until) break;
      now = std::max(now, *at);
      agent.handle_time(now);
      run();
      ensure(++wakes < 100000, "the agent makes progress at its deadlines");
    }
    now = until;
    agent.handle_time(now);
    run();
  }
  void drain() {
    while (true) {
      while (auto effect = agent.poll_effect()) std::visit([&](auto& one) { take(one); }, *effect);
      if (results.empty()) return;
      const agent::BatchResult result = results.front();
      results.pop_front();
      agent.handle_result(result, now);
    }
  }
  /// Answers what was held back.
  void release_publishes() {
    hold_publish = false;
    for (const auto& publish : std::exchange(held, {})) results.push_back(authority.handle(publish));
    run();
  }
  std::optional<TsiView> tsi(const VsiId& id, unsigned port = 1, std::uint32_t vn = 70001) const {
    for (std::uint32_t i = 0; i < agent.tsi_slots(); ++i)
      if (const auto view = agent.tsi(i);
          view && view->vsi == id && view->port == PortId(port) && view->vn == GroupId(vn))
        return view;
    return std::nullopt;
  }
  std::size_t tsis() const {
    std::size_t count = 0;
    for (std::uint32_t i = 0; i < agent.tsi_slots(); ++i) count += agent.tsi(i).has_value() ? 1 : 0;
    return count;
  }
  std::vector<agent::StoreRecord> stored() const {
    std::vector<agent::StoreRecord> records;
    for (const auto& [key, value] : meta) records.push_back({key, value});
    for (const auto& [key, value] : store) records.push_back({key, value});
    return records;
  }
  /// The datapath holds exactly what the agent wants, and the authority too.
  bool consistent() const {
    DatapathModel wanted;
    wanted.apply(agent.desired_rows());
    const auto rows = authority.rows();
    const auto desired = agent.desired_authority();
    const auto key = [](const agent::AuthorityRow& row) {
      return std::tuple(row.vn, row.mac, row.vsi, row.mapped, row.forwarding);
    };
    return wanted == datapath && std::equal(rows.begin(), rows.end(), desired.begin(), desired.end(),
                                            [&](const auto& a, const auto& b) { return key(a) == key(b); });
  }
  /// For the message of a failed comparison.
  std::string difference() const {
    DatapathModel wanted;
    wanted.apply(agent.desired_rows());
    std::string text = wanted.access == datapath.access ? "" : "\naccess differs";
    text += wanted.guards == datapath.guards ? "" : "\nguards differ";
    text += wanted.guarded == datapath.guarded && wanted.ips == datapath.ips ? "" : "\nIPs differ";
    text += wanted.fdb == datapath.fdb ? "" : "\nfdb differs";
    text += wanted.domains == datapath.domains ? "" : "\ndomains differ";
    const auto line = [](const agent::AuthorityRow& row) {
      return std::to_string(row.vn.value()) + " " + row.mac.to_string() + " " + row.vsi.to_string() + " generation " +
             std::to_string(row.generation) + (row.mapped ? " mapped" : "") + (row.forwarding ? " forwarding" : "");
    };
    for (const auto& row : authority.rows()) text += "\nauthority " + line(row);
    for (const auto& row : agent.desired_authority()) text += "\ndesired   " + line(row);
    return text;
  }
  std::uint64_t dropped(const std::string& cause) const {
    for (const auto& [name, count] : agent.frame_drops())
      if (name == cause) return count;
    return 0;
  }

  Instant now;
  Agent agent;
  EmbeddedAuthority authority;
  DatapathModel datapath;
  std::map<std::uint64_t, OctetString> store, meta;  ///< TSIs and latches; the epoch
  std::deque<Station> stations;
  std::vector<OctetString> lldp;  ///< every LLDP frame, in order
  bool hold_publish = false, hold_program = false;
  std::string publish_error, persist_error, program_error;
  /// A cause makes the row fail.
  std::function<std::string(const datapath::FdbRow&)> fdb_fails;
  std::function<std::string(const datapath::IpRow&)> ip_fails;
  std::vector<agent::Program> programs;
  std::vector<agent::Persist> persists;
  std::vector<agent::Publish> publishes;
  std::vector<agent::Publish> held;
  std::vector<agent::Transition> transitions;
  std::vector<agent::Notice> notices;

 private:
  void take(agent::Transmit& transmit) {
    if (evb::is_lldp(transmit.frame)) return lldp.push_back(transmit.frame);
    const auto frame = ecp::decode_frame(transmit.frame);
    ensure(frame.has_value(), "the agent sends decodable frames");
    for (Station& to : stations) {
      if (to.port != transmit.port) continue;
      to.raw.push_back(transmit.frame);
      if (frame->operation == ecp::Operation::kAck) {
        ++to.acked;
        continue;
      }
      for (Tlv& tlv : read_vdpdu(frame->payload)) to.received.push_back(tlv);
      for (VnSaid& said : read_vns(frame->payload)) to.vns.push_back(said);
      for (const vdp::Standing& one : read_standings(frame->payload)) to.standings.push_back(one);
      if (!to.acks) continue;
      OctetString ack;
      ecp::encode_frame(ecp::kNearestCustomerBridge, to.address, ecp::Operation::kAck, frame->sequence, {}, ack);
      agent.handle_frame(to.port, ack, now);
    }
  }
  void take(agent::Program& program) {
    programs.push_back(program);
    agent::BatchResult result{program.batch, {}, program_error};
    if (!program_error.empty()) return results.push_back(result);
    auto rows = program.rows;
    std::vector<datapath::FdbRow> good;
    for (std::uint32_t i = 0; i < rows.fdb.size(); ++i) {
      const std::string cause = fdb_fails ? fdb_fails(rows.fdb[i]) : "";
      if (cause.empty())
        good.push_back(rows.fdb[i]);
      else
        result.failures.push_back({datapath::Table::kFdb, i, cause});
    }
    rows.fdb = good;
    for (std::uint32_t i = 0; ip_fails && i < program.rows.ips.size(); ++i) {
      const std::string cause = ip_fails(program.rows.ips[i]);
      if (cause.empty()) continue;
      result.failures.push_back({datapath::Table::kIp, i, cause});
      std::erase(rows.ips, program.rows.ips[i]);
    }
    datapath.apply(rows);
    if (!hold_program) results.push_back(result);
  }
  /// `persists` and `store` are what the TSIs and latches cost; the epoch is beside them.
  void take(agent::Persist& persist) {
    const BatchId batch = persist.batch;
    const auto is_meta = [](const auto& record) { return agent::record_kind(record.key) == agent::RecordKind::kMeta; };
    if (persist_error.empty())
      for (const auto& record : persist.records) {
        auto& kept = is_meta(record) ? meta : store;
        if (record.value.empty())
          kept.erase(record.key);
        else
          kept[record.key] = record.value;
      }
    std::erase_if(persist.records, is_meta);
    if (!persist.records.empty()) persists.push_back(std::move(persist));
    results.push_back({batch, {}, persist_error});
  }
  void take(agent::Publish& publish) {
    publishes.push_back(publish);
    if (hold_publish || !held.empty())
      held.push_back(publish);  // an authority keeps their order
    else if (!publish_error.empty())
      results.push_back({publish.batch, {}, publish_error});
    else
      results.push_back(authority.handle(publish));
  }
  void take(agent::Transition& transition) { transitions.push_back(transition); }
  void take(agent::Notice& notice) { notices.push_back(notice); }
  void take(agent::Answer&) {}

  std::deque<agent::BatchResult> results;
};

}  // namespace splitnve::nnved::test
