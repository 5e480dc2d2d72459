// SPDX-License-Identifier: Apache-2.0
#include "daemon/kernel_watch.hpp"

#include <gtest/gtest.h>

#include "splitnve/base/limits.hpp"

namespace splitnve::daemon {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

TEST(MendBudget, IsSpentByThreeRepairsOfOnePlaceWithinAMinute) {
  MendBudget budget;
  const Instant start{};
  for (std::size_t n = 0; n < limits::kKernelMendsMax; ++n) EXPECT_TRUE(budget.take("port 1", start + n * kSecond));
  EXPECT_FALSE(budget.take("port 1", start + 10 * kSecond));
  EXPECT_TRUE(budget.take("port 2", start + 10 * kSecond)) << "another place has its own";
}

TEST(MendBudget, ComesBackOneByOneAsTheRepairsGetOld) {
  MendBudget budget;
  const Instant start{};
  for (std::size_t n = 0; n < limits::kKernelMendsMax; ++n) budget.take("port 1", start + n * kSecond);
  const Instant first_is_old = start + limits::kKernelMendsTime;
  EXPECT_FALSE(budget.take("port 1", first_is_old - std::chrono::milliseconds(1)));
  EXPECT_TRUE(budget.take("port 1", first_is_old));
  EXPECT_FALSE(budget.take("port 1", first_is_old)) << "only the first one is old";
}

TEST(MendBudget, IsWholeAgainOnceAnOperatorHasLooked) {
  MendBudget budget;
  for (std::size_t n = 0; n <= limits::kKernelMendsMax; ++n) budget.take("port 1", Instant{});
  budget.forget("port 1");
  EXPECT_TRUE(budget.take("port 1", Instant{}));
}

TEST(TakenBack, RemovesWhatIsOfThePortAndLeavesWhatOthersHave) {
  const PortId port(7), other(8);
  const DomainId domain(1);
  const MacAddress ours({2, 0, 0, 0, 0, 1}), theirs({2, 0, 0, 0, 0, 2}), far({2, 0, 0, 0, 0, 3});
  datapath::Rows rows;
  rows.ports.push_back({port, "tap0", datapath::PortRole::kVm, true});
  rows.access.push_back({port, Vid(5), domain});
  rows.guards.push_back({domain, port, ours, InstanceId(3)});
  rows.fdb.push_back({domain, ours, datapath::LocalOwner{InstanceId(3), port, Vid(5)}});
  rows.fdb.push_back({domain, theirs, datapath::LocalOwner{InstanceId(4), other, Vid(6)}});
  rows.fdb.push_back({domain, far, datapath::RemoteOwner{}});
  const auto back = taken_back(rows, port);
  EXPECT_TRUE(back.ports.empty()) << "the port itself is released, not removed: it may come back";
  ASSERT_EQ(back.access.size(), 1u);
  EXPECT_FALSE(back.access[0].domain);
  ASSERT_EQ(back.guards.size(), 1u);
  EXPECT_FALSE(back.guards[0].instance);
  ASSERT_EQ(back.fdb.size(), 1u) << "addresses that others own stay theirs";
  EXPECT_EQ(back.fdb[0].mac, ours);
  EXPECT_FALSE(back.fdb[0].owner);
}

}  // namespace
}  // namespace splitnve::daemon
