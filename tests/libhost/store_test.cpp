// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/store.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <future>
#include <map>
#include <mutex>

#include "temporary_folder.hpp"

namespace splitnve::host {
namespace {

using Records = std::map<std::uint64_t, OctetString>;

class StoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> open() {
    auto store = Store::open(path_);
    EXPECT_TRUE(store) << store.error().to_string();
    return store ? std::move(*store) : nullptr;
  }
  static Records records_of(Store& store) {
    Records all;
    const auto loaded = store.load([&](std::uint64_t key, Octets value) { all[key] = {value.begin(), value.end()}; });
    EXPECT_TRUE(loaded) << loaded.error().to_string();
    return all;
  }
  /// Runs SQL on the file as another program would.
  void run_sql(const std::string& sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  testing::TemporaryFolder folder_;
  std::string path_ = folder_.file("state/n1.db");
};

agent::Persist batch(std::uint64_t id, std::vector<agent::StoreRecord> records) {
  return {BatchId(id), std::move(records)};
}

TEST_F(StoreTest, KeepsInsertsReplacesAndErasesAcrossReopening) {
  const std::uint64_t high = agent::store_key(agent::RecordKind::kLatch, 0x00FFFFFFFFFFFFFF);
  {
    auto store = open();
    ASSERT_TRUE(store);
    EXPECT_TRUE(records_of(*store).empty());
    EXPECT_TRUE(store->apply(batch(1, {{1, {1, 2, 3}}, {2, {4}}, {high, {0, 0xFF}}})).ok());
    const auto result = store->apply(batch(2, {{1, {9}}, {2, {}}, {77, {}}}));
    EXPECT_TRUE(result.ok()) << result.error;
    EXPECT_EQ(result.batch, BatchId(2));
  }
  auto store = open();
  ASSERT_TRUE(store);
  EXPECT_EQ(records_of(*store), (Records{{1, {9}}, {high, {0, 0xFF}}}));
}

TEST_F(StoreTest, WhatWasAnsweredSurvivesKillMinus9) {
  int answers[2];
  ASSERT_EQ(pipe(answers), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = Store::open(path_);
    for (std::uint64_t i = 1; store; ++i) {
      if (!(*store)->apply(batch(i, {{i, OctetString(100, static_cast<std::uint8_t>(i))}, {1'000'000 + i, {1}}})).ok())
        break;
      if (write(answers[1], &i, sizeof(i)) != sizeof(i)) break;
    }
    _exit(1);
  }
  close(answers[1]);
  std::uint64_t answered = 0;
  while (answered < 500)
    ASSERT_EQ(read(answers[0], &answered, sizeof(answered)), static_cast<ssize_t>(sizeof(answered)));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
  while (read(answers[0], &answered, sizeof(answered)) == static_cast<ssize_t>(sizeof(answered))) continue;
  close(answers[0]);

  auto store = open();
  ASSERT_TRUE(store);
  const Records records = records_of(*store);
  for (std::uint64_t i = 1; i <= answered; ++i) {
    ASSERT_TRUE(records.contains(i)) << "answered batch " << i << " of " << answered << " is lost";
    ASSERT_EQ(records.at(i), OctetString(100, static_cast<std::uint8_t>(i)));
  }
  for (const auto& [key, value] : records)
    EXPECT_TRUE(records.contains(key < 1'000'000 ? key + 1'000'000 : key - 1'000'000)) << "half a batch: " << key;
}

TEST_F(StoreTest, ASecondDaemonOfTheInstanceIsRefused) {
  auto store = open();
  ASSERT_TRUE(store);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto second = Store::open(path_);
    _exit(!second && second.error().what == "the state store is held by another daemon" &&
                  second.error().where == path_ && !second.error().remedy.empty()
              ? 0
              : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(store->apply(batch(1, {{1, {1}}})).ok()) << "the first one is not disturbed";
  store.reset();
  EXPECT_TRUE(open()) << "the lock ends with its holder";
}

TEST_F(StoreTest, ARecordWhoseChecksumFailsIsNamedAndErasedAndTheOthersStay) {
  const Records all{{1, {1, 2, 3}}, {2, {4}}, {7, {5, 6}}, {9, {7}}};
  {
    auto store = open();
    for (const auto& [key, value] : all) ASSERT_TRUE(store->apply(batch(1, {{key, value}})).ok());
  }
  run_sql("UPDATE records SET value = x'010203FF' WHERE key = 1");  // longer
  run_sql("UPDATE records SET key = 3 WHERE key = 2");              // another's
  run_sql("UPDATE records SET sum = sum + 1 WHERE key = 7");
  std::vector<std::uint64_t> damaged;
  {
    auto store = open();
    EXPECT_EQ(records_of(*store), Records({{9, {7}}})) << "whoever only looks erases nothing";
    Records found;
    ASSERT_TRUE(store->load([&](std::uint64_t key, Octets value) { found[key] = {value.begin(), value.end()}; },
                            [&](std::uint64_t key) { damaged.push_back(key); }));
    EXPECT_EQ(found, Records({{9, {7}}}));
    EXPECT_EQ(damaged, (std::vector<std::uint64_t>{1, 3, 7}));
  }
  damaged.clear();
  auto store = open();
  ASSERT_TRUE(store->load([](std::uint64_t, Octets) {}, [&](std::uint64_t key) { damaged.push_back(key); }));
  EXPECT_TRUE(damaged.empty()) << "they are told of once";
}

TEST_F(StoreTest, EveryBitOfARecordIsUnderItsChecksum) {
  const OctetString value{0, 0x5A, 0xFF};
  open()->apply(batch(1, {{5, value}}));
  for (unsigned bit = 0; bit < 8 * value.size(); ++bit) {
    OctetString flipped = value;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1u << bit % 8));
    std::string hex;
    for (const std::uint8_t octet : flipped) hex += {"0123456789abcdef"[octet >> 4], "0123456789abcdef"[octet & 15]};
    run_sql("UPDATE records SET value = x'" + hex + "'");
    auto store = open();
    EXPECT_TRUE(records_of(*store).empty()) << bit;
  }
}

TEST_F(StoreTest, AStoreWithoutChecksumsGetsThem) {
  const Records all{{1, {1, 2, 3}}, {0xFF00000000000001, {9}}};
  {
    auto store = open();
    for (const auto& [key, value] : all) ASSERT_TRUE(store->apply(batch(1, {{key, value}})).ok());
  }
  run_sql("ALTER TABLE records DROP COLUMN sum; PRAGMA user_version=1");
  {
    auto store = open();
    ASSERT_TRUE(store);
    EXPECT_EQ(records_of(*store), all);
    EXPECT_TRUE(store->apply(batch(2, {{3, {3}}})).ok());
  }
  EXPECT_EQ(records_of(*open()).size(), 3u);
}

TEST_F(StoreTest, AStoreThatHasLostItsTableIsDamagedAndNotANewOne) {
  open();
  run_sql("DROP TABLE records");
  const auto store = Store::open(path_);
  ASSERT_FALSE(store);
  EXPECT_TRUE(Store::is_damage(store.error())) << store.error().what;
}

TEST_F(StoreTest, ANewerSchemaIsRefusedAndLeftAlone) {
  ASSERT_TRUE(open());
  run_sql("PRAGMA user_version=" + std::to_string(kStoreSchema + 1));
  const auto store = Store::open(path_);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().what.find("schema " + std::to_string(kStoreSchema + 1)), std::string::npos)
      << store.error().what;
  EXPECT_NE(store.error().remedy.find(path_), std::string::npos);
  run_sql("PRAGMA user_version=" + std::to_string(kStoreSchema));
  EXPECT_TRUE(open());
}

