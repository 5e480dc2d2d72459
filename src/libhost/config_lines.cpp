// SPDX-License-Identifier: Apache-2.0
#include "config_lines.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace splitnve::host {
namespace {

/// One token of accepted JSON: a structural character, or a string or scalar with its text.
struct Token {
  char kind = 0;  ///< one of `{}[]:,`, `"` for a string, `v` for another scalar, 0 at the end
  std::string_view text;
  std::size_t line = 0;
};

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  Token next() {
    skip_space_and_comments();
    if (at_ >= text_.size()) return {0, {}, line_};
    const char c = text_[at_];
    const std::size_t begin = at_;
    if (std::string_view("{}[]:,").find(c) != std::string_view::npos) {
      ++at_;
      return {c, text_.substr(begin, 1), line_};
    }
    if (c == '"') {
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
        if (text_[at_] == '\\') ++at_;
      at_ = std::min(at_ + 1, text_.size());
      return {'"', text_.substr(begin, at_ - begin), line_};
    }
    at_ = std::min(text_.find_first_of(" \t\r\n{}[]:,/\"", at_ + 1), text_.size());
    return {'v', text_.substr(begin, at_ - begin), line_};
  }

 private:
  void skip_space_and_comments() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (text_.substr(at_, 2) == "/*") {
        const std::size_t end = std::min(text_.find("*/", at_ + 2), text_.size() - 2);
        line_ += static_cast<std::size_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                     text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
        at_ = end + 2;
      } else if (text_.substr(at_, 3) == "\xEF\xBB\xBF") {
        at_ += 3;
      } else {
        return;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

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
    for (Token token = tokens_.next(); token.kind != 0; token = tokens_.next()) step(token);
    return std::move(lines_);
  }

 private:
  void step(const Token& token) {
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
  void open(const Token& token) {
    const std::string pointer = value_pointer(token);
    levels_.push_back({token.kind == '{', pointer, {}, 0, token.kind == '{'});
  }
  void scalar(const Token& token) {
    if (!levels_.empty() && levels_.back().object && levels_.back().key_next)
      key(token);
    else
      value_pointer(token);
  }
  void key(const Token& token) {
    Level& level = levels_.back();
    level.key_next = false;
    const auto name = nlohmann::json::parse(token.text, nullptr, false);
    if (!name.is_string()) return;  // the caller promised accepted JSON
    level.child = pointer_below(level.pointer, name.get<std::string>());
    const auto [entry, added] = lines_.by_pointer.emplace(level.child, token.line);
    if (!added) lines_.duplicates.push_back({level.child, token.line, entry->second});
  }
  /// The pointer of the value that begins here; notes the line of roots and elements (members have their key's).
  std::string value_pointer(const Token& token) {
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

  Tokenizer tokens_;
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
