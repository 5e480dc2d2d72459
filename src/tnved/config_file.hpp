// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "config.hpp"
#include "daemon/settings.hpp"

namespace splitnve::tnved {

/// A whole configuration file of tnved (conf/tnved.jsonc shows every key).
struct FileConfig {
  daemon::Settings settings;
  AgentConfig agent;
};

/// Error list: every complaint of the file, each with line, key and what was expected.
Result<FileConfig, std::vector<Error>> load_config(const std::string& path);

}  // namespace splitnve::tnved