TEST_F(StoreTest, ADatabaseOfAnotherProgramIsRefused) {
  ASSERT_TRUE(open());
  run_sql("PRAGMA application_id=1");
  const auto store = Store::open(path_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().what, "the file is a database of another program");
}

TEST_F(StoreTest, AStoreUsesWalSoThatOneCommitIsOneWrite) {
  auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->apply(batch(1, {{1, {1}}})).ok());
  EXPECT_TRUE(std::ifstream(path_ + "-wal").good());
  EXPECT_FALSE(std::ifstream(path_ + "-shm").good()) << "the lock is exclusive, nothing is shared";
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsNamedWithARemedy) {
  ASSERT_TRUE(open());
  std::ofstream(path_, std::ios::trunc) << std::string(8192, 'x');
  const auto store = Store::open(path_);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().what.find("damaged"), std::string::npos) << store.error().to_string();
  EXPECT_NE(store.error().remedy.find("move " + path_ + " away"), std::string::npos);
}

TEST_F(StoreTest, ADamagedPageIsFoundAtOpen) {
  {
    auto store = open();
    std::vector<agent::StoreRecord> records;
    for (std::uint64_t i = 1; i <= 2000; ++i) records.push_back({i, OctetString(100, 1)});
    ASSERT_TRUE(store->apply(batch(1, records)).ok());
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(2 * 4096);  // a page of the table's tree; the first holds the header
    file << std::string(4096, '\x7f');
  }
  const auto store = Store::open(path_);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().what.find("damaged"), std::string::npos) << store.error().to_string();
}

