// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "splitnve/base/result.hpp"

namespace splitnve::host {

/// A line of the control socket, as far as every verb has it in common.
struct ControlRequest {
  nlohmann::json id;  ///< an integer
  std::string verb;
  nlohmann::json args;  ///< an object
};

/// Reads one line without its newline. Error: what is wrong with it, for the one who sent it.
Result<ControlRequest, const char*> parse_request(std::string_view line);

}  // namespace splitnve::host
