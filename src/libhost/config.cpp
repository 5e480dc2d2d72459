// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bounded_json.hpp"
#include "config_lines.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::host {

using nlohmann::json;

/// A value as a complaint shows it.
constexpr std::size_t kShownOctetsMax = 40;

struct ConfigNode::Document {
  struct Complaint {
    std::size_t line = 0;
    std::string what;
  };
  /// The line of a pointer, or of the nearest value around it.
  std::size_t line_of(std::string pointer) const {
    while (true) {
      if (const auto found = lines.by_pointer.find(pointer); found != lines.by_pointer.end()) return found->second;
      const std::size_t slash = pointer.rfind('/');
      if (slash == std::string::npos) return 1;
      pointer.resize(slash);
    }
  }
  void complain(const std::string& pointer, const std::string& what) {
    complaints.push_back({line_of(pointer), (pointer.empty() ? "top level" : pointer) + ": " + what});
  }
  void expected(const std::string& pointer, const std::string& expectation, const json& found) {
    std::string shown = found.dump(-1, ' ', false, json::error_handler_t::replace);
    if (shown.size() > kShownOctetsMax) shown = shown.substr(0, kShownOctetsMax) + "...";
    complain(pointer, "expected " + expectation + ", found " + shown);
  }
  void refuse_unknown(const json& value, const std::string& pointer);

  std::string file_name;
  json root;
  ConfigLines lines;
  std::vector<Complaint> complaints;
  std::set<std::string> known;  ///< pointers that a getter asked for
};

void ConfigNode::Document::refuse_unknown(const json& value, const std::string& pointer) {
  // What nobody asked for was complained of at its parent; what was asked for as a scalar has no members.
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      const std::string below = pointer_below(pointer, key);
      if (known.contains(below))
        refuse_unknown(member, below);
      else
        complain(below, "unknown key");
    }
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) refuse_unknown(value[i], pointer + "/" + std::to_string(i));
  }
}

namespace {

const json& as_json(const void* value) { return *static_cast<const json*>(value); }

std::string range_text(std::uint64_t min, std::uint64_t max) {
  return "an integer from " + std::to_string(min) + " to " + std::to_string(max);
}

std::optional<std::uint64_t> integer_within(const json& value, std::uint64_t min, std::uint64_t max) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  return number >= min && number <= max ? std::optional(number) : std::nullopt;
}