TEST_F(StoreTest, APathThatCannotBeWrittenIsNamed) {
  const auto store = Store::open("/proc/splitnve/n1.db");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().where, "/proc/splitnve");
}

TEST_F(StoreTest, OneTransactionCommitsAGroupAndEachBatchIsAnswered) {
  auto store = open();
  const std::vector<agent::Persist> group = {batch(7, {{1, {1}}}), batch(8, {{2, {2}}}), batch(9, {{1, {}}})};
  const auto results = store->apply_group(group);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[2].batch, BatchId(9));
  for (const auto& result : results) EXPECT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(records_of(*store), (Records{{2, {2}}}));
}

TEST_F(StoreTest, OfSeveralRecordsUnderOneKeyTheLastIsKept) {
  auto store = open();
  const std::vector<agent::Persist> group = {batch(1, {{5, {1}}, {4, {1}}}), batch(2, {{5, {}}, {3, {2}}}),
                                             batch(3, {{4, {}}, {5, {3}}, {5, {4}}})};
  for (const auto& result : store->apply_group(group)) EXPECT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(records_of(*store), (Records{{3, {2}}, {5, {4}}}));
}

TEST_F(StoreTest, ManyRecordsAtOnceAreWrittenAsIfOneByOne) {
  Records wanted;
  auto store = open();
  ASSERT_TRUE(store);
  // More than a statement takes at once, new ones, known ones and erased ones in between.
  for (std::uint64_t round = 1; round <= 3; ++round) {
    std::vector<agent::StoreRecord> records;
    for (std::uint64_t key = 1; key <= 150; ++key) {
      const std::uint64_t mixed = key * 37 % 151;
      const bool erased = mixed % (20 * round) == 7;
      records.push_back({mixed, erased ? OctetString() : OctetString(key, static_cast<std::uint8_t>(round))});
      if (erased)
        wanted.erase(mixed);
      else
        wanted[mixed] = records.back().value;
    }
    EXPECT_TRUE(store->apply(batch(round, records)).ok());
    EXPECT_EQ(records_of(*store), wanted) << round;
  }
}

