#include "store/sqlite_schema.hpp"

#include <array>

namespace confab::store {

namespace {

// Step i leads from version i to i + 1. Never edit a released step: add one.
//
// conversations.name  NULL: removed, what is left of its rows goes in small steps.
// conversations.base_ms, base_n, base_bytes  id and running total at first - 1, so that a log that
// was
//                     wholly trimmed still knows its tail.
// entries.bytes_through  sum of model::weight from the log's beginning through this entry.
// conversations.expires_ms  the deadline; with ttl_s as it was moved last.
// conversations.gone  1: deleted or expired, but its forks read its entries.
// conversations.fork_of, fork_seq, fork_cut  name of a fork's source, the last seq that it shares,
// and
//                     how many bytes of the next one it has a copy of; fork_row is the source's
//                     row, fork_ms, fork_n, fork_bytes id and running total at fork_seq. Its own
//                     entries follow fork_seq.
// conversations.mirrored  what was published through this seq is in the conversation's stream.
// sources             how far the streams of Redis were copied, by the conversation's name, so that
//                     it outlives the conversation.
// entries: payload is last, so that the narrow columns are read without its overflow pages.
constexpr std::array migrations{
    R"sql(
CREATE TABLE conversations(
  id INTEGER PRIMARY KEY,
  name TEXT UNIQUE,
  epoch TEXT NOT NULL CHECK(length(epoch) BETWEEN 8 AND 10),
  first INTEGER NOT NULL CHECK(first >= 1),
  base_ms INTEGER NOT NULL CHECK(base_ms >= 0),
  base_n INTEGER NOT NULL CHECK(base_n >= 0),
  base_bytes INTEGER NOT NULL CHECK(base_bytes >= 0),
  content_type TEXT NOT NULL,
  closed INTEGER NOT NULL CHECK(closed IN (0, 1)),
  expires_ms INTEGER,
  fork_of TEXT,
  fork_seq INTEGER,
  created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE entries(
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL CHECK(seq BETWEEN 1 AND 9007199254740991),
  ms INTEGER NOT NULL CHECK(ms >= 0),
  n INTEGER NOT NULL CHECK(n >= 0),
  bytes_through INTEGER NOT NULL CHECK(bytes_through > 0),
  crc INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  producer_seq INTEGER NOT NULL CHECK(producer_seq >= 0),
  sender TEXT NOT NULL,
  kind TEXT NOT NULL,
  producer TEXT NOT NULL,
  message TEXT NOT NULL,
  source_id TEXT NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY(conversation, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_by_source_id ON entries(conversation, source_id) WHERE source_id <> '';
CREATE TABLE producers(
  conversation INTEGER NOT NULL,
  producer TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK(number >= 0),
  seq INTEGER NOT NULL,
  count INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  n INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY(conversation, producer)
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency_keys(
  conversation INTEGER NOT NULL,
  key TEXT NOT NULL,
  fingerprint INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK(number >= 0),
  seq INTEGER NOT NULL,
  count INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  n INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY(conversation, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE cursors(
  conversation INTEGER NOT NULL,
  user TEXT NOT NULL,
  client TEXT NOT NULL,
  epoch TEXT NOT NULL,
  seq INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  n INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY(conversation, user, client)
) STRICT, WITHOUT ROWID;
)sql",
    R"sql(
ALTER TABLE conversations ADD COLUMN ttl_s INTEGER;
ALTER TABLE conversations ADD COLUMN stream_seq BLOB NOT NULL DEFAULT x'';
ALTER TABLE conversations ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN fork_row INTEGER;
ALTER TABLE conversations ADD COLUMN fork_cut INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN fork_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN fork_n INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN fork_bytes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_by_fork ON conversations(fork_row) WHERE fork_row IS NOT NULL;
CREATE INDEX conversations_by_expiry ON conversations(expires_ms) WHERE expires_ms IS NOT NULL;
)sql",
    R"sql(
ALTER TABLE conversations ADD COLUMN mirrored INTEGER NOT NULL DEFAULT 0;
CREATE TABLE sources(
  name TEXT PRIMARY KEY,
  place INTEGER NOT NULL CHECK(place >= 0),
  ms INTEGER NOT NULL CHECK(ms >= 0),
  n INTEGER NOT NULL CHECK(n >= 0)
) STRICT, WITHOUT ROWID;
)sql",
};
static_assert(migrations.size() == schema_version);

constexpr const char* store_table =
    "CREATE TABLE store(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID";

bool has_table(database& db, std::string_view name) {
  statement select{db, "reading the schema",
                   "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1"};
  return query{select, name}.next();
}

bool empty(database& db) {
  statement select{db, "reading the schema", "SELECT 1 FROM sqlite_schema LIMIT 1"};
  return !query{select}.next();
}

std::optional<std::int64_t> recorded_version(database& db) try {
  return has_table(db, "store") ? stored_number(db, "schema") : std::nullopt;
} catch (const failure& why) {
  // Its table of that name has other columns.
  if (why.primary_code() == SQLITE_ERROR)
    return std::nullopt;
  throw;
}

/// 0: an empty database.
std::int64_t version_of(database& db) {
  if (empty(db))
    return 0;
  auto version = recorded_version(db);
  if (!version || *version < 1)
    throw refusal{
        std::string{database_file} +
        " is a SQLite database, but not of Confab: choose another store.directory, or move the "
        "file away"};
  if (*version > schema_version)
    throw refusal{"the log has schema version " + std::to_string(*version) +
                  ", this program knows versions up to " + std::to_string(schema_version) +
                  ": run the newer confab that wrote it, or restore a backup made by this version"};
  return *version;
}

/// Statements are compiled against the tables that the file claims to have: they must be ours.
void refuse_other_tables(database& db) {
  database ours{{":memory:", "", true, 0}};
  ours.run("building the schema", store_table);
  for (const char* step : migrations)
    ours.run("building the schema", step);
  statement expected{ours, "reading the schema",
                     "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"};
  statement actual{db, "reading the schema", "SELECT sql FROM sqlite_schema WHERE name = ?1"};
  for (query row{expected}; row.next();) {
    query found{actual, row.text(0)};
    if (!found.next() || found.text(0) != row.text(1))
      throw refusal{"the table or index '" + std::string{row.text(0)} + "' in " + database_file +
                    " is missing or was changed by hand: restore a backup"};
  }
}

} // namespace

void configure_writer(database& db, options::sync synchronous) {
  // Only effective while the file is empty.
  db.run("configuring the log", "PRAGMA page_size = 4096");
  statement wal{db, "configuring the log", "PRAGMA journal_mode = WAL"};
  if (query mode{wal}; !mode.next() || mode.text(0) != "wal")
    throw refusal{"the file system does not support SQLite's write-ahead log: choose a local one"};
  db.run("configuring the log", std::string{"PRAGMA synchronous = "} + to_string(synchronous));
  // Dirty pages stay in memory until COMMIT, so that a statement that fails leaves nothing in the
  // WAL. What the writer accepts is bounded, so this is too.
  db.run("configuring the log", "PRAGMA cache_spill = OFF");
  db.run("configuring the log", "PRAGMA cache_size = -16384");
  db.run("configuring the log", "PRAGMA temp_store = MEMORY");
  // Overwriting freed space with zeros doubles the writes of retention.
  db.run("configuring the log", "PRAGMA secure_delete = FAST");
  db.run("configuring the log", "PRAGMA cell_size_check = ON");
  // The writer checkpoints itself (sqlite_fence.hpp), so that it sees how that went.
  db.run("configuring the log", "PRAGMA wal_autocheckpoint = 0");
  // What a burst leaves behind.
  db.run("configuring the log", "PRAGMA journal_size_limit = 67108864");
}

void configure_reader(database& db) {
  db.run("configuring a reader", "PRAGMA query_only = ON");
  db.run("configuring a reader", "PRAGMA cache_size = -4096");
  db.run("configuring a reader", "PRAGMA temp_store = MEMORY");
  db.run("configuring a reader", "PRAGMA cell_size_check = ON");
  // A reader that closes last must not write.
  db.run("configuring a reader", "PRAGMA wal_autocheckpoint = 0");
}

void migrate(database& db) {
  auto version = version_of(db);
  for (; version < schema_version; ++version) {
    transaction step{db, transaction::kind::write};
    if (version == 0)
      db.run("creating the schema", store_table);
    db.run("migrating the schema", migrations[static_cast<std::size_t>(version)]);
    store_number(db, "schema", version + 1);
    step.commit();
  }
  refuse_other_tables(db);
}

void require_known_schema(database& db) {
  (void)version_of(db);
}

void require_current_schema(database& db) {
  auto version = version_of(db);
  if (version != schema_version)
    throw refusal{"the log has schema version " + std::to_string(version) + ", needed is " +
                  std::to_string(schema_version) +
                  ": start `confab serve` on it once, which migrates it"};
  refuse_other_tables(db);
}

std::optional<std::int64_t> stored_number(database& db, std::string_view key) {
  statement select{db, "reading the table store", "SELECT value FROM store WHERE key = ?1"};
  query row{select, key};
  if (!row.next())
    return std::nullopt;
  auto value = row.integer(0);
  if (!row.sound())
    throw failure{"table store: the value of '" + std::string{key} + "' is not a number"};
  return value;
}

std::optional<std::string> stored_text(database& db, std::string_view key) {
  statement select{db, "reading the table store", "SELECT value FROM store WHERE key = ?1"};
  query row{select, key};
  if (!row.next())
    return std::nullopt;
  std::string value{row.text(0)};
  if (!row.sound())
    throw failure{"table store: the value of '" + std::string{key} + "' is not a text"};
  return value;
}

void store_number(database& db, std::string_view key, std::int64_t value) {
  statement upsert{db, "writing the table store", "INSERT OR REPLACE INTO store VALUES(?1, ?2)"};
  query{upsert, key, value}.run();
}

void store_text(database& db, std::string_view key, std::string_view value) {
  statement upsert{db, "writing the table store", "INSERT OR REPLACE INTO store VALUES(?1, ?2)"};
  query{upsert, key, value}.run();
}

std::int64_t begin_run(database& db, options::sync synchronous, const std::string& boot_id) {
  db.run("configuring the log", "PRAGMA synchronous = FULL");
  auto generation = stored_number(db, "generation").value_or(1);
  transaction mark{db, transaction::kind::write};
  bool clean = stored_number(db, "clean").value_or(1) != 0;
  // An unreadable boot id is no proof of the same boot.
  bool same_boot = !boot_id.empty() && stored_text(db, "boot_id") == boot_id;
  bool every_commit_was_synced = stored_text(db, "synchronous").value_or("full") == "full";
  if (!clean && !same_boot && !every_commit_was_synced)
    ++generation;
  store_number(db, "generation", generation);
  store_number(db, "clean", 0);
  store_text(db, "boot_id", boot_id);
  store_text(db, "synchronous", to_string(synchronous));
  mark.commit();
  db.run("configuring the log", std::string{"PRAGMA synchronous = "} + to_string(synchronous));
  return generation;
}

void end_run(database& db) {
  db.run("configuring the log", "PRAGMA synchronous = FULL");
  // First everything the run wrote, only then the mark that says so.
  if (sqlite3_wal_checkpoint_v2(db.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                                nullptr) != SQLITE_OK)
    throw failure{db.handle(), "checkpointing at the end"};
  transaction mark{db, transaction::kind::write};
  store_number(db, "clean", 1);
  mark.commit();
}

const char* to_string(options::sync x) noexcept {
  switch (x) {
  case options::sync::full:
    return "full";
  case options::sync::normal:
    return "normal";
  case options::sync::off:
    return "off";
  }
  return "full";
}

} // namespace confab::store
