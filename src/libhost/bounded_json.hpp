// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <string_view>

namespace splitnve::host {

/// Arrays and objects within each other. Copying, printing and destroying JSON recurse once per level, so a line of
/// 64 Ki brackets would overrun the stack; what we read ourselves nests five deep.
inline constexpr int kJsonDepthMax = 32;

/// Do objects and arrays of this text nest deeper than kJsonDepthMax? Brackets in strings and comments do not count. To
/// be asked before parsing, whose own filter would cost more than all the rest.
inline bool nests_too_deep(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '"':
        for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\' ? 1 : 0;
        break;
      case '/':
        if (text.substr(i, 2) == "//")
          i = std::min(text.find('\n', i), text.size());
        else if (text.substr(i, 2) == "/*")
          i = std::min(text.find("*/", i + 2), text.size() - 1) + 1;
        break;
      case '{':
      case '[':
        if (++depth > kJsonDepthMax) return true;
        break;
      case '}':
      case ']': --depth; break;
      default: break;
    }
  }
  return false;
}

}  // namespace splitnve::host
