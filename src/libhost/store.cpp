// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/store.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <bit>
#include <boost/crc.hpp>
#include <filesystem>
#include <string_view>
#include <utility>

#include "splitnve/host/paths.hpp"

namespace splitnve::host {
namespace {

/// "SNVE": tells our files from other SQLite databases.
constexpr int kApplicationId = 0x534E5645;
constexpr unsigned kFolderMode = 0750;
/// Records that one statement writes: half of what a row costs is its statement's.
constexpr std::size_t kRecordsTogether = 16;

std::string upsert_of(std::size_t records) {
  std::string sql = "REPLACE INTO records(key, value, sum) VALUES (?, ?, ?)";
  for (std::size_t i = 1; i < records; ++i) sql += ", (?, ?, ?)";
  return sql;
}

/// CRC-32C of the key, most significant octet first, and the value: a value under another's key is as wrong as a
/// flipped bit.
std::uint32_t checksum(std::uint64_t key, Octets value) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  for (int shift = 56; shift >= 0; shift -= 8) crc.process_byte(static_cast<unsigned char>(key >> shift));
  crc.process_bytes(value.data(), value.size());
  return crc.checksum();
}

std::uint64_t key_in(sqlite3_stmt* row) {
  return std::bit_cast<std::uint64_t>(static_cast<std::int64_t>(sqlite3_column_int64(row, 0)));
}
Octets value_in(sqlite3_stmt* row) {
  return {static_cast<const std::uint8_t*>(sqlite3_column_blob(row, 1)),
          static_cast<std::size_t>(sqlite3_column_bytes(row, 1))};
}

struct DatabaseCloser {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, DatabaseCloser>;
using Statement = std::unique_ptr<sqlite3_stmt, DatabaseCloser>;

/// What a person should know of an SQLite failure on this file.
constexpr const char* kDamaged = "the state store is damaged: ";

Error store_error(const std::string& path, int code, const char* detail) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {"the state store is held by another daemon", path,
              "stop the other daemon of this instance, or give this one its own instance name"};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {kDamaged + std::string(detail), path,
              "move " + path +
                  " away and start again; a switch then recovers its TSIs from the stations (or start it with "
                  "--recover-from-peers), on a hypervisor create and start the TSIs anew"};
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return {std::string("cannot open the state store: ") + detail, path,
              "check that " + path + " and its folder exist and may be written by this user"};
    case SQLITE_FULL:
    case SQLITE_IOERR:
      return {std::string("cannot write the state store: ") + detail, path,
              "check the space and the health of the disk"};
    default: return {std::string("state store: ") + detail, path, ""};
  }
}

}  // namespace

