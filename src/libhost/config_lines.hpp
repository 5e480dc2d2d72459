// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace splitnve::host {

/// Where the values of a JSON text stand.
struct ConfigLines {
  struct Duplicate {
    std::string pointer;
    std::size_t line = 0;
    std::size_t first_line = 0;
  };
  std::map<std::string, std::size_t> by_pointer;  ///< JSON pointer -> line of the key, or of an array's element
  std::vector<Duplicate> duplicates;              ///< keys that stand twice in one object
};

/// Walks a text that a JSON parser (comments allowed) has accepted; the parser keeps no lines and no duplicates.
ConfigLines find_lines(std::string_view json_text);
std::size_t line_of_offset(std::string_view text, std::size_t offset);
/// RFC 6901: `~` and `/` in a key are escaped.
std::string pointer_below(const std::string& parent, std::string_view key);

}  // namespace splitnve::host
