// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/result.hpp"

namespace splitnve::host {

/// `nullopt` for no name. Error: there is no such group.
Result<std::optional<gid_t>> group_id(const std::string& name);

/// Gives a file of ours `mode`, and the groups what `mode` grants to the group. The first becomes the file's group
/// where we may do that (as root or as its member); whom that does not cover gets an entry in the access control list,
/// which an owner may write without any capability.
Result<void> open_to_groups(const std::string& path, mode_t mode, const std::vector<gid_t>& groups);

}  // namespace splitnve::host
