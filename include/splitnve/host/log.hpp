// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "splitnve/agent/effects.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::host {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
std::optional<LogLevel> log_level_from(std::string_view name);

struct LogOptions {
  std::string tag = "splitnve";  ///< stands in every line: the instance
  LogLevel level = LogLevel::kInfo;
  std::FILE* out = stderr;
  /// True writes journald's `<priority>` prefix and leaves the time to journald; unset: whether stderr is the journal.
  std::optional<bool> journald;
};

struct LogField {
  std::string_view key;
  std::string value;
};

/// Lines `id key=value ... text` for operators and for machines. Ids are stable and stand in docs/messages.md. Every
/// value and text is escaped here, so callers pass what peers sent as it is. Never waits for its reader. Thread-safe.
class Log {
 public:
  explicit Log(const LogOptions& options);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// `id` is a literal.
  void event(LogLevel level, const char* id, std::initializer_list<LogField> fields, std::string_view text = {});
  /// Hands each event, but no transition and no notice, to `tap` as well, whatever the level of the log: info and
  /// above. Set it before there are threads that log.
  void set_tap(std::function<void(agent::Notice)> tap);
  /// One line per transition, up to kTransitionsPerSecondMax; what is above is counted and told by `summarize()` (S33).
  void transition(const agent::Transition& transition);
  /// Likewise, up to kNoticesPerSecondMax, and errors up to kErrorsPerSecondMax. False: it was one too many.
  bool notice(const agent::Notice& notice);
  /// Tells how many transitions and notices were not logged since the last summary, and how many lines nobody got;
  /// silent when none. Call about once a second.
  void summarize();
  /// Waits until every line has left, at most so long: before other words go to the same stream, or the process ends.
  void flush(Duration patience);
  /// Lines that nobody got, because who reads them has stopped or ended.
  std::uint64_t lines_lost() const;
  void set_level(LogLevel level);
  LogLevel level() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Printable ASCII as it is, backslash doubled, every other octet as `\xNN`: safe for a terminal and for one line.
std::string escape_text(std::string_view text);
/// `escape_text`, in double quotes when it is empty or holds a space, a quote or `=`.
std::string escape_field(std::string_view value);
/// Text with everything but printable ASCII and well-formed UTF-8 letters replaced by `\xNN`: what a peer, a guest or a
/// file put into a name shall not reach the terminal as a command (S33).
std::string printable(std::string_view text);

}  // namespace splitnve::host
