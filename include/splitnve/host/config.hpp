// SPDX-License-Identifier: Apache-2.0
// Configuration files: JSON with comments, read into the daemons' plain structs. Every complaint names file, line, JSON
// pointer and what was expected; all complaints of a file are told at once.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::host {

/// One value of a document, named by its JSON pointer. Getters of an object's keys: without a fallback the key is
/// required; a wrong value is complained of in the document and the fallback (or a zero value) returned, so that a
/// reader runs through and `ConfigDocument::finish()` decides. A getter also marks its key as known.
class ConfigNode {
 public:
  bool has(std::string_view key) const;
  std::string text(std::string_view key, std::optional<std::string> fallback = std::nullopt) const;
  bool boolean(std::string_view key, std::optional<bool> fallback = std::nullopt) const;
  std::uint32_t u32(std::string_view key, std::uint32_t min, std::uint32_t max,
                    std::optional<std::uint32_t> fallback = std::nullopt) const;
  /// Milliseconds; the key's name ends in `_ms` or has `_ms_` in it.
  Duration milliseconds(std::string_view key, Duration min, Duration max,
                        std::optional<Duration> fallback = std::nullopt) const;
  MacAddress mac(std::string_view key, std::optional<MacAddress> fallback = std::nullopt) const;
  /// The index of the value in `choices`.
  std::size_t choice(std::string_view key, const std::vector<std::string>& choices,
                     std::optional<std::size_t> fallback = std::nullopt) const;
  /// An absent object reads as an empty one, so that its keys' fallbacks hold.
  ConfigNode object(std::string_view key) const;
  /// The elements; an absent array has none.
  std::vector<ConfigNode> array(std::string_view key) const;
  /// The members of an object whose keys are names chosen by the user.
  std::vector<std::pair<std::string, ConfigNode>> members(std::string_view key) const;

  /// This value itself, as an array's element.
  std::string as_text() const;
  std::uint32_t as_u32(std::uint32_t min, std::uint32_t max) const;

  /// A complaint of the daemon's own about a key's value (`refuse("vn", "the name of a VN in /vns")`) or about this
  /// node.
  void refuse(std::string_view key, const std::string& expected) const;
  void refuse(const std::string& expected) const;
  const std::string& pointer() const { return pointer_; }

  struct Document;
  ConfigNode(Document& document, const void* value, std::string pointer);

 private:
  const void* find(std::string_view key, bool required) const;
  std::string pointer_of(std::string_view key) const;

  Document* document_;
  const void* value_;  ///< a node of the parsed document; nullptr for an absent object
  std::string pointer_;
};

class ConfigDocument {
 public:
  /// Error: unreadable, a syntax error, or a key that stands twice in an object.
  static Result<ConfigDocument> load(const std::string& path);
  static Result<ConfigDocument> parse(std::string_view text, const std::string& file_name);
  ~ConfigDocument();
  ConfigDocument(const ConfigDocument&) = delete;
  ConfigDocument& operator=(const ConfigDocument&) = delete;
  ConfigDocument(ConfigDocument&&) noexcept;
  ConfigDocument& operator=(ConfigDocument&&) noexcept;

  ConfigNode root();
  /// Call after reading. All complaints in the order of their lines, unknown keys among them; empty: all is well.
  std::vector<Error> finish();

 private:
  explicit ConfigDocument(std::unique_ptr<ConfigNode::Document> impl);
  std::unique_ptr<ConfigNode::Document> impl_;
};

}  // namespace splitnve::host
