#include "store/sqlite_database.hpp"

#include <mutex>

namespace confab::store {

namespace {

std::string words_for(sqlite3* db, std::string_view doing) {
  std::string text{doing};
  text += ": ";
  text += db == nullptr ? "out of memory" : sqlite3_errmsg(db);
  return text + " (SQLite " +
         std::to_string(db == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(db)) + ")";
}

void configure_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Without statistics malloc needs no process-wide mutex. Refused when SQLite already runs: no
    // harm.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
  });
}

/// A file may come from anywhere: nothing in its schema is to be executed.
void harden(sqlite3* db) {
  for (int off :
       {SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        SQLITE_DBCONFIG_DQS_DDL, SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION})
    sqlite3_db_config(db, off, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
}

} // namespace

struct database::transaction_statements {
  statement read;
  statement write;
  statement commit;
  statement rollback;
};

failure::failure(sqlite3* db, std::string_view doing)
  : std::runtime_error{words_for(db, doing)}, sqlite_code_{db == nullptr
                                                               ? SQLITE_NOMEM
                                                               : sqlite3_extended_errcode(db)} {}

bool failure::store_wide() const noexcept {
  switch (primary_code()) {
  case SQLITE_CONSTRAINT:
  case SQLITE_TOOBIG:
  case SQLITE_MISMATCH:
  case SQLITE_RANGE:
  case SQLITE_CORRUPT:
  case SQLITE_ERROR:
    return false;
  default:
    return true;
  }
}

bool failure::damaged() const noexcept {
  return primary_code() == SQLITE_CORRUPT || primary_code() == SQLITE_NOTADB;
}

model::error failure::as_read_error() const {
  return {damaged() ? model::code::log_damaged : model::code::read_failed, text()};
}

std::string failure::text() const {
  switch (primary_code()) {
  case SQLITE_FULL:
    return std::string{"disk full: "} + what();
  case SQLITE_IOERR:
    return std::string{"I/O error: "} + what();
  case SQLITE_READONLY:
  case SQLITE_CANTOPEN:
  case SQLITE_PERM:
    return std::string{"not writable: "} + what();
  case SQLITE_BUSY:
    return std::string{"locked by another process: "} + what();
  default:
    return what();
  }
}

database::database(const database_options& how) {
  configure_library();
  sqlite3* db = nullptr;
  auto flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
               (how.create ? SQLITE_OPEN_CREATE : 0);
  auto code =
      sqlite3_open_v2(how.file.c_str(), &db, flags, how.vfs.empty() ? nullptr : how.vfs.c_str());
  handle_.reset(db);
  if (code != SQLITE_OK)
    throw failure{db, "opening " + how.file.string()};
  sqlite3_busy_timeout(db, busy_wait_ms);
  harden(db);
  if (how.length_max > 0)
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, how.length_max);
  transactions_ = std::make_unique<transaction_statements>(
      transaction_statements{{*this, "beginning to read", "BEGIN"},
                             {*this, "beginning a transaction", "BEGIN IMMEDIATE"},
                             {*this, "committing", "COMMIT"},
                             {*this, "rolling back", "ROLLBACK"}});
}

database::~database() = default;

bool database::in_transaction() const noexcept {
  return sqlite3_get_autocommit(handle()) == 0;
}

void database::run(std::string_view doing, const std::string& sql) {
  if (sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    throw failure{handle(), doing};
}

statement::statement(database& db, const char* doing, std::string_view sql) : doing_{doing} {
  sqlite3_stmt* made = nullptr;
  auto code = sqlite3_prepare_v3(db.handle(), sql.data(), static_cast<int>(sql.size()),
                                 SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  handle_.reset(made);
  if (code != SQLITE_OK)
    throw failure{db.handle(), doing};
}

bool query::next() {
  auto code = sqlite3_step(on_.handle_.get());
  if (code == SQLITE_ROW)
    return true;
  if (code != SQLITE_DONE)
    check(code);
  return false;
}

std::int64_t query::integer(int column) noexcept {
  auto* value = sqlite3_column_value(on_.handle_.get(), column);
  if (sqlite3_value_type(value) != SQLITE_INTEGER) {
    sound_ = false;
    return 0;
  }
  return sqlite3_value_int64(value);
}

std::uint64_t query::natural(int column, std::uint64_t max) noexcept {
  auto value = integer(column);
  if (value < 0 || static_cast<std::uint64_t>(value) > max) {
    sound_ = false;
    return 0;
  }
  return static_cast<std::uint64_t>(value);
}

std::string_view query::text(int column) noexcept {
  return raw(column, SQLITE_TEXT);
}

std::string_view query::bytes(int column) noexcept {
  return raw(column, SQLITE_BLOB);
}

// Through sqlite3_value, which is safe as the connection belongs to one thread: it takes no mutex.
// And as a blob, also a text: sqlite3_value_text would copy it to add a final zero.
std::string_view query::raw(int column, int type) noexcept {
  auto* value = sqlite3_column_value(on_.handle_.get(), column);
  if (sqlite3_value_type(value) != type) {
    sound_ = false;
    return {};
  }
  const auto* data = static_cast<const char*>(sqlite3_value_blob(value));
  auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
  if (data == nullptr && size != 0)
    sound_ = false;
  return data == nullptr ? std::string_view{} : std::string_view{data, size};
}

bool query::null(int column) const noexcept {
  return sqlite3_column_type(on_.handle_.get(), column) == SQLITE_NULL;
}

void query::bind(std::int64_t x) {
  check(sqlite3_bind_int64(on_.handle_.get(), ++bound_, x));
}

void query::bind(std::string_view x) {
  // A null pointer would bind NULL.
  check(sqlite3_bind_text64(on_.handle_.get(), ++bound_, x.data() == nullptr ? "" : x.data(),
                            x.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void query::bind(blob x) {
  check(sqlite3_bind_blob64(on_.handle_.get(), ++bound_,
                            x.bytes.data() == nullptr ? "" : x.bytes.data(), x.bytes.size(),
                            SQLITE_STATIC));
}

void query::check(int code) const {
  if (code == SQLITE_OK)
    return;
  failure why{sqlite3_db_handle(on_.handle_.get()), on_.doing_};
  // A constructor that throws does not run the destructor.
  sqlite3_reset(on_.handle_.get());
  throw why;
}

transaction::transaction(database& db, kind what) : db_{db} {
  query{what == kind::write ? db_.transactions_->write : db_.transactions_->read}.run();
}

transaction::~transaction() {
  // An I/O error may have rolled it back already. ROLLBACK reports errors, but always ends the
  // transaction.
  if (db_.in_transaction())
    sqlite3_step(db_.transactions_->rollback.handle_.get());
  sqlite3_reset(db_.transactions_->rollback.handle_.get());
}

void transaction::commit() {
  query{db_.transactions_->commit}.run();
}

} // namespace confab::store
