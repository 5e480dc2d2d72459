// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/log.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

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
  const auto first_line_with = [&](const std::string& stream) {
    setenv("JOURNAL_STREAM", stream.c_str(), 1);
    LogOptions options;
    options.out = out;
    std::rewind(out);
    Log(options).event(LogLevel::kInfo, "X", {});
    unsetenv("JOURNAL_STREAM");
    std::rewind(out);
    char line[100] = "";
    return std::string(std::fgets(line, sizeof(line), out) != nullptr ? line : "");
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

TEST(Log, LevelNamesAreThoseOfTheConfiguration) {
  EXPECT_EQ(log_level_from("warning"), LogLevel::kWarning);
  EXPECT_EQ(log_level_from("WARN"), std::nullopt);
}

}  // namespace
}  // namespace splitnve::host
