// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "json_tokens.hpp"

namespace splitnve::host {

/// Arrays and objects within each other. Copying, printing and destroying JSON recurse once per level, so a line of
/// 64 Ki brackets would overrun the stack; what we read ourselves nests five deep.
inline constexpr int kJsonDepthMax = 32;

/// Do objects and arrays of this text nest deeper than kJsonDepthMax? Brackets in strings and comments do not count. To
/// be asked before parsing, whose own filter would cost more than all the rest.
inline bool nests_too_deep(std::string_view text) {
  int depth = 0;
  JsonTokenizer tokens(text);
  for (char kind = tokens.next().kind; kind != 0; kind = tokens.next().kind) {
    if (kind == '{' || kind == '[') ++depth;
    if (kind == '}' || kind == ']') --depth;
    if (depth > kJsonDepthMax) return true;
  }
  return false;
}

}  // namespace splitnve::host
