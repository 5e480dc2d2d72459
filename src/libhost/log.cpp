// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>

#include "line_writer.hpp"
#include "splitnve/base/check.hpp"
#include "splitnve/host/systemd.hpp"

namespace splitnve::host {
namespace {

/// Transitions logged per second; a switch-over of 100,000 TSIs must not drown the journal (S33).
constexpr std::uint32_t kTransitionsPerSecondMax = 1000;
/// Notices logged per second; a peer whose every request is refused must not drown the journal either.
constexpr std::uint32_t kNoticesPerSecondMax = 200;
/// Errors logged per second: they have a budget of their own, so that no peer's doings hide them.
constexpr std::uint32_t kErrorsPerSecondMax = 100;

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  ensure(false, "log level is one of the four");
  return spdlog::level::err;
}

LogLevel level_of(agent::Notice::Level level) {
  switch (level) {
    case agent::Notice::Level::kInfo: return LogLevel::kInfo;
    case agent::Notice::Level::kWarning: return LogLevel::kWarning;
    case agent::Notice::Level::kError: return LogLevel::kError;
  }
  ensure(false, "notice level is one of the three");
  return LogLevel::kError;
}

/// Formats on the caller's thread; the writer's thread does the rest.
class WriterSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit WriterSink(LineWriter& writer) : writer_(writer) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    writer_.write(std::string(text.data(), text.size()));
  }
  void flush_() override {}

  LineWriter& writer_;
};

/// `<N>`, the priority that journald reads at the start of a line (sd-daemon(3)).
class PriorityFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const char* text = message.level >= spdlog::level::err    ? "<3>"
                       : message.level == spdlog::level::warn ? "<4>"
                       : message.level == spdlog::level::info ? "<6>"
                                                              : "<7>";
    out.append(text, text + 3);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PriorityFlag>(); }
};

std::unique_ptr<spdlog::formatter> make_formatter(bool journald) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PriorityFlag>('*');
  formatter->set_pattern(journald ? "%*%n: %v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v");
  return formatter;
}

}  // namespace

/// Lines of one kind in the running second.
struct PerSecond {
  explicit PerSecond(std::uint32_t most_) : most(most_) {}
  bool admit() {
    const auto now = std::chrono::steady_clock::now();
    if (now - began >= std::chrono::seconds(1)) {
      began = now;
      count = 0;
    }
    if (++count <= most) return true;
    ++suppressed;
    return false;
  }
  std::uint32_t most;
  std::chrono::steady_clock::time_point began;
  std::uint32_t count = 0;
  std::uint64_t suppressed = 0;
};

struct Log::Impl {
  Impl(const std::string& tag, const LogOptions& options)
      : writer(options.out), logger(tag, std::make_shared<WriterSink>(writer)) {}

  LineWriter writer;
  spdlog::logger logger;
  std::uint64_t lost_told = 0;
  std::atomic<LogLevel> level{LogLevel::kInfo};
  std::mutex guard;  ///< of the two below
  PerSecond transitions{kTransitionsPerSecondMax}, notices{kNoticesPerSecondMax}, errors{kErrorsPerSecondMax};

  std::function<void(agent::Notice)> tap;

  bool admit(PerSecond& kind) {
    const std::lock_guard lock(guard);
    return kind.admit();
  }
  void event(LogLevel at, std::string line, const std::string& rest) {
    line += rest;
    logger.log(spdlog_level(at), spdlog::string_view_t(line.data(), line.size()));
  }
};

Log::Log(const LogOptions& options) {
  impl_ = std::make_unique<Impl>(escape_text(options.tag), options);
  impl_->logger.set_formatter(make_formatter(options.journald.value_or(is_journal(options.out))));
  set_level(options.level);
}

Log::~Log() = default;

void Log::set_level(LogLevel level) {
  impl_->level = level;
  impl_->logger.set_level(spdlog_level(level));
}
LogLevel Log::level() const { return impl_->level; }

namespace {

std::string fields_text(std::initializer_list<LogField> fields) {
  std::string text;
  for (const LogField& field : fields) {
    text += ' ';
    text += field.key;
    text += '=';
    text += escape_field(field.value);
  }
  return text;
}

agent::Notice::Level notice_level(LogLevel level) {
  if (level == LogLevel::kError) return agent::Notice::Level::kError;
  return level == LogLevel::kWarning ? agent::Notice::Level::kWarning : agent::Notice::Level::kInfo;
}

}  // namespace

