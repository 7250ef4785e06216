// The tables of the SQLite log, how older ones become today's, and the values that describe a store
// as a whole.
#pragma once

#include "store/log_store.hpp"
#include "store/sqlite_database.hpp"

#include <optional>
#include <string>

namespace confab::store {

inline constexpr int schema_version = 3;

/// Name of the database in a store's directory.
inline constexpr const char* database_file = "confab.db";

/// Settings of the writing connection. Throws `failure`.
void configure_writer(database& db, options::sync synchronous);
/// Settings of a reading connection. Throws `failure`.
void configure_reader(database& db);

/// Brings an empty or older database to `schema_version`, one transaction per step, and refuses one
/// that is newer, foreign or changed by hand. Throws `failure`, or `refusal` with a text that says
/// what to do.
void migrate(database& db);
/// Before anything is changed: only the refusals of newer and foreign ones.
void require_known_schema(database& db);
/// For whoever does not migrate: refuses older ones too.
void require_current_schema(database& db);

class refusal : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// One value of the table `store`; empty if absent. Throws `failure`.
[[nodiscard]] std::optional<std::int64_t> stored_number(database& db, std::string_view key);
[[nodiscard]] std::optional<std::string> stored_text(database& db, std::string_view key);
void store_number(database& db, std::string_view key, std::int64_t value);
void store_text(database& db, std::string_view key, std::string_view value);

/// The generation that is part of every epoch. A run that lost entries (machine crash with
/// `synchronous` below full) must not be continued under its old epochs: then the generation rises.
///
///   begin_run: boot id, synchronous, clean = 0   ... the run ...   end_run: clean = 1
///
/// Both are durable when they return, whatever the run's `synchronous` is.
/// @returns the generation of this run. Throws `failure`.
std::int64_t begin_run(database& db, options::sync synchronous, const std::string& boot_id);
void end_run(database& db);

[[nodiscard]] const char* to_string(options::sync x) noexcept;

} // namespace confab::store
