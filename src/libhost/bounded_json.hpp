// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>
#include <string_view>

namespace splitnve::host {

/// Arrays and objects within each other. Copying, printing and destroying JSON recurse once per level, so a line of
/// 64 Ki brackets would overrun the stack; what we read ourselves nests five deep.
inline constexpr int kJsonDepthMax = 32;

/// A filter for nlohmann's parser that sets `too_deep` instead of keeping what nests deeper than kJsonDepthMax.
inline auto depth_guard(bool& too_deep) {
  return [&too_deep](int depth, nlohmann::json::parse_event_t event, nlohmann::json&) {
    using Event = nlohmann::json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth >= kJsonDepthMax) too_deep = true;
    return !too_deep;
  };
}

}  // namespace splitnve::host
