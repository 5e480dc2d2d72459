// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config.hpp"
#include "daemon/keys.hpp"
#include "daemon/settings.hpp"

namespace splitnve::nnved {

/// The VXLAN device towards the underlay.
struct VxlanSettings {
  std::string interface_name;
  datapath::UnderlayAddress local;
  std::uint16_t udp_port = 4789;
  bool allow_small_mtu = false;  ///< start although full-sized tenant packets would not fit the underlay (S25)
};

/// A whole configuration file of nnved (conf/nnved.jsonc shows every key).
struct FileConfig {
  daemon::Settings settings;
  AgentConfig agent;
  std::optional<VxlanSettings> vxlan;
};

/// Who may take TSIs over at a port, and which IPs of a VN may be claimed (S6).
void read_takeover(const host::ConfigNode& node, PortConfig& port);
void read_addresses(const host::ConfigNode& node, VnConfig& vn);
/// How much all, a station and a port may take.
void read_limits(const host::ConfigNode& root, AgentConfig& config);

/// Error list: every complaint of the file, each with line, key and what was expected.
Result<FileConfig, std::vector<Error>> load_config(const std::string& path);
/// The same of a file's text; `file_name` stands in the complaints.
Result<FileConfig, std::vector<Error>> parse_config(std::string_view text, const std::string& file_name);

}  // namespace splitnve::nnved
