// SPDX-License-Identifier: Apache-2.0
#include "nnved/vid_pool.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace splitnve::nnved {
namespace {

using namespace std::chrono_literals;
constexpr Instant kStart{1h};

VidPool make_pool(std::uint16_t first, std::uint16_t last, std::vector<Vid> reserved = {}) {
  VidPool pool(10s);
  pool.restrict_to({Vid(first), Vid(last)}, reserved);
  return pool;
}

TEST(VidPool, GivesEachVnOneVidWithinTheRangeAndNeverAReservedOne) {
  VidPool pool = make_pool(100, 103, {Vid(101)});
  EXPECT_EQ(pool.free_count(), 3u);
  std::set<Vid> given;
  for (unsigned vn = 1; vn <= 3; ++vn) given.insert(pool.acquire(GroupId(vn), Vid(), kStart).value());
  EXPECT_EQ(given, (std::set<Vid>{Vid(100), Vid(102), Vid(103)}));
  EXPECT_EQ(pool.acquire(GroupId(4), Vid(), kStart).error(), Reason::kVidPoolEmpty);
  EXPECT_EQ(pool.acquire(GroupId(4), Vid(101), kStart).error(), Reason::kVidNotAssignable);
}

TEST(VidPool, KeepsARequestedVidIfItIsFreeOrThisVns) {
  VidPool pool = make_pool(2, 4094);
  EXPECT_EQ(pool.acquire(GroupId(1), Vid(500), kStart).value(), Vid(500));
  EXPECT_EQ(pool.acquire(GroupId(1), Vid(500), kStart).value(), Vid(500));
  EXPECT_EQ(pool.acquire(GroupId(1), Vid(501), kStart).error(), Reason::kOtherVid);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(500), kStart).error(), Reason::kVidTaken);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(1), kStart).error(), Reason::kVidNotAssignable);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(4095), kStart).error(), Reason::kVidNotAssignable);
}

TEST(VidPool, AReleasedVidRestsForOtherVnsButNotForItsOwn) {
  VidPool pool = make_pool(100, 100);
  ASSERT_TRUE(pool.acquire(GroupId(1), Vid(), kStart));
  pool.release(GroupId(1), true, kStart);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(), kStart + 9s).error(), Reason::kVidPoolEmpty);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(100), kStart + 9s).error(), Reason::kVidTaken);
  EXPECT_EQ(pool.acquire(GroupId(1), Vid(), kStart + 9s).value(), Vid(100));
  pool.release(GroupId(1), true, kStart + 9s);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(), kStart + 11s).error(), Reason::kVidPoolEmpty) << "the rest began anew";
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(), kStart + 19s).value(), Vid(100));
}

TEST(VidPool, ARestThatARefusedRequestInterruptedGoesOn) {
  VidPool pool = make_pool(100, 101);
  ASSERT_TRUE(pool.acquire(GroupId(1), Vid(100), kStart));
  pool.release(GroupId(1), true, kStart);
  ASSERT_TRUE(pool.acquire(GroupId(1), Vid(100), kStart + 1s));
  pool.release(GroupId(1), false, kStart + 1s);  // the request was refused, so it never stood on the wire anew
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(100), kStart + 9s).error(), Reason::kVidTaken);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(100), kStart + 11s).value(), Vid(100));
}

TEST(VidPool, APinnedVidIsItsVnsAlone) {
  VidPool pool = make_pool(100, 101);
  pool.pin(Vid(100), GroupId(7));
  EXPECT_EQ(pool.acquire(GroupId(1), Vid(), kStart).value(), Vid(101));
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(100), kStart).error(), Reason::kVidTaken);
  EXPECT_EQ(pool.acquire(GroupId(7), Vid(), kStart).value(), Vid(100));
  pool.release(GroupId(7), true, kStart);
  EXPECT_EQ(pool.acquire(GroupId(2), Vid(100), kStart + 1h).error(), Reason::kVidTaken);
}

TEST(VidPool, PortsOfOneSegmentAllowOnlyWhatAllOfThemAllow) {
  VidPool pool = make_pool(100, 110);
  pool.restrict_to({Vid(105), Vid(120)}, {});
  EXPECT_EQ(pool.free_count(), 6u);
  EXPECT_EQ(pool.acquire(GroupId(1), Vid(104), kStart).error(), Reason::kVidNotAssignable);
  EXPECT_EQ(pool.acquire(GroupId(1), Vid(111), kStart).error(), Reason::kVidNotAssignable);
}

TEST(VidPool, AgreesWithAModelUnderRandomOperations) {
  struct Model {
    std::map<GroupId, std::pair<Vid, unsigned>> held;
    std::map<Vid, std::pair<GroupId, Instant>> resting;
  } model;
  VidPool pool = make_pool(100, 107);
  std::mt19937 random(42);
  Instant now = kStart;
  unsigned granted = 0, refused = 0;
  for (int step = 0; step < 20000; ++step) {
    now += std::chrono::seconds(random() % 4);
    std::erase_if(model.resting, [&](const auto& one) { return one.second.second <= now; });
    const GroupId vn(1 + static_cast<std::uint32_t>(random() % 12));
    if (random() % 2 == 0) {
      const Vid wanted(random() % 2 ? 0 : static_cast<std::uint16_t>(99 + random() % 10));
      const auto got = pool.acquire(vn, wanted, now);
      (got ? granted : refused) += 1;
      const auto held = model.held.find(vn);
      const bool taken = std::any_of(model.held.begin(), model.held.end(),
                                     [&](const auto& one) { return one.second.first == wanted; });
      const auto rests = model.resting.find(wanted);
      if (held != model.held.end()) {
        ASSERT_EQ(got.has_value(), wanted.is_null() || wanted == held->second.first);
      } else if (!wanted.is_null()) {
        const bool in_range = wanted >= Vid(100) && wanted <= Vid(107);
        const bool resting_from_other = rests != model.resting.end() && rests->second.first != vn;
        ASSERT_EQ(got.has_value(), in_range && !taken && !resting_from_other);
      } else {
        const bool own_rests = std::any_of(model.resting.begin(), model.resting.end(),
                                           [&](const auto& one) { return one.second.first == vn; });
        ASSERT_EQ(got.has_value(), own_rests || model.held.size() + model.resting.size() < 8);
      }
      if (got) {
        for (const auto& [other, use] : model.held)
          ASSERT_TRUE(other == vn || use.first != *got) << "two VNs on one VID";
        auto& use = model.held[vn];
        use = {*got, use.second + 1};
        model.resting.erase(*got);
      }
    } else if (const auto held = model.held.find(vn); held != model.held.end()) {
      pool.release(vn, true, now);
      if (--held->second.second == 0) {
        model.resting[held->second.first] = {vn, now + 10s};
        model.held.erase(held);
      }
    }
    pool.handle_time(now);
    ASSERT_EQ(pool.free_count(), 8 - model.held.size() - model.resting.size());
  }
  EXPECT_GT(granted, 1000u);
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace splitnve::nnved
