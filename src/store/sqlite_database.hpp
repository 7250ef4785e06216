// A SQLite connection, its prepared statements and transactions; failures are exceptions inside
// this folder.
#pragma once

#include "model/error.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace confab::store {

/// What goes wrong below a session. Thrown and caught within src/store; the interface returns
/// errors.
class failure : public std::runtime_error {
public:
  /// A failed SQLite call: what was being done, and SQLite's own words.
  failure(sqlite3* db, std::string_view doing);
  /// Bytes that are not what was written.
  explicit failure(const std::string& damage)
    : std::runtime_error{damage}, sqlite_code_{SQLITE_CORRUPT} {}

  /// Whether the whole disk or file is concerned, so that trying the parts one by one is no use.
  [[nodiscard]] bool store_wide() const noexcept;
  [[nodiscard]] bool damaged() const noexcept;
  [[nodiscard]] int primary_code() const noexcept { return sqlite_code_ & 0xff; }
  /// `read_failed` or `log_damaged`.
  [[nodiscard]] model::error as_read_error() const;
  /// Text for health and for errors: the kind of trouble first.
  [[nodiscard]] std::string text() const;

private:
  int sqlite_code_;
};

/// How long a connection waits for another one's lock. Only checkpoints, recovery and strangers
/// hold one.
inline constexpr int busy_wait_ms = 5000;

struct database_options {
  std::filesystem::path file;
  std::string vfs;
  bool create = false;
  /// Bytes of the largest row or value; 0: SQLite's own limit.
  int length_max = 0;
};

class statement;

/// One connection, hardened against hostile files. Used by one thread at a time.
class database {
public:
  /// Throws `failure`.
  explicit database(const database_options& how);
  database(const database&) = delete;
  database& operator=(const database&) = delete;
  ~database();

  [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }
  [[nodiscard]] bool in_transaction() const noexcept;
  /// Runs one or more statements that return nothing of interest. Throws `failure`.
  void run(std::string_view doing, const std::string& sql);

private:
  struct closer {
    void operator()(sqlite3* x) const noexcept { sqlite3_close_v2(x); }
  };
  friend class transaction;
  struct transaction_statements;

  std::unique_ptr<sqlite3, closer> handle_;
  std::unique_ptr<transaction_statements> transactions_;
};

/// A prepared statement, kept as long as its session. `doing` goes into error texts and must be a
/// literal.
class statement {
public:
  statement(database& db, const char* doing, std::string_view sql);

private:
  friend class query;
  friend class transaction;
  struct finalizer {
    void operator()(sqlite3_stmt* x) const noexcept { sqlite3_finalize(x); }
  };
  std::unique_ptr<sqlite3_stmt, finalizer> handle_;
  const char* doing_;
};

struct blob {
  std::string_view bytes;
};

/// One use of a statement: binds its arguments in order, and resets it when it ends. Text and blobs
/// are not copied: they must live as long as the query.
class query {
public:
  template <class... Args>
  explicit query(statement& on, const Args&... args) : on_{on} {
    (bind(args), ...);
  }
  query(const query&) = delete;
  query& operator=(const query&) = delete;
  ~query() { sqlite3_reset(on_.handle_.get()); }

  /// True when there is a row. Throws `failure`.
  bool next();
  /// Expects no rows.
  void run() { next(); }

  /// Columns of the current row. A value of another type makes the query unsound and reads as 0 or
  /// empty.
  [[nodiscard]] std::int64_t integer(int column) noexcept;
  /// An integer within [0, max], else unsound.
  [[nodiscard]] std::uint64_t natural(int column, std::uint64_t max = INT64_MAX) noexcept;
  /// Valid until the next step.
  [[nodiscard]] std::string_view text(int column) noexcept;
  [[nodiscard]] std::string_view bytes(int column) noexcept;
  [[nodiscard]] bool null(int column) const noexcept;
  /// False once a column had the wrong type or range.
  [[nodiscard]] bool sound() const noexcept { return sound_; }

private:
  std::string_view raw(int column, int type) noexcept;
  void bind(std::int64_t x);
  void bind(std::uint64_t x) { bind(static_cast<std::int64_t>(x)); }
  void bind(std::uint32_t x) { bind(static_cast<std::int64_t>(x)); }
  void bind(int x) { bind(static_cast<std::int64_t>(x)); }
  void bind(std::string_view x);
  void bind(const std::string& x) { bind(std::string_view{x}); }
  void bind(blob x);
  void check(int code) const;

  statement& on_;
  int bound_ = 0;
  bool sound_ = true;
};

/// BEGIN at construction; ROLLBACK at the end of the scope unless committed.
class transaction {
public:
  enum class kind { read, write };

  /// Throws `failure`.
  transaction(database& db, kind what);
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;
  ~transaction();

  /// Throws `failure`; the outcome on disk is then open until a fence (sqlite_fence.hpp).
  void commit();

private:
  database& db_;
};

} // namespace confab::store
