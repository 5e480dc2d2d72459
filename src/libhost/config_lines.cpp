// SPDX-License-Identifier: Apache-2.0
#include "config_lines.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "json_tokens.hpp"

namespace splitnve::host {
namespace {

/// An object or array that is being walked.
struct Level {
  bool object = false;
  std::string pointer;
  std::string child;      ///< pointer of the current member or element
  std::size_t index = 0;  ///< of the current element
  bool key_next = false;  ///< the next string is a key
};

class Walker {
 public:
  explicit Walker(std::string_view text) : tokens_(text) {}

  ConfigLines walk() {
    for (JsonToken token = tokens_.next(); token.kind != 0; token = tokens_.next()) step(token);
    return std::move(lines_);
  }

 private:
  void step(const JsonToken& token) {
    switch (token.kind) {
      case '{':
      case '[': open(token); break;
      case '}':
      case ']':
        if (!levels_.empty()) levels_.pop_back();
        break;
      case ',':
        if (levels_.empty()) break;
        ++levels_.back().index;
        levels_.back().key_next = levels_.back().object;
        break;
      case ':': break;
      default: scalar(token); break;
    }
  }
  void open(const JsonToken& token) {
    const std::string pointer = value_pointer(token);
    levels_.push_back({token.kind == '{', pointer, {}, 0, token.kind == '{'});
  }
  void scalar(const JsonToken& token) {
    if (!levels_.empty() && levels_.back().object && levels_.back().key_next)
      key(token);
    else
      value_pointer(token);
  }
  void key(const JsonToken& token) {
    Level& level = levels_.back();
    level.key_next = false;
    const auto name = nlohmann::json::parse(token.text, nullptr, false);
    if (!name.is_string()) return;  // the caller promised accepted JSON
    level.child = pointer_below(level.pointer, name.get<std::string>());
    const auto [entry, added] = lines_.by_pointer.emplace(level.child, token.line);
    if (!added) lines_.duplicates.push_back({level.child, token.line, entry->second});
  }
  /// The pointer of the value that begins here; notes the line of roots and elements (members have their key's).
  std::string value_pointer(const JsonToken& token) {
    if (levels_.empty()) {
      lines_.by_pointer.emplace("", token.line);
      return "";
    }
    Level& level = levels_.back();
    if (level.object) return level.child;
    std::string pointer = level.pointer + "/" + std::to_string(level.index);
    lines_.by_pointer.emplace(pointer, token.line);
    return pointer;
  }

  JsonTokenizer tokens_;
  std::vector<Level> levels_;
  ConfigLines lines_;
};

}  // namespace

ConfigLines find_lines(std::string_view json_text) { return Walker(json_text).walk(); }

std::size_t line_of_offset(std::string_view text, std::size_t offset) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), end, '\n'));
}

std::string pointer_below(const std::string& parent, std::string_view key) {
  std::string pointer = parent + "/";
  for (const char c : key) {
    if (c == '~')
      pointer += "~0";
    else if (c == '/')
      pointer += "~1";
    else
      pointer += c;
  }
  return pointer;
}

}  // namespace splitnve::host
