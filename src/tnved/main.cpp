// SPDX-License-Identifier: Apache-2.0
// tnved: the terminal-side agent of Split-NVE, on a hypervisor.
#include <exception>

#include "agent.hpp"
#include "config_file.hpp"
#include "control.hpp"
#include "daemon/keys.hpp"
#include "daemon/preflight.hpp"
#include "daemon/process.hpp"
#include "daemon/runtime.hpp"

namespace {

using namespace splitnve;

daemon::MachineNeeds needs_of(const tnved::FileConfig& file) {
  auto needs = daemon::needs_of(file.settings);
  needs.uplinks = true;
  for (const auto& uplink : file.agent.uplinks) needs.interfaces.push_back(uplink.interface_name);
  return needs;
}

Result<daemon::ExitStatus> run(tnved::FileConfig& file) {
  const auto ports = daemon::find_interfaces(file.agent.uplinks, datapath::PortRole::kUplink, file.settings.paths.pins);
  if (!ports) return unexpected<Error>(ports.error());
  const auto system = daemon::system_id(file.settings);
  if (!system) return unexpected<Error>(system.error());
  file.agent.system = *system;
  file.agent.secret = daemon::random_secret();
  host::BpfSwitch::Config datapath;
  datapath.instances_max = file.agent.instances_max;

  daemon::Runtime<tnved::Agent> runtime(file.settings, file.agent);
  // The authority stands behind the nNVE; this side never publishes.
  const auto publish = [](const agent::Publish& claim) -> std::optional<agent::BatchResult> {
    return agent::BatchResult{claim.batch, {}, "a hypervisor has no authority to publish to"};
  };
  if (const auto started = runtime.start(datapath, *ports, publish); !started)
    return unexpected<Error>(started.error());
  tnved::add_verbs(runtime, file);
  runtime.add_audit_verb();
  runtime.add_drain_verbs({[&](bool on, bool /*removes*/) {
                             if (on) tnved::shut_down_all(runtime.agent(), host::Loop::now());
                           },
                           [&] { return tnved::has_no_tsi(runtime.agent()); }});
  return runtime.run();
}

}  // namespace

int main(int argc, char** argv) {
  daemon::prepare_process();
  int status = 0;
  const auto line = daemon::parse_command_line(argc, argv, "tnved", status);
  if (!line) return status;
  auto file = tnved::load_config(line->config);
  if (!file) {
    daemon::print_complaints(file.error());
    return static_cast<int>(daemon::ExitStatus::kWrongConfiguration);
  }
  if (!daemon::is_instance(file->settings, line->config, line->instance))
    return static_cast<int>(daemon::ExitStatus::kWrongConfiguration);
  if (line->check_only) return daemon::report_machine(line->config, needs_of(*file));
  try {
    const auto ended = run(*file);
    return static_cast<int>(ended ? *ended : daemon::cannot_start("tnved", file->settings, ended.error()));
  } catch (const std::exception& error) {  // no memory, no thread: what is pinned forwards on, the next start goes on
    const Error why{std::string("cannot go on: ") + error.what(), "machine",
                    "free memory or processes, then start again"};
    return static_cast<int>(daemon::cannot_start("tnved", file->settings, why));
  }
}
