// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"

#include <algorithm>

namespace splitnve::tnved::test {
namespace {

std::string text(PortId port, Vid tag) { return std::to_string(port.value()) + "." + std::to_string(tag.value()); }
std::string text(DomainId id) { return std::to_string(id.value() >> 24) + "/" + std::to_string(id.value() & 0xFFFFFF); }

/// (key, value) of every row; an empty value is an absent row.
std::vector<std::pair<std::string, std::string>> flatten(const datapath::Rows& rows) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& row : rows.ports)
    out.emplace_back("port " + std::to_string(row.port.value()),
                     row.present ? row.interface_name + " role " + std::to_string(static_cast<int>(row.role)) : "");
  for (const auto& row : rows.domains) {
    std::string value = "uplink " + (row.uplink ? text(row.uplink->port, row.uplink->tag) : "none") + " local";
    for (const auto& member : row.local) value += " " + text(member.port, member.tag);
    out.emplace_back("domain " + text(row.domain), row.present ? value : "");
  }
  for (const auto& row : rows.access)
    out.emplace_back("access " + text(row.port, row.tag), row.domain ? text(*row.domain) : "");
  for (const auto& row : rows.guards)
    out.emplace_back("guard " + text(row.domain) + " " + std::to_string(row.port.value()) + " " + row.mac.to_string(),
                     row.instance ? std::to_string(row.instance->value()) + (row.ip.ipv4 ? " ipv4" : "") +
                                        (row.ip.ipv6 ? " ipv6" : "") +
                                        (row.priority.is_none() ? "" : " pcp " + std::to_string(row.priority.pcp()))
                                  : "");
  for (const auto& row : rows.ips)
    out.emplace_back(
        "ip " + std::to_string(row.instance.value()) + " " + row.mac.to_string() + " " + row.prefix.to_string(),
        row.present ? "present" : "");
  for (const auto& row : rows.fdb) {
    std::string value;
    if (row.owner) {
      const auto& local = std::get<datapath::LocalOwner>(*row.owner);
      value = std::to_string(local.instance.value()) + " at " + text(local.port, local.tag);
    }
    out.emplace_back("fdb " + text(row.domain) + " " + row.mac.to_string(), value);
  }
  return out;
}

}  // namespace

void SwitchModel::apply(const datapath::Rows& rows) {
  for (const auto& [key, value] : flatten(rows)) {
    if (value.empty())
      table_.erase(key);
    else
      table_[key] = value;
  }
}

std::set<std::string> SwitchModel::rows() const {
  std::set<std::string> out;
  for (const auto& [key, value] : table_) out.insert(key + ": " + value);
  return out;
}

std::set<std::string> SwitchModel::rows_of(const datapath::Rows& rows) {
  SwitchModel model;
  model.apply(rows);
  return model.rows();
}

Bench::Bench(std::function<void(AgentConfig&)> change) {
  UplinkConfig uplink;
  uplink.id = PortId(1);
  uplink.interface_name = "up0";
  uplink.mac = MacAddress(0x020000000001u);
  config.uplinks.push_back(uplink);
  shows.role = vdp::Role::kBridge;
  shows.flags = vdp::Flags::all();
  shows.system[0] = 0xB1;
  if (change) change(config);
  restart();
}

void Bench::restart() {
  to_agent_.clear();
  results_.clear();
  held.clear();
  agent = std::make_unique<Agent>(config, seed_++);
  std::vector<agent::StoreRecord> records;
  for (const auto& [key, value] : meta) records.push_back({key, value});
  for (const auto& [key, value] : store) records.push_back({key, value});
  agent->restore(records, now);
  model = SwitchModel();
  model.apply(agent->desired_rows());
  work();
}