TEST_F(StoreTest, UnderLoadTheThreadGathersAndStillAnswersAll) {
  constexpr std::uint64_t kBatches = 400, kRecords = 40;
  std::mutex guard;
  std::condition_variable told;
  std::vector<BatchId> answered;
  StoreThread thread(open(), [&](const std::vector<agent::BatchResult>& results) {
    const std::lock_guard lock(guard);
    for (const auto& result : results) {
      EXPECT_TRUE(result.ok()) << result.error;
      answered.push_back(result.batch);
    }
    told.notify_one();
  });
  for (std::uint64_t i = 0; i < kBatches; ++i) {
    std::vector<agent::StoreRecord> records;
    for (std::uint64_t n = 0; n < kRecords; ++n) records.push_back({1 + i * kRecords + n, {1}});
    ASSERT_TRUE(thread.submit(batch(i + 1, std::move(records))));
  }
  std::unique_lock lock(guard);
  ASSERT_TRUE(told.wait_for(lock, std::chrono::seconds(20), [&] { return answered.size() == kBatches; }));
  EXPECT_TRUE(std::is_sorted(answered.begin(), answered.end()));
}

TEST_F(StoreTest, TheThreadAnswersEveryBatchOnceAndInOrder) {
  std::mutex guard;
  std::condition_variable changed;
  std::vector<std::uint64_t> answered;
  StoreThread thread(open(), [&](std::vector<agent::BatchResult> results) {
    const std::lock_guard lock(guard);
    for (const auto& result : results) answered.push_back(result.ok() ? result.batch.value() : 0);
    changed.notify_one();
  });
  for (std::uint64_t i = 1; i <= 1000; ++i) ASSERT_TRUE(thread.submit(batch(i, {{i, {1}}})));
  std::unique_lock lock(guard);
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return answered.size() == 1000; }));
  for (std::uint64_t i = 1; i <= 1000; ++i) ASSERT_EQ(answered[i - 1], i);
}

TEST_F(StoreTest, AReadSeesWhatWasSubmittedBeforeItAndNothingLater) {
  std::promise<StoreThread::Records> promise;
  StoreThread thread(open(), [](const std::vector<agent::BatchResult>&) {});
  for (std::uint64_t i = 1; i <= 300; ++i) ASSERT_TRUE(thread.submit(batch(i, {{i, {1}}})));
  thread.read([&promise](StoreThread::Records records) { promise.set_value(std::move(records)); });
  for (std::uint64_t i = 301; i <= 600; ++i) ASSERT_TRUE(thread.submit(batch(i, {{i, {1}}})));
  const auto records = promise.get_future().get();
  ASSERT_TRUE(records.has_value());
  ASSERT_EQ(records->size(), 300u);
  EXPECT_EQ(records->back().key, 300u);
  EXPECT_EQ(records->back().value, OctetString{1});
}

TEST_F(StoreTest, TheThreadCommitsWhatIsQueuedBeforeItEnds) {
  {
    StoreThread thread(open(), [](const std::vector<agent::BatchResult>&) {});
    for (std::uint64_t i = 1; i <= 300; ++i) ASSERT_TRUE(thread.submit(batch(i, {{i, {1}}})));
  }
  auto store = open();
  EXPECT_EQ(records_of(*store).size(), 300u);
}

TEST_F(StoreTest, AFullQueueRefusesAndNeverBlocks) {
  std::mutex guard;
  std::unique_lock hold(guard);
  std::size_t answered = 0;
  std::size_t taken = 0;
  {
    StoreThread thread(open(), [&](const std::vector<agent::BatchResult>& results) {
      const std::lock_guard lock(guard);  // the first answer hangs, as a stalled disk would
      answered += results.size();
    });
    while (taken < 2 * kStoreQueueBatchesMax && thread.submit(batch(taken + 1, {{1, {1}}}))) ++taken;
    EXPECT_GE(taken, kStoreQueueBatchesMax);
    EXPECT_LE(taken, kStoreQueueBatchesMax + kStoreGroupBatchesMax);
    hold.unlock();
  }
  EXPECT_EQ(answered, taken);
}

}  // namespace
}  // namespace splitnve::host
