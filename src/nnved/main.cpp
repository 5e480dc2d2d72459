// SPDX-License-Identifier: Apache-2.0
// nnved: the network-side agent of Split-NVE, on a switch.
#include <algorithm>
#include <exception>

#include "agent.hpp"
#include "config_file.hpp"
#include "control.hpp"
#include "daemon/control_rows.hpp"
#include "daemon/keys.hpp"
#include "daemon/preflight.hpp"
#include "daemon/process.hpp"
#include "daemon/runtime.hpp"
#include "embedded_authority.hpp"

namespace {

using namespace splitnve;

/// Every remote nNVE that the configuration names.
std::vector<datapath::UnderlayAddress> remotes_of(const nnved::FileConfig& file) {
  std::vector<datapath::UnderlayAddress> remotes;
  for (const auto& vn : file.agent.vns) remotes.insert(remotes.end(), vn.remote_nnves.begin(), vn.remote_nnves.end());
  for (const auto& remote : file.agent.remotes) remotes.push_back(remote.nnve);
  return remotes;
}

daemon::MachineNeeds needs_of(const nnved::FileConfig& file) {
  auto needs = daemon::needs_of(file.settings);
  for (const auto& port : file.agent.ports) needs.interfaces.push_back(port.interface_name);
  if (!file.vxlan) return needs;
  needs.local = file.vxlan->local;
  needs.vxlan = file.vxlan->interface_name;
  needs.udp_port = file.vxlan->udp_port;
  needs.remotes = remotes_of(file);
  return needs;
}

std::optional<host::BpfSwitch::Vxlan> vxlan_of(const nnved::FileConfig& file) {
  if (!file.vxlan) return std::nullopt;
  host::BpfSwitch::Vxlan vxlan;
  vxlan.name = file.vxlan->interface_name;
  vxlan.udp_port = file.vxlan->udp_port;
  vxlan.local = file.vxlan->local;
  vxlan.remotes = remotes_of(file);
  vxlan.allow_small_mtu = file.vxlan->allow_small_mtu;
  for (const auto& port : file.agent.ports)
    if (const auto link = host::link_of(port.interface_name)) vxlan.access_mtu = std::max(vxlan.access_mtu, link->mtu);
  return vxlan;
}

/// Everything the restored TSIs claim, for an authority that keeps nothing of its own.
agent::Publish claims_of(const nnved::Agent& nnved) {
  return {BatchId(0), nnved.desired_authority(), nnved.desired_tags()};
}

void audit_authority(const nnved::Agent& nnved, nnved::EmbeddedAuthority& authority, daemon::AuditReport& report,
                     bool fix) {
  const auto found = [&] {
    auto rows = daemon::differences(nnved.desired_authority(), authority.rows());
    for (auto& tag : daemon::differences(nnved.desired_tags(), authority.tags())) rows.push_back(std::move(tag));
    return rows;
  };
  const auto before = found();
  report.add("authority", before);
  if (!fix || before.empty()) return;
  authority.reconcile(claims_of(nnved));
  report.fixed += before.size() - found().size();
}

/// Claims to an address that somebody else has, which only people can settle.
void audit_claims(nnved::Agent& nnved, daemon::AuditReport& report) {
  std::vector<Difference> claims;
  for (const auto& claim : nnved.claims(host::Loop::now()))
    claims.push_back({Difference::Kind::kDiffers, "address " + claim.address + " of vn " +
                                                      std::to_string(claim.vn.value()) + ": held by " + claim.holder +
                                                      ", claimed by VSI " + claim.vsi.to_string() + " at port " +
                                                      daemon::interface_of(nnved.config().ports, claim.port) +
                                                      " station " + claim.station.to_string()});
  report.add("ownership", std::move(claims));
}

Result<daemon::ExitStatus> run(nnved::FileConfig& file) {
  const auto ports = daemon::find_interfaces(file.agent.ports, datapath::PortRole::kAccess, file.settings.paths.pins);
  if (!ports) return unexpected<Error>(ports.error());
  const auto system = daemon::system_id(file.settings);
  if (!system) return unexpected<Error>(system.error());
  file.agent.system = *system;
  file.agent.secret = daemon::random_secret();
  host::BpfSwitch::Config datapath;
  datapath.instances_max = file.agent.instances_max;
  datapath.vxlan = vxlan_of(file);

  daemon::Runtime<nnved::Agent> runtime(file.settings, file.agent);
  nnved::EmbeddedAuthority authority;
  const auto publish = [&](const agent::Publish& claim) -> std::optional<agent::BatchResult> {
    return authority.handle(claim);
  };
  if (const auto started = runtime.start(datapath, *ports, publish); !started)
    return unexpected<Error>(started.error());
  // Its rows are the restored TSIs', nothing is stored twice; the first claim comes only once the loop runs.
  authority.reconcile(claims_of(runtime.agent()));
  runtime.audit_also([&](daemon::AuditReport& report, bool fix) {
    audit_authority(runtime.agent(), authority, report, fix);
    audit_claims(runtime.agent(), report);
  });
  nnved::add_verbs(runtime, file);
  runtime.add_audit_verb();
  runtime.add_drain_verbs({[&](bool on, bool removes) {
                             if (!on) return runtime.agent().undrain(host::Loop::now());
                             runtime.agent().drain("drained by the operator", host::Loop::now(), removes);
                           },
                           [&] { return runtime.agent().is_drained(); }});
  return runtime.run();
}

}  // namespace

int main(int argc, char** argv) {
  daemon::prepare_process();
  int status = 0;
  const auto line = daemon::parse_command_line(argc, argv, "nnved", status);
  if (!line) return status;
  auto file = nnved::load_config(line->config);
  if (!file) {
    daemon::print_complaints(file.error());
    return static_cast<int>(daemon::ExitStatus::kWrongConfiguration);
  }
  if (!daemon::is_instance(file->settings, line->config, line->instance))
    return static_cast<int>(daemon::ExitStatus::kWrongConfiguration);
  if (line->check_only) return daemon::report_machine(line->config, needs_of(*file));
  file->settings.recover_from_peers = file->settings.recover_from_peers || line->recover_from_peers;
  try {
    const auto ended = run(*file);
    return static_cast<int>(ended ? *ended : daemon::cannot_start("nnved", file->settings, ended.error()));
  } catch (const std::exception& error) {  // no memory, no thread: what is pinned forwards on, the next start goes on
    const Error why{std::string("cannot go on: ") + error.what(), "machine",
                    "free memory or processes, then start again"};
    return static_cast<int>(daemon::cannot_start("nnved", file->settings, why));
  }
}
