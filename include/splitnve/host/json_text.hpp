// SPDX-License-Identifier: Apache-2.0
// JSON as text, said straight into a string: for the rows of the control socket, of which there may be 100,000.
#pragma once
#include <charconv>
#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace splitnve::host {

/// Appends one JSON value to a string, member by member, with nothing built in between. The caller closes what it
/// opens, and names no key twice. Text that is not UTF-8 comes from peers: its octets are replaced, never thrown about.
class JsonText {
 public:
  explicit JsonText(std::string& out) : out_(out) {}

  /// `{` or `[`.
  JsonText& open(char bracket) {
    before_value();
    out_ += bracket;
    comma_ = false;
    return *this;
  }
  /// `}` or `]`.
  JsonText& close(char bracket) {
    out_ += bracket;
    comma_ = true;
    return *this;
  }
  /// A name of our own, which needs no escapes.
  JsonText& key(std::string_view name) {
    before_value();
    out_ += '"';
    out_ += name;
    out_ += "\":";
    comma_ = false;
    return *this;
  }
  JsonText& value(std::string_view text);
  JsonText& value(const char* text) { return value(std::string_view(text)); }
  template <std::same_as<bool> Boolean>
  JsonText& value(Boolean yes) {
    return bare(yes ? "true" : "false");
  }
  template <std::unsigned_integral Number>
    requires(!std::same_as<Number, bool>)
  JsonText& value(Number number) {
    char digits[std::numeric_limits<Number>::digits10 + 1];
    return bare({digits, std::to_chars(digits, digits + sizeof digits, number).ptr});
  }
  JsonText& null() { return bare("null"); }
  /// What was built as a tree.
  JsonText& tree(const nlohmann::json& value);

  template <class Value>
  JsonText& member(std::string_view name, const Value& its_value) {
    return key(name).value(its_value);
  }

 private:
  void before_value() {
    if (comma_) out_ += ',';
  }
  JsonText& bare(std::string_view text) {
    before_value();
    out_ += text;
    comma_ = true;
    return *this;
  }

  std::string& out_;
  bool comma_ = false;  ///< what comes next has something before it
};

}  // namespace splitnve::host
