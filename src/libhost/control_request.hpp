// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "splitnve/base/result.hpp"

namespace splitnve::host {

/// A line of the control socket, as far as every verb has it in common.
struct ControlRequest {
  nlohmann::json id;  ///< an integer
  std::string verb;
  nlohmann::json args;            ///< an object; null once the verb has read it
  std::shared_ptr<void> reading;  ///< what the verb's own reader made of `args`, if it has one
};

/// Reads one line without its newline. Error: what is wrong with it, for the one who sent it.
Result<ControlRequest, const char*> parse_request(std::string_view line);

}  // namespace splitnve::host