struct Store::Impl {
  Error error(int code) const { return store_error(path, code, sqlite3_errmsg(database.get())); }
  int run(const char* sql) { return sqlite3_exec(database.get(), sql, nullptr, nullptr, nullptr); }
  Statement prepare(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v3(database.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    return Statement(statement);
  }
  /// Runs a statement that returns no rows.
  static int run(sqlite3_stmt* statement) {
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
  }
  Result<int> number(const char* sql) {
    const Statement query = prepare(sql);
    const int code = query ? sqlite3_step(query.get()) : sqlite3_errcode(database.get());
    if (code != SQLITE_ROW) return unexpected<Error>(error(code));
    return sqlite3_column_int(query.get(), 0);
  }
  Result<void> lock();
  Result<void> set_durability();
  Result<void> check_schema();
  Result<void> add_checksums();
  int erase_all(const std::vector<std::uint64_t>& keys);
  Result<void> check_health();
  int write(std::span<const agent::StoreRecord* const> records);
  int write(std::span<const agent::Persist> batches);

  std::string path;
  Database database;
  Statement upsert;
  Statement upsert_together;  ///< kRecordsTogether of them
  Statement erase;
  Statement begin;
  Statement commit;
  std::vector<const agent::StoreRecord*> ordered;  ///< of the batches being written
};

Result<void> Store::Impl::lock() {
  // In this mode the lock is held from the first transaction until the process ends, and no shared-memory file is
  // needed.
  for (const char* sql : {"PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE", "COMMIT"})
    if (const int code = run(sql); code != SQLITE_OK) return unexpected<Error>(error(code));
  return {};
}

Result<void> Store::Impl::set_durability() {
  for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"})
    if (const int code = run(sql); code != SQLITE_OK) return unexpected<Error>(error(code));
  return {};
}

Result<void> Store::Impl::check_schema() {
  const auto tables = number("SELECT count(*) FROM sqlite_master");
  if (!tables) return unexpected<Error>(tables.error());
  if (*tables == 0) {
    // Taking the lock makes the first page of a new file; one with our mark, or with more, has lost its table.
    const auto pages = number("PRAGMA page_count"), mark = number("PRAGMA application_id");
    if (!pages) return unexpected<Error>(pages.error());
    if (!mark) return unexpected<Error>(mark.error());
    if (*pages > 1 || *mark != 0) return unexpected<Error>(store_error(path, SQLITE_CORRUPT, "its table is missing"));
    const std::string create =
        "BEGIN; CREATE TABLE records(key INTEGER PRIMARY KEY, value BLOB NOT NULL, sum INTEGER NOT NULL);"
        "PRAGMA application_id=" +
        std::to_string(kApplicationId) + "; PRAGMA user_version=" + std::to_string(kStoreSchema) + "; COMMIT";
    if (const int code = run(create.c_str()); code != SQLITE_OK) return unexpected<Error>(error(code));
    return {};
  }
  const auto application = number("PRAGMA application_id");
  if (!application) return unexpected<Error>(application.error());
  if (*application != kApplicationId)
    return unexpected<Error>(Error{"the file is a database of another program", path, "configure another store path"});
  const auto schema = number("PRAGMA user_version");
  if (!schema) return unexpected<Error>(schema.error());
  if (*schema > kStoreSchema)
    return unexpected<Error>(Error{"the state store has schema " + std::to_string(*schema) + ", newer than the " +
                                       std::to_string(kStoreSchema) + " that this version knows",
                                   path, "start the newer version again, or move " + path + " away"});
  if (*schema < 1) return unexpected<Error>(store_error(path, SQLITE_CORRUPT, "it has no schema number"));
  return {};
}

/// A store of schema 1 gets its checksums, all of them or none.
Result<void> Store::Impl::add_checksums() {
  const auto schema = number("PRAGMA user_version");
  if (!schema) return unexpected<Error>(schema.error());
  if (*schema == kStoreSchema) return {};
  int code = run("BEGIN IMMEDIATE; ALTER TABLE records ADD COLUMN sum INTEGER NOT NULL DEFAULT 0");
  const Statement rows = prepare("SELECT key, value FROM records");
  const Statement set = prepare("UPDATE records SET sum = ? WHERE key = ?");
  if (code == SQLITE_OK && (!rows || !set)) code = sqlite3_errcode(database.get());
  for (int step = SQLITE_ROW; code == SQLITE_OK && (step = sqlite3_step(rows.get())) != SQLITE_DONE;) {
    if (step != SQLITE_ROW) {
      code = step;
      break;
    }
    sqlite3_bind_int64(set.get(), 1, checksum(key_in(rows.get()), value_in(rows.get())));
    sqlite3_bind_int64(set.get(), 2, std::bit_cast<std::int64_t>(key_in(rows.get())));
    code = run(set.get());
  }
  sqlite3_reset(rows.get());
  const std::string finish = "PRAGMA user_version=" + std::to_string(kStoreSchema) + "; COMMIT";
  if (code == SQLITE_OK) code = run(finish.c_str());
  if (code == SQLITE_OK) return {};
  const Error why = error(code);
  run("ROLLBACK");
  return unexpected<Error>(why);
}

int Store::Impl::erase_all(const std::vector<std::uint64_t>& keys) {
  int code = run(begin.get());
  for (const std::uint64_t key : keys) {
    if (code != SQLITE_OK) break;
    sqlite3_bind_int64(erase.get(), 1, std::bit_cast<std::int64_t>(key));
    code = run(erase.get());
  }
  if (code == SQLITE_OK) code = run(commit.get());
  if (code != SQLITE_OK && sqlite3_get_autocommit(database.get()) == 0) run("ROLLBACK");
  return code;
}

Result<void> Store::Impl::check_health() {
  const Statement query = prepare("PRAGMA quick_check(1)");
  const int code = query ? sqlite3_step(query.get()) : sqlite3_errcode(database.get());
  if (code != SQLITE_ROW) return unexpected<Error>(error(code));
  const std::string verdict = reinterpret_cast<const char*>(sqlite3_column_text(query.get(), 0));
  if (verdict != "ok") return unexpected<Error>(store_error(path, SQLITE_CORRUPT, verdict.c_str()));
  return {};
}

/// One record, or kRecordsTogether of which none is erased.
int Store::Impl::write(std::span<const agent::StoreRecord* const> records) {
  sqlite3_stmt* statement = records.front()->value.empty() ? erase.get()
                            : records.size() == 1          ? upsert.get()
                                                           : upsert_together.get();
  int parameter = 0;
  for (const agent::StoreRecord* record : records) {
    sqlite3_bind_int64(statement, ++parameter, std::bit_cast<std::int64_t>(record->key));
    if (record->value.empty()) continue;
    sqlite3_bind_blob64(statement, ++parameter, record->value.data(), record->value.size(), SQLITE_STATIC);
    sqlite3_bind_int64(statement, ++parameter, checksum(record->key, record->value));
  }
  return run(statement);
}

/// In the order of the keys, which is that of the table; of several records under one key only the last matters.
int Store::Impl::write(std::span<const agent::Persist> batches) {
  ordered.clear();
  for (const auto& batch : batches)
    for (const auto& record : batch.records) ordered.push_back(&record);
  std::ranges::stable_sort(ordered, {}, &agent::StoreRecord::key);
  const auto same_key = [](const auto* a, const auto* b) { return a->key == b->key; };
  ordered.erase(ordered.begin(), std::unique(ordered.rbegin(), ordered.rend(), same_key).base());
  for (std::span<const agent::StoreRecord* const> left = ordered; !left.empty();) {
    const bool together =
        left.size() >= kRecordsTogether &&
        std::ranges::none_of(left.first(kRecordsTogether), [](const auto* record) { return record->value.empty(); });
    const std::size_t count = together ? kRecordsTogether : 1;
    if (const int code = write(left.first(count)); code != SQLITE_OK) return code;
    left = left.subspan(count);
  }
  return SQLITE_OK;
}

bool Store::is_damage(const Error& error) { return error.what.starts_with(kDamaged); }

Result<std::string> Store::set_aside(const std::string& path) {
  std::string aside;
  std::error_code failed;
  for (unsigned n = 1; aside.empty() || std::filesystem::exists(aside, failed); ++n)
    aside = path + ".corrupt-" + std::to_string(n);
  std::filesystem::rename(path, aside, failed);
  if (failed)
    return unexpected<Error>(
        Error{"cannot move the damaged state store: " + failed.message(), path, "move it by hand"});
  for (const char* beside : {"-wal", "-shm", "-journal"})
    std::filesystem::rename(path + beside, aside + beside, failed);
  return aside;
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::string& path) {
  if (auto made = make_parent_folder(path, kFolderMode); !made) return unexpected<Error>(made.error());
  // Counting its memory costs SQLite a mutex per allocation. Refused, without harm, once it is in use.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &database,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  impl->database.reset(database);
  if (code != SQLITE_OK) return unexpected<Error>(impl->error(code));
  if (auto done = impl->lock(); !done) return unexpected<Error>(done.error());
  if (auto done = impl->check_schema(); !done) return unexpected<Error>(done.error());
  if (auto done = impl->check_health(); !done) return unexpected<Error>(done.error());
  // Only now, so that a file that is not ours stays as it was.
  if (auto done = impl->set_durability(); !done) return unexpected<Error>(done.error());
  if (auto done = impl->add_checksums(); !done) return unexpected<Error>(done.error());
  impl->upsert = impl->prepare(upsert_of(1));
  impl->upsert_together = impl->prepare(upsert_of(kRecordsTogether));
  impl->erase = impl->prepare("DELETE FROM records WHERE key = ?");
  impl->begin = impl->prepare("BEGIN IMMEDIATE");
  impl->commit = impl->prepare("COMMIT");
  if (!impl->upsert || !impl->upsert_together || !impl->erase || !impl->begin || !impl->commit)
    return unexpected<Error>(impl->error(sqlite3_errcode(database)));
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<void> Store::load(const Visit& visit, const VisitDamaged& damaged) {
  const Statement query = impl_->prepare("SELECT key, value, sum FROM records ORDER BY key");
  if (!query) return unexpected<Error>(impl_->error(sqlite3_errcode(impl_->database.get())));
  std::vector<std::uint64_t> wrong;
  int code = sqlite3_step(query.get());
  for (; code == SQLITE_ROW; code = sqlite3_step(query.get())) {
    const std::uint64_t key = key_in(query.get());
    const Octets value = value_in(query.get());
    if (sqlite3_column_int64(query.get(), 2) == checksum(key, value))
      visit(key, value);
    else
      wrong.push_back(key);
  }
  if (code != SQLITE_DONE) return unexpected<Error>(impl_->error(code));
  if (!damaged || wrong.empty()) return {};
  sqlite3_reset(query.get());
  for (const std::uint64_t key : wrong) damaged(key);
  if (code = impl_->erase_all(wrong); code != SQLITE_OK) return unexpected<Error>(impl_->error(code));
  return {};
}

agent::BatchResult Store::apply(const agent::Persist& batch) { return apply_group({&batch, 1}).front(); }

std::vector<agent::BatchResult> Store::apply_group(std::span<const agent::Persist> batches) {
  std::vector<agent::BatchResult> results;
  results.reserve(batches.size());
  int code = Impl::run(impl_->begin.get());
  if (code == SQLITE_OK) code = impl_->write(batches);
  if (code == SQLITE_OK) code = Impl::run(impl_->commit.get());
  const std::string cause = code == SQLITE_OK ? "" : impl_->error(code).to_string();
  if (code != SQLITE_OK) {
    if (sqlite3_get_autocommit(impl_->database.get()) == 0) impl_->run("ROLLBACK");
    if (batches.size() > 1) {
      for (const auto& batch : batches) results.push_back(apply(batch));
      return results;
    }
  }
  for (const auto& batch : batches) results.push_back(agent::BatchResult{batch.batch, {}, cause});
  return results;
}

}  // namespace splitnve::host
