// SPDX-License-Identifier: Apache-2.0
// DeadlineHeap and Slab against simple models, by random operations.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/slab.hpp"

namespace splitnve {
namespace {

/// Small numbers from a seed.
class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  std::uint32_t below(std::size_t bound) { return static_cast<std::uint32_t>(engine_() % bound); }

 private:
  std::mt19937 engine_;
};

Instant at(std::int64_t milliseconds) { return Instant(std::chrono::milliseconds(milliseconds)); }

TEST(DeadlineHeap, PopsInTheOrderOfTime) {
  DeadlineHeap heap;
  heap.set(3, at(30));
  heap.set(1, at(10));
  heap.set(2, at(20));
  EXPECT_EQ(heap.next(), at(10));
  EXPECT_FALSE(heap.pop_due(at(9)).has_value());
  EXPECT_EQ(heap.pop_due(at(10)), 1u);
  EXPECT_EQ(heap.pop_due(at(99)), 2u);
  EXPECT_EQ(heap.pop_due(at(99)), 3u);
  EXPECT_FALSE(heap.pop_due(at(99)).has_value());
  EXPECT_FALSE(heap.next().has_value());
}

TEST(DeadlineHeap, HoldsOneDeadlinePerKeyTheLatestSet) {
  DeadlineHeap heap;
  heap.set(7, at(10));
  heap.set(8, at(15));
  heap.set(7, at(20));
  EXPECT_EQ(heap.size(), 2u);
  EXPECT_EQ(heap.pop_due(at(20)), 8u);
  EXPECT_EQ(heap.pop_due(at(20)), 7u);
  EXPECT_FALSE(heap.contains(7));
}

TEST(DeadlineHeap, ClearsWhatIsNotThereWithoutHarm) {
  DeadlineHeap heap;
  heap.clear(1000);
  heap.set(1, at(1));
  heap.clear(0);
  heap.clear(1);
  heap.clear(1);
  EXPECT_EQ(heap.size(), 0u);
}

/// The model: every deadline in a multimap, and each key's place in it.
class DeadlineModel {
 public:
  void set(std::uint32_t key, Instant when) {
    clear(key);
    places_[key] = by_time_.emplace(when, key);
  }
  void clear(std::uint32_t key) {
    const auto place = places_.find(key);
    if (place == places_.end()) return;
    by_time_.erase(place->second);
    places_.erase(place);
  }
  bool has(Instant when, std::uint32_t key) const {
    const auto place = places_.find(key);
    return place != places_.end() && place->second->first == when;
  }
  std::optional<Instant> next() const {
    return by_time_.empty() ? std::nullopt : std::optional(by_time_.begin()->first);
  }
  bool contains(std::uint32_t key) const { return places_.contains(key); }
  std::size_t size() const { return by_time_.size(); }

 private:
  std::multimap<Instant, std::uint32_t> by_time_;
  std::map<std::uint32_t, std::multimap<Instant, std::uint32_t>::iterator> places_;
};

// Equal deadlines may come in any order: a popped key must hold the model's earliest deadline, not be its first.
void pop_and_compare(DeadlineHeap& heap, DeadlineModel& model, Instant now) {
  const auto expected = model.next();
  const auto key = heap.pop_due(now);
  ASSERT_EQ(key.has_value(), expected.has_value() && *expected <= now);
  if (!key) return;
  ASSERT_TRUE(model.has(*expected, *key)) << "popped key " << *key << " is not the earliest";
  model.clear(*key);
}

TEST(DeadlineHeap, AgreesWithAMultimapOverRandomOperations) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Dice dice(seed);
    const std::uint32_t keys = 1 + dice.below(200);
    DeadlineHeap heap;
    DeadlineModel model;
    for (unsigned step = 0; step < 5000; ++step) {
      const std::uint32_t key = dice.below(keys);
      const Instant when = at(dice.below(500));
      const unsigned choice = dice.below(10);
      if (choice < 6) {
        heap.set(key, when);
        model.set(key, when);
      } else if (choice < 8) {
        heap.clear(key);
        model.clear(key);
      } else {
        ASSERT_NO_FATAL_FAILURE(pop_and_compare(heap, model, when));
      }
      ASSERT_EQ(heap.next(), model.next()) << "step " << step;
      ASSERT_EQ(heap.size(), model.size());
      ASSERT_EQ(heap.contains(key), model.contains(key));
    }
    while (model.size() > 0) ASSERT_NO_FATAL_FAILURE(pop_and_compare(heap, model, at(500)));
    EXPECT_FALSE(heap.pop_due(at(500)).has_value());
  }
}

