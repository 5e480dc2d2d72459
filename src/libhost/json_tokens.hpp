// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstddef>
#include <string_view>

namespace splitnve::host {

/// One token of JSON, with comments between: a structural character, or a string or scalar with its text.
struct JsonToken {
  char kind = 0;  ///< one of `{}[]:,`, `"` for a string, `v` for another scalar, 0 at the end
  std::string_view text;
  std::size_t line = 0;
};

/// Cuts any text into tokens, well-formed or not; what they make together is for a parser to judge.
class JsonTokenizer {
 public:
  explicit JsonTokenizer(std::string_view text) : text_(text) {}

  JsonToken next() {
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

}  // namespace splitnve::host