void Log::set_tap(std::function<void(agent::Notice)> tap) { impl_->tap = std::move(tap); }

void Log::event(LogLevel level, const char* id, std::initializer_list<LogField> fields, std::string_view text) {
  if (level == LogLevel::kDebug && !impl_->logger.should_log(spdlog_level(level))) return;
  std::string line = fields_text(fields);
  if (!text.empty()) line += " " + escape_text(text);
  if (impl_->tap && level != LogLevel::kDebug)
    impl_->tap({id, notice_level(level), line.empty() ? line : line.substr(1)});
  impl_->event(level, id, line);
}

void Log::transition(const agent::Transition& transition) {
  if (!impl_->logger.should_log(spdlog_level(LogLevel::kInfo)) || !impl_->admit(impl_->transitions)) return;
  impl_->event(LogLevel::kInfo, "TRANSITION",
               fields_text({{"machine", transition.machine},
                            {"subject", to_string(transition.subject)},
                            {"from", transition.from},
                            {"to", transition.to},
                            {"reason", transition.reason}}));
}

bool Log::notice(const agent::Notice& notice) {
  const bool is_error = notice.level == agent::Notice::Level::kError;
  if (!impl_->admit(is_error ? impl_->errors : impl_->notices)) return false;
  impl_->event(level_of(notice.level), notice.id, notice.text.empty() ? "" : " " + escape_text(notice.text));
  return true;
}

void Log::flush(Duration patience) { impl_->writer.flush(patience); }
std::uint64_t Log::lines_lost() const { return impl_->writer.lost(); }

void Log::summarize() {
  std::uint64_t transitions = 0, notices = 0;
  {
    const std::lock_guard lock(impl_->guard);
    transitions = std::exchange(impl_->transitions.suppressed, 0);
    notices = std::exchange(impl_->notices.suppressed, 0) + std::exchange(impl_->errors.suppressed, 0);
  }
  if (transitions != 0) event(LogLevel::kInfo, "TRANSITIONS_SUPPRESSED", {{"count", std::to_string(transitions)}});
  if (notices != 0) event(LogLevel::kWarning, "NOTICES_SUPPRESSED", {{"count", std::to_string(notices)}});
  // This line is lost as well while nobody reads; then the next one tells.
  const std::uint64_t lost = lines_lost();
  if (lost == impl_->lost_told) return;
  event(LogLevel::kWarning, "LOG_LINES_LOST", {{"count", std::to_string(lost - impl_->lost_told)}});
  if (lines_lost() == lost) impl_->lost_told = lost;
}

std::optional<LogLevel> log_level_from(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  return std::nullopt;
}

namespace {

constexpr char kHex[] = "0123456789abcdef";

/// The length of the UTF-8 sequence that starts at `text[at]`, 0 if it is malformed or not worth trusting: C1 controls
/// and bidirectional marks move what the reader sees.
std::size_t utf8_letter(std::string_view text, std::size_t at) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = octet(at);
  const std::size_t length = first >= 0xC3 && first <= 0xDF ? 2 : first >= 0xE3 && first <= 0xEE ? 3 : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((octet(at + i) & 0xC0) != 0x80) return 0;
  return length;
}

}  // namespace

std::string escape_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (octet >= 0x20 && octet < 0x7F) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[octet >> 4];
      out += kHex[octet & 0x0F];
    }
  }
  return out;
}

std::string escape_field(std::string_view value) {
  if (!value.empty() && value.find_first_of(" \"=") == std::string_view::npos) return escape_text(value);
  std::string out = "\"";
  for (const char c : escape_text(value)) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string printable(std::string_view text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    if (octet >= 0x20 && octet < 0x7F) {
      safe += text[i];
    } else if (const std::size_t length = utf8_letter(text, i); length != 0) {
      safe += text.substr(i, length);
      i += length - 1;
    } else {
      safe += {'\\', 'x', kHex[octet >> 4], kHex[octet & 15]};
    }
  }
  return safe;
}

}  // namespace splitnve::host