VsiId Bench::vsi(unsigned number) {
  VsiId id;
  for (unsigned i = 0; i < 4; ++i) id.octets[12 + i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  return id;
}

LifecycleEvent Bench::vm(unsigned number, Verb verb, unsigned vn) const {
  LifecycleEvent event;
  event.verb = verb;
  event.replace = true;
  event.vsi = vsi(number);
  if (verb == Verb::kCreate || verb == Verb::kMigrateIn) {
    event.vn = GroupId(vn);
    event.macs = {mac(number)};
    event.interface_name = "tap" + std::to_string(number);
  }
  return event;
}

std::uint64_t Bench::tell(LifecycleEvent event) {
  event.asker = ++last_asker_;
  agent->handle_event(event, now);
  work();
  return last_asker_;
}

std::optional<agent::Answer> Bench::ask(LifecycleEvent event, Duration patience) {
  const auto asker = tell(std::move(event));
  run(patience);
  return answer(asker);
}

std::optional<agent::Answer> Bench::ask_vn(unsigned vn, bool connect, bool all, Duration patience) {
  const auto asker = ++last_asker_;
  agent->handle_vn({GroupId(vn), {}, connect, all, asker}, now);
  work();
  run(patience);
  return answer(asker);
}

std::optional<VnView> Bench::vn_view(unsigned vn) const {
  for (const VnView& view : agent->vns())
    if (view.vn == GroupId(vn)) return view;
  return std::nullopt;
}

std::optional<agent::Answer> Bench::answer(std::uint64_t asker) const {
  std::optional<agent::Answer> found;
  for (const auto& answer : answers) {
    if (answer.asker != asker) continue;
    if (found) return agent::Answer{asker, false, "answered twice"};
    found = answer;
  }
  return found;
}

void Bench::run(Duration duration) {
  const Instant end = now + duration;
  work();
  while (true) {
    const auto next = agent->next_deadline();
    if (!next || *next > end) break;
    now = std::max(now, *next);
    agent->handle_time(now);
    work();
  }
  now = end;
}

void Bench::work() {
  for (bool more = true; more;) {
    more = agent->handle_work(8, now);
    drain();
    for (std::size_t n = to_agent_.size(); n > 0; --n) {  // as the driver: what has come, then the work
      const auto [port, frame] = std::move(to_agent_.front());
      to_agent_.pop_front();
      agent->handle_frame(port, frame, now);
      drain();
      more = true;
    }
    while (!results_.empty()) {
      const auto result = results_.front();
      results_.pop_front();
      agent->handle_result(result, now);
      drain();
      more = true;
    }
  }
}

void Bench::drain() {
  while (auto effect = agent->poll_effect()) carry_out(std::move(*effect));
}

void Bench::carry_out(agent::Effect effect) {
  if (const auto* sent = std::get_if<agent::Transmit>(&effect)) {
    if (sent->port == PortId(1) || others.contains(sent->port)) receive(sent->port, sent->frame);
  } else if (const auto* program_effect = std::get_if<agent::Program>(&effect)) {
    programs.push_back(*program_effect);
    agent::BatchResult result{program_effect->batch, {}, {}};
    if (program) result = program(*program_effect);
    if (result.ok()) model.apply(program_effect->rows);
    (hold_results ? held : results_).push_back(result);
  } else if (const auto* persist = std::get_if<agent::Persist>(&effect)) {
    const bool is_meta = agent::record_kind(persist->records.front().key) == agent::RecordKind::kMeta;
    if (!is_meta) ++persists;
    auto& kept = is_meta ? meta : store;
    for (const auto& record : persist->records) {
      if (record.value.empty())
        kept.erase(record.key);
      else
        kept[record.key] = record.value;
    }
    (hold_results ? held : results_).push_back({persist->batch, {}, {}});
  } else if (const auto* answer_effect = std::get_if<agent::Answer>(&effect)) {
    answers.push_back(*answer_effect);
  } else if (const auto* transition = std::get_if<agent::Transition>(&effect)) {
    transition_log.push_back(*transition);
  } else if (const auto* notice = std::get_if<agent::Notice>(&effect)) {
    notices.push_back(*notice);
  }
}

void Bench::nnve_frame(PortId port, ecp::Operation operation, EcpSequence number, Octets payload) {
  OctetString frame;
  ecp::encode_frame(nnve(port).speaks_to, nnve(port).nnve_mac, operation, number, payload, frame);
  to_agent_.emplace_back(port, std::move(frame));
}

void Bench::receive(PortId port, const OctetString& octets) {
  if (evb::is_lldp(octets)) return lldp.push_back(octets);
  const auto frame = ecp::decode_frame(octets);
  ensure(frame.has_value(), "the agent sends well-formed frames");
  if (frame->operation == ecp::Operation::kAck) return;
  nnve(port).asked_at.push_back(frame->destination);
  last_sequence = frame->sequence;
  if (nnve(port).silent) return;
  nnve_frame(port, ecp::Operation::kAck, frame->sequence, {});
  respond(port, frame->payload);
}

void Bench::respond(PortId port, Octets vdpdu) {
  Nnve& far = nnve(port);
  vdp::VdpduReader reader(vdpdu);
  const auto manager = reader.manager();
  ensure(manager.has_value(), "the agent sends a manager first");
  std::array<std::uint8_t, limits::kVdpduOctetsMax> buffer{};
  vdp::VdpduWriter writer(buffer, *manager);
  std::size_t tlvs = 0;
  bool asked = false;  // it shows its capabilities, so it wants ours
  while (const auto tlv = *reader.next()) {
    if (vdp::extension_type(*tlv) == vdp::ExtensionType::kCapabilities) asked = true;
    if (vdp::extension_type(*tlv) == vdp::ExtensionType::kMigration && !far.requests.empty())
      far.requests.back().told = std::get<vdp::Migration>(**vdp::decode_extension(*tlv));
    if (vdp::extension_type(*tlv) == vdp::ExtensionType::kVnRequest) {
      auto asked_vn = std::get<vdp::VnRequest>(**vdp::decode_extension(*tlv));
      far.vn_requests.push_back({asked_vn, now});
      if (asked_vn.is_response() || far.mute) continue;
      const auto status = far.vn_verdict ? far.vn_verdict(asked_vn) : vdp::ResponseStatus();
      asked_vn.status = status.octet();
      if (far.vn_named && asked_vn.group.is_null() && status.success()) asked_vn.group = GroupId(70001);
      if (status.success() && asked_vn.connects()) asked_vn.vid = Vid(far.vids[asked_vn.group.value()]);
      vdp::write_extension(writer, asked_vn);
      if (far.vn_named && far.vn_requests.back().request.group.is_null()) vdp::write_extension(writer, *far.vn_named);
      if (!far.why.empty() && !status.success()) vdp::write_extension(writer, vdp::ReasonText{far.cause, far.why});
    }
    if (!vdp::is_association(static_cast<TlvType>(tlv->type))) continue;
    const auto association = vdp::decode_association(*tlv);
    ensure(association.has_value(), "the agent sends well-formed associations");
    if (association->is_response()) {
      far.responses.push_back(association->command);
      continue;
    }
    Request request{
        association->command,  association->suspended(), association->migrating(), association->vsi, {}, now,
        tlvs_per_ecpdu.size(), association->type,        association->format};
    for (std::size_t i = 0; i < association->count; ++i) request.entries.push_back(association->entry(i));
    far.requests.push_back(request);
    ++tlvs;
    const auto status = far.verdict ? far.verdict(request) : vdp::ResponseStatus();
    auto entries = request.entries;
    for (auto& entry : entries)
      if (status.success() && request.command != TlvType::kDeAssociate) entry.vid = Vid(far.vids[entry.group.value()]);
    for (auto& entry : entries)
      if (far.amend && status.success()) far.amend(entry);
    if (far.bare_refusals && !status.success())
      writer.association_head({request.command, 0, association->type, association->vsi}, status.octet());
    else
      writer.association(request.command, status.octet(), association->type, association->vsi, association->format,
                         entries);
    const bool called_held = status.success() && far.holds && far.holds(request);
    if (!far.why.empty() && (!status.success() || called_held))
      vdp::write_extension(writer, vdp::ReasonText{far.cause, far.why});
  }
  if (tlvs > 0) tlvs_per_ecpdu.push_back(tlvs);
  if (far.mute && !asked) return;
  if (far.mute) writer = vdp::VdpduWriter(buffer, ManagerId{});
  if (asked && !far.legacy) vdp::write_extension(writer, far.shows);
  if (writer.tlvs() > 0) nnve_frame(port, ecp::Operation::kRequest, EcpSequence(far.sequence++), writer.finish());
}

void Bench::nnve_sends(TlvType command, std::uint8_t status, const Request& like) {
  std::array<std::uint8_t, limits::kVdpduOctetsMax> buffer{};
  vdp::VdpduWriter writer(buffer, config.manager);
  writer.association(command, status, config.type, like.vsi, vdp::FilterFormat::kGroupMacVid, like.entries);
  if (!why.empty()) vdp::write_extension(writer, vdp::ReasonText{cause, why});
  nnve_frame(ecp::Operation::kRequest, EcpSequence(sequence++), writer.finish());
  work();
}

void Bench::nnve_says(vdp::VnRequest::Operation operation, unsigned vn) {
  std::array<std::uint8_t, limits::kVdpduOctetsMax> buffer{};
  vdp::VdpduWriter writer(buffer, ManagerId{});
  vdp::write_extension(writer, vdp::VnRequest{operation, GroupId(vn), 0, Vid()});
  if (!why.empty()) vdp::write_extension(writer, vdp::ReasonText{cause, why});
  nnve_frame(ecp::Operation::kRequest, EcpSequence(sequence++), writer.finish());
  work();
}

void Bench::nnve_tells(const std::vector<vdp::Standing>& standings) {
  std::array<std::uint8_t, limits::kVdpduOctetsMax> buffer{};
  vdp::VdpduWriter writer(buffer, ManagerId{});
  for (const vdp::Standing& one : standings) vdp::write_extension(writer, one);
  nnve_frame(ecp::Operation::kRequest, EcpSequence(sequence++), writer.finish());
  work();
}

void Bench::nnve_shows() {
  OctetString shown;
  vdp::write_capabilities_only(shows, shown);
  nnve_frame(ecp::Operation::kRequest, EcpSequence(sequence++), shown);
  work();
}

std::optional<TsiView> Bench::view(unsigned number) const {
  for (std::uint32_t slot = 0; slot < agent->tsi_slots(); ++slot)
    if (auto view = agent->tsi(slot); view && view->vsi == vsi(number)) return view;
  return std::nullopt;
}

std::size_t Bench::tsis() const {
  std::size_t count = 0;
  for (std::uint32_t slot = 0; slot < agent->tsi_slots(); ++slot) count += agent->tsi(slot) ? 1 : 0;
  return count;
}

bool Bench::has_row(const std::string& part) const {
  const auto rows = model.rows();
  return std::any_of(rows.begin(), rows.end(),
                     [&](const std::string& row) { return row.find(part) != std::string::npos; });
}

std::vector<Request> Bench::requests_of(unsigned number) const {
  std::vector<Request> found;
  for (const auto& request : requests)
    if (request.vsi == vsi(number)) found.push_back(request);
  return found;
}

std::size_t Bench::transitions(const std::string& machine, const std::string& to) const {
  return static_cast<std::size_t>(std::count_if(transition_log.begin(), transition_log.end(),
                                                [&](const auto& t) { return machine == t.machine && to == t.to; }));
}

}  // namespace splitnve::tnved::test
