// The statements of an append: a new conversation's row, entries, and what is remembered of
// producers.
#pragma once

#include "store/sqlite_rows.hpp"

#include <span>

namespace confab::store {

/// Runs inside a transaction of its caller. Methods throw `failure`.
class append_statements {
public:
  append_statements(database& db, const std::string& generation_suffix);

  [[nodiscard]] conversation_head create(const std::string& name, const model::settings& settings,
                                         std::int64_t now_ms);
  /// The new log, which has no entries yet, is a fork that leaves `source` at `origin`, whose id
  /// and running total are those of `at`.
  void fork(conversation_head& log, const conversation_head& source, const fork_origin& origin,
            const row_reader::mark& at);
  /// Writes the entries and moves the head's tail behind them.
  void entries(conversation_head& log, std::span<const model::entry> all);
  /// Whether the log is closed, its `Stream-Seq` and its deadline, if the append changes one.
  void status(conversation_head& log, const append& x);
  /// Up to where a stream was copied. Empty: never looked at.
  [[nodiscard]] std::optional<model::stream_place> copied(const std::string& name);
  void copied(const std::string& name, const model::stream_place& through);
  /// The producer's row, unless it is an internal one (`~…`) or none.
  void producer(const conversation_head& log, const append& x, std::int64_t now_ms);
  /// The rows of all producers in `appends`, each once, with its last number.
  void producers(const conversation_head& log,
                 std::span<const std::shared_ptr<const append>> appends, std::int64_t now_ms);

private:
  std::string generation_suffix_;
  sqlite3* handle_;
  statement create_;
  statement fork_;
  statement status_;
  statement source_;
  statement move_source_;
  statement entry_;
  statement producer_;
  statement key_;
};

} // namespace confab::store
