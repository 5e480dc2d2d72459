// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "splitnve/base/result.hpp"

namespace splitnve::host {

/// Where a daemon instance keeps its things; each may be overridden by the configuration.
struct Paths {
  std::string control_socket;  ///< /run/splitnve/<instance>.sock
  std::string store;           ///< /var/lib/splitnve/<daemon>/<instance>.db
  std::string pins;            ///< /sys/fs/bpf/splitnve/<instance>/
};

/// The paths that follow from an instance name and its daemon, whose user owns the folder of the store. Error: the name
/// is not 1..32 of [a-z0-9_-] (it becomes a file name).
Result<Paths> paths_of(std::string_view daemon, std::string_view instance);

/// Creates the folder that `file` lies in with `mode`, and its parents for everybody to pass (0755): other users have
/// folders beside. Error names the folder and what to do.
Result<void> make_parent_folder(const std::string& file, unsigned mode);

}  // namespace splitnve::host