std::uint64_t milliseconds_of(Duration duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

ConfigNode::ConfigNode(Document& document, const void* value, std::string pointer)
    : document_(&document), value_(value), pointer_(std::move(pointer)) {}

std::string ConfigNode::pointer_of(std::string_view key) const { return pointer_below(pointer_, key); }

const void* ConfigNode::find(std::string_view key, bool required) const {
  document_->known.insert(pointer_of(key));
  if (value_ != nullptr && as_json(value_).is_object()) {
    const auto found = as_json(value_).find(key);
    if (found != as_json(value_).end()) return &*found;
  }
  if (required) document_->complain(pointer_of(key), "missing, this key is required");
  return nullptr;
}

bool ConfigNode::has(std::string_view key) const { return find(key, false) != nullptr; }

std::string ConfigNode::text(std::string_view key, std::optional<std::string> fallback) const {
  const void* value = find(key, !fallback);
  if (value != nullptr && as_json(value).is_string()) return as_json(value).get<std::string>();
  if (value != nullptr) document_->expected(pointer_of(key), "a string", as_json(value));
  return std::move(fallback).value_or("");
}

bool ConfigNode::boolean(std::string_view key, std::optional<bool> fallback) const {
  const void* value = find(key, !fallback);
  if (value != nullptr && as_json(value).is_boolean()) return as_json(value).get<bool>();
  if (value != nullptr) document_->expected(pointer_of(key), "true or false", as_json(value));
  return fallback.value_or(false);
}

std::uint32_t ConfigNode::u32(std::string_view key, std::uint32_t min, std::uint32_t max,
                              std::optional<std::uint32_t> fallback) const {
  const void* value = find(key, !fallback);
  if (value == nullptr) return fallback.value_or(min);
  if (const auto number = integer_within(as_json(value), min, max)) return static_cast<std::uint32_t>(*number);
  document_->expected(pointer_of(key), range_text(min, max), as_json(value));
  return fallback.value_or(min);
}

Duration ConfigNode::milliseconds(std::string_view key, Duration min, Duration max,
                                  std::optional<Duration> fallback) const {
  ensure(key.ends_with("_ms") || key.find("_ms_") != std::string_view::npos, "a duration's key names its unit");
  const void* value = find(key, !fallback);
  if (value == nullptr) return fallback.value_or(min);
  if (const auto number = integer_within(as_json(value), milliseconds_of(min), milliseconds_of(max)))
    return std::chrono::milliseconds(*number);
  document_->expected(pointer_of(key), range_text(milliseconds_of(min), milliseconds_of(max)) + " (milliseconds)",
                      as_json(value));
  return fallback.value_or(min);
}

MacAddress ConfigNode::mac(std::string_view key, std::optional<MacAddress> fallback) const {
  const void* value = find(key, !fallback);
  if (value == nullptr) return fallback.value_or(MacAddress());
  if (as_json(value).is_string())
    if (const auto address = MacAddress::from_string(as_json(value).get<std::string>())) return *address;
  document_->expected(pointer_of(key), "a MAC address like \"02:aa:00:00:00:01\"", as_json(value));
  return fallback.value_or(MacAddress());
}

std::size_t ConfigNode::choice(std::string_view key, const std::vector<std::string>& choices,
                               std::optional<std::size_t> fallback) const {
  const void* value = find(key, !fallback);
  if (value == nullptr) return fallback.value_or(0);
  std::string names;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (as_json(value) == choices[i]) return i;
    names += (i == 0 ? "\"" : ", \"") + choices[i] + "\"";
  }
  document_->expected(pointer_of(key), "one of " + names, as_json(value));
  return fallback.value_or(0);
}

ConfigNode ConfigNode::object(std::string_view key) const {
  const void* value = find(key, false);
  if (value != nullptr && !as_json(value).is_object()) {
    document_->expected(pointer_of(key), "an object", as_json(value));
    value = nullptr;
  }
  return {*document_, value, pointer_of(key)};
}

std::vector<ConfigNode> ConfigNode::array(std::string_view key) const {
  std::vector<ConfigNode> elements;
  const void* value = find(key, false);
  if (value == nullptr) return elements;
  if (!as_json(value).is_array()) {
    document_->expected(pointer_of(key), "an array", as_json(value));
    return elements;
  }
  for (std::size_t i = 0; i < as_json(value).size(); ++i)
    elements.emplace_back(*document_, &as_json(value)[i], pointer_of(key) + "/" + std::to_string(i));
  return elements;
}

std::vector<std::pair<std::string, ConfigNode>> ConfigNode::members(std::string_view key) const {
  std::vector<std::pair<std::string, ConfigNode>> all;
  const ConfigNode node = object(key);
  if (node.value_ == nullptr) return all;
  for (const auto& [name, value] : as_json(node.value_).items()) {
    const std::string pointer = node.pointer_of(name);
    document_->known.insert(pointer);
    all.emplace_back(name, ConfigNode(*document_, &value, pointer));
  }
  return all;
}

std::string ConfigNode::as_text() const {
  if (value_ != nullptr && as_json(value_).is_string()) return as_json(value_).get<std::string>();
  if (value_ != nullptr) document_->expected(pointer_, "a string", as_json(value_));
  return "";
}

std::uint32_t ConfigNode::as_u32(std::uint32_t min, std::uint32_t max) const {
  if (value_ == nullptr) return min;
  if (const auto number = integer_within(as_json(value_), min, max)) return static_cast<std::uint32_t>(*number);
  document_->expected(pointer_, range_text(min, max), as_json(value_));
  return min;
}

