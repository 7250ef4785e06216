// A reading session of the SQLite log.
#pragma once

#include "store/log_store.hpp"
#include "store/sqlite_rows.hpp"

#include <optional>

namespace confab::store {

class sqlite_reader final : public log_reader {
public:
  /// Opens its own connection. `how` must outlive the session. Throws `failure`.
  sqlite_reader(const options& how, const database_options& where, std::int64_t generation);

  model::result<model::page> page(const model::conversation_name& name, model::seq from,
                                  model::seq through) override;
  model::result<located> locate(const model::conversation_name& name, model::seq at) override;
  model::result<located> locate_id(const model::conversation_name& name,
                                   model::entry_id id) override;
  model::result<std::vector<listed>> list(const std::string& prefix, const std::string& after,
                                          std::size_t limit) override;
  model::result<std::optional<model::position>> cursor(const cursor_key& key,
                                                       std::int64_t now_ms) override;

private:
  /// Empty as well for a log that has expired, or is kept for its forks; then `gone` is set.
  std::optional<conversation_head> living(const std::string& name, bool* gone = nullptr);
  /// Of an entry that the log holds. Throws `failure` when it is missing.
  model::position position_at(const std::string& name, const conversation_head& log, model::seq at);
  /// The place of an id: its `source_id`, else by binary search, for ids rise with seq.
  std::optional<model::seq> place_of(const std::string& name, const conversation_head& log,
                                     model::entry_id id);

  const options& how_;
  database db_;
  row_reader rows_;
  statement entries_;
  statement source_;
  statement cursor_;
  statement list_;
};

} // namespace confab::store
