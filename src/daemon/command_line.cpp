// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <sstream>

#include "runtime.hpp"

namespace splitnve::daemon {

std::optional<CommandLine> parse_command_line(int argc, char** argv, const char* daemon, int& status) {
  CommandLine line;
  std::string check;
  CLI::App app{std::string(daemon) + ": Split-NVE agent", daemon};
  app.set_version_flag("--version", std::string(daemon) + " " SPLITNVE_VERSION);
  auto* config = app.add_option("--config,-c", line.config, "run with this configuration file");
  app.add_option("--instance", line.instance, "refuse a file that names another instance (for service managers)");
  auto* only_check =
      app.add_option("--check", check, "read this configuration file, say what is wrong with it, and exit");
  config->excludes(only_check);
  if (std::string_view(daemon) == "nnved")
    app.add_flag("--recover-from-peers", line.recover_from_peers,
                 "with a damaged or lost store: move it aside, let the stations tell their TSIs again");
  try {
    app.parse(argc, argv);
    if (line.config.empty() && check.empty()) throw CLI::RequiredError("--config FILE or --check FILE");
  } catch (const CLI::ParseError& error) {
    std::ostringstream complaint;
    status = app.exit(error, std::cout, complaint) == 0 ? 0 : static_cast<int>(ExitStatus::kWrongConfiguration);
    host::complain(complaint.str());
    return std::nullopt;
  }
  line.check_only = !check.empty();
  if (line.check_only) line.config = check;
  return line;
}

}  // namespace splitnve::daemon
