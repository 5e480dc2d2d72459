// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/audit_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "temporary_folder.hpp"

namespace splitnve::host {
namespace {

using nlohmann::json;

class AuditFileTest : public ::testing::Test {
 protected:
  AuditOptions options() const {
    AuditOptions all;
    all.file = folder_.file("below/n1.audit");
    all.instance = "n1";
    return all;
  }
  static agent::Transition transition(const std::string& subject) {
    return {"tsi", subject, "Associated", "Activated", "associate accepted"};
  }
  /// Every line, parsed; a line that is no JSON fails the test.
  static std::vector<json> lines(const std::string& path) {
    std::ifstream file(path);
    std::vector<json> all;
    for (std::string line; std::getline(file, line);) {
      all.push_back(json::parse(line, nullptr, false));
      EXPECT_TRUE(all.back().is_object()) << line;
    }
    return all;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(AuditFileTest, ATransitionIsOneLineWithTimeSubjectStatesAndReason) {
  AuditFile audit(options());
  const auto vsi = *VsiId::from_uuid("11111111-2222-3333-4444-555555555501");
  audit.record(agent::Transition{"tsi", agent::TsiSubject{vsi, GroupId(70001), "p1", MacAddress(0x02AA00000001u)},
                                 "Associated", "Activated", "a\x1b[31m\nb"});
  audit.record(agent::Notice{"nnved.refused", agent::Notice::Level::kWarning, "why"});
  audit.flush(std::chrono::seconds(10));
  const auto all = lines(options().file);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["n"], 1);
  EXPECT_EQ(all[0]["event"], "transition");
  EXPECT_EQ(all[0]["instance"], "n1");
  EXPECT_EQ(all[0]["machine"], "tsi");
  EXPECT_EQ(all[0]["vsi"], vsi.to_string());
  EXPECT_EQ(all[0]["vn"], 70001);
  EXPECT_EQ(all[0]["port"], "p1");
  EXPECT_EQ(all[0]["station"], "02:aa:00:00:00:01");
  EXPECT_EQ(all[0]["from"], "Associated");
  EXPECT_EQ(all[0]["to"], "Activated");
  EXPECT_EQ(all[0]["reason"], "a\\x1b[31m\\x0ab") << "what peers say reaches no terminal raw";
  EXPECT_EQ(all[0]["time"].get<std::string>().size(), std::string("2026-01-01T00:00:00.000Z").size());
  EXPECT_EQ(all[1]["event"], "notice");
  EXPECT_EQ(all[1]["id"], "nnved.refused");
  EXPECT_EQ(all[1]["level"], "warning");
}

TEST_F(AuditFileTest, AFullFileBecomesTheFirstOfItsPredecessors) {
  auto small = options();
  small.octets_max = 2000;
  small.files = 3;
  AuditFile audit(small);
  for (int i = 0; i < 200; ++i) {
    audit.record(transition("vm" + std::to_string(i)));
    audit.flush(std::chrono::seconds(10));
  }
  const auto newest = lines(small.file);
  ASSERT_FALSE(newest.empty());
  EXPECT_EQ(newest.back()["subject"], "vm199");
  EXPECT_EQ(lines(small.file + ".1").back()["n"], newest.front()["n"].get<int>() - 1) << "nothing is lost between";
  EXPECT_TRUE(std::filesystem::exists(small.file + ".2"));
  EXPECT_FALSE(std::filesystem::exists(small.file + ".3"));
  EXPECT_LT(std::filesystem::file_size(small.file + ".1"), 3000u);
}

TEST_F(AuditFileTest, AFileThatWasMovedAwayIsBegunAnew) {
  AuditFile audit(options());
  audit.record(transition("a"));
  audit.flush(std::chrono::seconds(10));
  std::filesystem::rename(options().file, options().file + ".moved");
  audit.record(transition("b"));
  audit.flush(std::chrono::seconds(10));
  ASSERT_EQ(lines(options().file).size(), 1u);
  EXPECT_EQ(lines(options().file)[0]["subject"], "b");
}

TEST_F(AuditFileTest, WhatCannotBeWrittenIsCountedAndToldByALaterRecord) {
  std::filesystem::create_directories(options().file);  // a folder stands where the file shall be
  AuditFile audit(options());
  for (int i = 0; i < 3; ++i) audit.record(transition("lost"));
  audit.flush(std::chrono::seconds(10));
  EXPECT_EQ(audit.stats().lost, 3u);
  EXPECT_FALSE(audit.stats().failure.empty());
  std::filesystem::remove(options().file);
  audit.record(transition("kept"));
  audit.flush(std::chrono::seconds(10));
  const auto all = lines(options().file);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["event"], "lost");
  EXPECT_EQ(all[0]["count"], 3);
  EXPECT_EQ(all[1]["subject"], "kept");
  EXPECT_EQ(audit.stats().records, 1u);
  EXPECT_EQ(audit.stats().failure, "");
}

TEST_F(AuditFileTest, AFifoIsNotWaitedFor) {
  std::filesystem::create_directories(folder_.file("below"));
  ASSERT_EQ(mkfifo(options().file.c_str(), 0600), 0);
  AuditFile audit(options());
  audit.record(transition("x"));
  audit.flush(std::chrono::seconds(10));
  EXPECT_EQ(audit.stats().lost, 1u);
}

TEST_F(AuditFileTest, WithoutAFileNothingIsKept) {
  AuditFile audit(AuditOptions{});
  audit.record(transition("x"));
  EXPECT_EQ(audit.stats().records + audit.stats().lost, 0u);
}

TEST_F(AuditFileTest, ASwitchOverOfAHundredThousandIsWrittenWholeOrCounted) {
  auto large = options();
  large.octets_max = 1u << 30;
  AuditFile audit(large);
  for (int i = 0; i < 100000; ++i) audit.record(transition("vm"));
  audit.flush(std::chrono::seconds(60));
  const auto stats = audit.stats();
  EXPECT_EQ(stats.records + stats.lost, 100000u);
  EXPECT_GT(stats.records, 60000u);
}

}  // namespace
}  // namespace splitnve::host
