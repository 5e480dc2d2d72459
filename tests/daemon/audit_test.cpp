// SPDX-License-Identifier: Apache-2.0
#include "daemon/audit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace splitnve::daemon {
namespace {

using agent::RecordKind;
using agent::store_key;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> lines(const std::vector<Difference>& differences) {
  std::vector<std::string> lines;
  for (const auto& one : differences) lines.push_back(one.row + ": " + to_string(one.kind));
  return lines;
}

const std::vector<agent::StoreRecord> kWant{{store_key(RecordKind::kTsi, 1), {1}},
                                            {store_key(RecordKind::kTsi, 2), {2}},
                                            {store_key(RecordKind::kLatch, 1), {3}}};

TEST(Audit, RecordsAreNamedByKindAndNumber) {
  const std::vector<agent::StoreRecord> have{{store_key(RecordKind::kTsi, 2), {9}},
                                             {store_key(RecordKind::kMeta, 4), {4}}};
  EXPECT_THAT(lines(differences(kWant, have)),
              ElementsAre("tsi 1: missing", "tsi 2: differs", "latch 1: missing", "meta 4: stale"));
}

TEST(Audit, RepairsMakeTheStoreWhatItShallBe) {
  const std::vector<agent::StoreRecord> have{{store_key(RecordKind::kTsi, 2), {9}},
                                             {store_key(RecordKind::kMeta, 4), {4}}};
  std::map<std::uint64_t, OctetString> store;
  for (const auto& record : have) store[record.key] = record.value;
  for (const auto& record : repairs(kWant, have)) {
    if (record.value.empty())
      store.erase(record.key);
    else
      store[record.key] = record.value;
  }
  std::vector<agent::StoreRecord> now;
  for (const auto& [key, value] : store) now.push_back({key, value});
  EXPECT_THAT(lines(differences(kWant, now)), IsEmpty());
  EXPECT_THAT(repairs(kWant, kWant), IsEmpty());
}

TEST(Audit, AnAuthorityRowIsItsOwnerGenerationAndForwarding) {
  const agent::AuthorityRow row{GroupId(70001), MacAddress(0x02AA00000001ull), {}, 3, true, true};
  auto other = row;
  other.forwarding = false;
  auto gone = row;
  gone.mapped = false;
  const std::vector<agent::AuthorityRow> want{row};
  EXPECT_THAT(lines(differences(want, std::vector{row})), IsEmpty());
  EXPECT_THAT(lines(differences(want, std::vector{other})), ElementsAre("vn 70001 02:aa:00:00:00:01: differs"));
  EXPECT_THAT(lines(differences(want, std::vector{gone})), ElementsAre("vn 70001 02:aa:00:00:00:01: missing"));
}

TEST(Audit, ATagOfAnotherVnIsMissingAndStale) {
  const std::vector<agent::AuthorityTag> want{{GroupId(1), PortId(1), Vid(100), true}};
  const std::vector<agent::AuthorityTag> have{{GroupId(2), PortId(1), Vid(100), true}};
  EXPECT_THAT(lines(differences(want, have)),
              ElementsAre("tag port 1 vid 100 vn 1: missing", "tag port 1 vid 100 vn 2: stale"));
}

TEST(Audit, AReportStreamsItsRowsAndEndsWithTheCount) {
  AuditReport report;
  report.add("datapath", {{Difference::Kind::kStale, "fdb x"}});
  report.add("store", {});
  report.fixed = 1;
  const auto result = result_of(report);
  auto next = stream_findings(std::move(report.findings));
  std::string row;
  ASSERT_TRUE(next(row));
  EXPECT_EQ(row, R"({"plane":"datapath","row":"fdb x","difference":"stale"})");
  ASSERT_FALSE(next(row));
  EXPECT_EQ(result.at("differences"), 1);
  EXPECT_EQ(result.at("fixed"), 1);
  EXPECT_EQ(result.at("compared"), (nlohmann::json{"datapath", "store"}));
}

}  // namespace
}  // namespace splitnve::daemon
