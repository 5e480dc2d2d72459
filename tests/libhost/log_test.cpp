// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

namespace splitnve::host {
namespace {

/// What a Log writes, as a string.
class Captured {
 public:
  explicit Captured(bool journald = true, LogLevel level = LogLevel::kInfo) {
    LogOptions options;
    options.tag = "n1";
    options.level = level;
    options.out = open_memstream(&text_, &size_);
    options.journald = journald;
    out_ = options.out;
    log_ = std::make_unique<Log>(options);
  }
  ~Captured() {
    log_.reset();
    std::fclose(out_);
    std::free(text_);
  }
  Log& log() { return *log_; }
  std::string text() {
    log_->flush(std::chrono::seconds(10));
    std::fflush(out_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* out_ = nullptr;
  std::unique_ptr<Log> log_;
};

TEST(Log, EscapesControlCharactersAndWhatIsNotAscii) {
  EXPECT_EQ(escape_text("plain text, as it is."), "plain text, as it is.");
  EXPECT_EQ(escape_text("a\nb\tc\x1b[31m\x7f"), "a\\x0ab\\x09c\\x1b[31m\\x7f");
  EXPECT_EQ(escape_text(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(escape_text("\xc2\x9b\xff"), "\\xc2\\x9b\\xff");
  EXPECT_EQ(escape_text("\\x0a"), "\\\\x0a") << "an escape in the input must not look like ours";
}

TEST(Log, QuotesFieldsThatWouldRunIntoTheNext) {
  EXPECT_EQ(escape_field("up"), "up");
  EXPECT_EQ(escape_field(""), "\"\"");
  EXPECT_EQ(escape_field("two words"), "\"two words\"");
  EXPECT_EQ(escape_field("a=b"), "\"a=b\"");
  EXPECT_EQ(escape_field("say \"x\""), "\"say \\\"x\\\"\"");
}

TEST(Log, AnEventIsOneLineWithPriorityTagIdAndFields) {
  Captured captured;
  captured.log().event(LogLevel::kWarning, "PEER_SILENT", {{"peer", "02:00"}, {"name", "a\nb c"}}, "no\x1b answer");
  EXPECT_EQ(captured.text(), "<4>n1: PEER_SILENT peer=02:00 name=\"a\\x0ab c\" no\\x1b answer\n");
}

TEST(Log, WithoutJournalLinesCarryTimeAndLevel) {
  Captured captured(false);
  captured.log().event(LogLevel::kError, "X", {});
  EXPECT_NE(captured.text().find("T"), std::string::npos);
  EXPECT_NE(captured.text().find(" error n1: X\n"), std::string::npos) << captured.text();
}

TEST(Log, TheJournalIsRecognizedByDeviceAndInodeOfItsStream) {
  std::FILE* out = std::tmpfile();
  struct stat info{};
  ASSERT_EQ(fstat(fileno(out), &info), 0);
  // The log writes to the descriptor, past what the stream has buffered.
  const auto first_line_with = [&](const std::string& stream) {
    setenv("JOURNAL_STREAM", stream.c_str(), 1);
    LogOptions options;
    options.out = out;
    EXPECT_EQ(ftruncate(fileno(out), 0), 0);
    EXPECT_EQ(lseek(fileno(out), 0, SEEK_SET), 0);
    Log(options).event(LogLevel::kInfo, "X", {});
    unsetenv("JOURNAL_STREAM");
    char line[100] = "";
    const ssize_t count = pread(fileno(out), line, sizeof line, 0);
    return std::string(line, count > 0 ? static_cast<std::size_t>(count) : 0);
  };
  const std::string own = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  EXPECT_EQ(first_line_with(own), "<6>splitnve: X\n");
  EXPECT_NE(first_line_with("1:2").find(" info splitnve: X\n"), std::string::npos) << "stderr was redirected";
  std::fclose(out);
}

TEST(Log, LevelsBelowTheSetOneAreSilent) {
  Captured captured(true, LogLevel::kWarning);
  captured.log().event(LogLevel::kInfo, "QUIET", {});
  EXPECT_EQ(captured.text(), "");
  captured.log().set_level(LogLevel::kDebug);
  captured.log().event(LogLevel::kDebug, "LOUD", {});
  EXPECT_EQ(captured.text(), "<7>n1: LOUD\n");
}

TEST(Log, ATransitionNamesMachineSubjectStatesAndReason) {
  Captured captured;
  captured.log().transition({"tsi", "vm1 \r", "Associated", "Activated", "associate accepted"});
  EXPECT_EQ(captured.text(),
            "<6>n1: TRANSITION machine=tsi subject=\"vm1 \\x0d\" from=Associated to=Activated "
            "reason=\"associate accepted\"\n");
}

TEST(Log, ANoticeKeepsItsIdAndLevel) {
  Captured captured;
  captured.log().notice({"VID_POOL_LOW", agent::Notice::Level::kError, "3 left"});
  EXPECT_EQ(captured.text(), "<3>n1: VID_POOL_LOW 3 left\n");
}

TEST(Log, AFloodOfTransitionsIsCutAndCounted) {
  Captured captured;
  for (int i = 0; i < 5000; ++i) captured.log().transition({"tsi", "x", "a", "b", "c"});
  captured.log().summarize();
  const std::string text = captured.text();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  const std::string summary = "TRANSITIONS_SUPPRESSED count=";
  const auto at = text.find(summary);
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(lines - 1 + std::stol(text.substr(at + summary.size())), 5000) << "each is either logged or counted";
  captured.log().summarize();
  EXPECT_EQ(captured.text(), text) << "nothing new to tell";
}

TEST(Log, AFloodOfNoticesIsCutAndCountedButNoError) {
  Captured captured;
  for (int i = 0; i < 5000; ++i) captured.log().notice({"nnved.refused", agent::Notice::Level::kWarning, "x"});
  captured.log().notice({"nnved.store_failed", agent::Notice::Level::kError, "y"});
  captured.log().summarize();
  const std::string text = captured.text();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  const std::string summary = "NOTICES_SUPPRESSED count=";
  const auto at = text.find(summary);
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(lines, 5000 / 2);
  EXPECT_EQ(lines - 2 + std::stol(text.substr(at + summary.size())), 5000) << "each is either logged or counted";
  EXPECT_NE(text.find("nnved.store_failed"), std::string::npos);
}

/// A pipe as stderr of a daemon has it.
class Piped {
 public:
  Piped() {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    out_ = fdopen(ends_[1], "w");
    LogOptions options;
    options.tag = "n1";
    options.out = out_;
    options.journald = true;
    log_ = std::make_unique<Log>(options);
  }
  ~Piped() {
    log_.reset();
    std::fclose(out_);
    close_reader();
  }
  Log& log() { return *log_; }
  void close_reader() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    ends_[0] = -1;
  }
  /// What comes until nothing comes any more.
  std::string read_all() {
    std::string all;
    char chunk[4096];
    for (pollfd ready{ends_[0], POLLIN, 0}; poll(&ready, 1, 500) > 0;) {
      const ssize_t count = read(ends_[0], chunk, sizeof chunk);
      if (count <= 0) break;
      all.append(chunk, static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  int ends_[2] = {-1, -1};
  std::FILE* out_ = nullptr;
  std::unique_ptr<Log> log_;
};

TEST(Log, AReaderThatHasStoppedCostsLinesAndNoTime) {
  Piped piped;
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 20000; ++i)
    piped.log().event(LogLevel::kInfo, "LINE", {{"n", std::to_string(i)}}, "text of a line");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  const std::uint64_t lost = piped.log().lines_lost();
  EXPECT_GT(lost, 1000u);
  const std::string before = piped.read_all();  // it reads again
  piped.log().summarize();
  const std::string text = before + piped.read_all();
  EXPECT_NE(text.find("LOG_LINES_LOST count=" + std::to_string(lost)), std::string::npos);
  EXPECT_EQ(static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n')) - 1 + lost, 20000u)
      << "each is either read or counted";
  piped.log().summarize();
  EXPECT_EQ(piped.read_all(), "") << "nothing new to tell";
}

TEST(Log, AReaderThatHasEndedCostsLines) {
  std::signal(SIGPIPE, SIG_IGN);
  Piped piped;
  piped.close_reader();
  piped.log().event(LogLevel::kInfo, "LINE", {});
  piped.log().flush(std::chrono::seconds(10));
  EXPECT_EQ(piped.log().lines_lost(), 1u);
}

TEST(Log, ItEndsThoughNobodyReads) {
  const auto began = std::chrono::steady_clock::now();
  {
    Piped piped;
    for (int i = 0; i < 9000; ++i) piped.log().event(LogLevel::kInfo, "LINE", {}, std::string(100, 'x'));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

TEST(Log, LevelNamesAreThoseOfTheConfiguration) {
  EXPECT_EQ(log_level_from("warning"), LogLevel::kWarning);
  EXPECT_EQ(log_level_from("WARN"), std::nullopt);
}

}  // namespace
}  // namespace splitnve::host
