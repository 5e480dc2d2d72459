// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "config.hpp"
#include "daemon/keys.hpp"
#include "daemon/settings.hpp"

namespace splitnve::tnved {

/// A whole configuration file of tnved (conf/tnved.jsonc shows every key).
struct FileConfig {
  daemon::Settings settings;
  AgentConfig agent;
};

/// Error list: every complaint of the file, each with line, key and what was expected.
Result<FileConfig, std::vector<Error>> load_config(const std::string& path);
/// The same of a file's text; `file_name` stands in the complaints.
Result<FileConfig, std::vector<Error>> parse_config(std::string_view text, const std::string& file_name);

}  // namespace splitnve::tnved