using SmallSlab = Slab<std::string, 4>;

TEST(Slab, ReusesTheSlotFreedLast) {
  SmallSlab slab;
  for (const char* row : {"a", "b", "c"}) slab.emplace(row);
  slab.erase(0);
  slab.erase(2);
  EXPECT_EQ(slab.emplace("d"), 2u);
  EXPECT_EQ(slab.emplace("e"), 0u);
  EXPECT_EQ(slab.emplace("f"), 3u);
  EXPECT_EQ(slab[1], "b");
  EXPECT_EQ(slab.size(), 4u);
}

TEST(Slab, KeepsReferencesValidWhileItGrows) {
  SmallSlab slab;
  std::string& first = slab[slab.emplace("first")];
  for (unsigned i = 0; i < 1000; ++i) slab.emplace("row");
  EXPECT_EQ(&slab[0], &first);
  EXPECT_EQ(first, "first");
}

TEST(Slab, FillsTheHolesThatARestoreLeft) {
  SmallSlab slab;
  slab.emplace_at(9, "restored");
  EXPECT_EQ(slab.slots(), 10u);
  EXPECT_EQ(slab.size(), 1u);
  EXPECT_FALSE(slab.contains(3));
  slab.emplace_at(3, "restored too");
  std::vector<std::uint32_t> filled;
  for (unsigned i = 0; i < 8; ++i) filled.push_back(slab.emplace("new"));
  std::ranges::sort(filled);
  EXPECT_EQ(filled, (std::vector<std::uint32_t>{0, 1, 2, 4, 5, 6, 7, 8}));
  EXPECT_EQ(slab.emplace("beyond"), 10u);
  EXPECT_EQ(slab[9], "restored");
  EXPECT_EQ(slab[3], "restored too");
}

TEST(Slab, DestroysARowWhenItIsErasedAndAllWhenItGoes) {
  const auto token = std::make_shared<int>(0);
  {
    Slab<std::shared_ptr<int>, 4> slab;
    for (unsigned i = 0; i < 10; ++i) slab.emplace(token);
    slab.erase(4);
    EXPECT_EQ(token.use_count(), 10);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(SlabDeathTest, AnEmptySlotIsNeitherReadNorErasedAndATakenOneNotFilled) {
  SmallSlab slab;
  slab.emplace("a");
  EXPECT_DEATH(slab[1], "reading an empty slab slot");
  EXPECT_DEATH(slab.erase(1), "erasing an empty slab slot");
  EXPECT_DEATH(slab.emplace_at(0, "b"), "slab slot is taken");
}

void compare(const SmallSlab& slab, const std::map<std::uint32_t, std::string>& model) {
  ASSERT_EQ(slab.size(), model.size());
  ASSERT_EQ(slab.empty(), model.empty());
  std::map<std::uint32_t, std::string> seen;
  slab.for_each([&](std::uint32_t index, const std::string& row) { seen.emplace(index, row); });
  ASSERT_EQ(seen, model);
}

TEST(Slab, AgreesWithAMapOverRandomOperationsWithHoles) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Dice dice(seed);
    SmallSlab slab;
    std::map<std::uint32_t, std::string> model;
    for (unsigned step = 0; step < 2000; ++step) {
      const std::string row = std::to_string(step);
      const std::uint32_t index = dice.below(60);
      const unsigned choice = dice.below(10);
      if (choice < 4) {
        const std::uint32_t given = slab.emplace(row);
        ASSERT_TRUE(model.emplace(given, row).second) << "slot " << given << " was taken";
      } else if (choice < 6 && !model.contains(index)) {
        slab.emplace_at(index, row);
        model.emplace(index, row);
      } else if (!model.empty()) {
        const auto victim = std::next(model.begin(), static_cast<std::ptrdiff_t>(dice.below(model.size())));
        slab.erase(victim->first);
        model.erase(victim);
      }
      ASSERT_NO_FATAL_FAILURE(compare(slab, model));
      ASSERT_LE(model.empty() ? 0 : model.rbegin()->first, slab.slots());
    }
  }
}

}  // namespace
}  // namespace splitnve