void ConfigNode::refuse(std::string_view key, const std::string& expected) const {
  const void* value = find(key, false);
  if (value != nullptr)
    document_->expected(pointer_of(key), expected, as_json(value));
  else
    document_->complain(pointer_of(key), "missing, expected " + expected);
}

void ConfigNode::refuse(const std::string& expected) const { document_->complain(pointer_, "expected " + expected); }

ConfigDocument::ConfigDocument(std::unique_ptr<ConfigNode::Document> impl) : impl_(std::move(impl)) {}
ConfigDocument::~ConfigDocument() = default;
ConfigDocument::ConfigDocument(ConfigDocument&&) noexcept = default;
ConfigDocument& ConfigDocument::operator=(ConfigDocument&&) noexcept = default;

Result<ConfigDocument> ConfigDocument::load(const std::string& path) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown))
    return unexpected<Error>(Error{"the configuration is a directory", path, "name a file"});
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file)
    return unexpected<Error>(
        Error{std::string("cannot read the configuration: ") + std::strerror(errno), path, "name an existing file"});
  return parse(text.str(), path);
}

Result<ConfigDocument> ConfigDocument::parse(std::string_view text, const std::string& file_name) {
  const auto at = [&](std::size_t line) { return file_name + ":" + std::to_string(line); };
  auto impl = std::make_unique<ConfigNode::Document>();
  impl->file_name = file_name;
  if (nests_too_deep(text))
    return unexpected<Error>(
        Error{"objects and arrays nest deeper than " + std::to_string(kJsonDepthMax) + " levels", file_name, ""});
  try {
    impl->root = json::parse(text, nullptr, true, true);
  } catch (const json::parse_error& error) {
    // "[json.exception.parse_error.101] parse error at line 3, column 5: syntax error while ..."; the rest is for
    // people.
    std::string_view what = error.what();
    if (const auto colon = what.find(": "); colon != std::string_view::npos) what.remove_prefix(colon + 2);
    return unexpected<Error>(
        Error{std::string(what), at(line_of_offset(text, error.byte == 0 ? 0 : error.byte - 1)), ""});
  } catch (const json::out_of_range& error) {
    // "[json.exception.out_of_range.406] number overflow parsing '1e999'": it names no place, but the number.
    const std::string_view what = error.what();
    const std::size_t begin = what.find('\'') + 1, end = what.rfind('\'');
    const std::string_view number = what.substr(begin, end - begin);
    return unexpected<Error>(Error{"the number " + std::string(number.substr(0, kShownOctetsMax)) + " is too large",
                                   at(line_of_offset(text, std::min(text.find(number), text.size()))), ""});
  }
  impl->lines = find_lines(text);
  if (!impl->lines.duplicates.empty()) {
    const auto& twice = impl->lines.duplicates.front();
    return unexpected<Error>(Error{twice.pointer + ": the key stands twice, first in line " +
                                       std::to_string(twice.first_line) + "; expected it once",
                                   at(twice.line), ""});
  }
  if (!impl->root.is_object())
    return unexpected<Error>(Error{"top level: expected an object", at(impl->line_of("")), ""});
  return ConfigDocument(std::move(impl));
}

ConfigNode ConfigDocument::root() { return {*impl_, &impl_->root, ""}; }

std::vector<Error> ConfigDocument::finish() {
  impl_->refuse_unknown(impl_->root, "");
  std::stable_sort(impl_->complaints.begin(), impl_->complaints.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  std::vector<Error> errors;
  for (const auto& complaint : impl_->complaints)
    errors.push_back(Error{complaint.what, impl_->file_name + ":" + std::to_string(complaint.line), ""});
  impl_->complaints.clear();
  return errors;
}

}  // namespace splitnve::host
