// `confab check`: walks a whole SQLite log and names what is not as it was written.
#include "store/directory_lock.hpp"
#include "store/log_check.hpp"
#include "store/sqlite_rows.hpp"
#include "store/sqlite_schema.hpp"

#include <map>
#include <vector>

namespace confab::store {

namespace {

class inspection {
public:
  inspection(database& db, const defect_sink& sink)
    : db_{db}, sink_{sink}, rows_{db, stored_number(db, "generation").value_or(1)},
      conversations_{db, "reading the conversations",
                     "SELECT id, name FROM conversations WHERE name IS NOT NULL ORDER BY id"},
      entries_{db, "reading the entries",
               std::string{"SELECT "} + entry_columns +
                   " FROM entries WHERE conversation = ?1 ORDER BY seq"},
      producers_{
          db, "reading the producers",
          "SELECT producer, number, seq, count, ms, n FROM producers WHERE conversation = ?1 "
          "UNION ALL SELECT '=' || key, number, seq, count, ms, n FROM idempotency_keys "
          "WHERE conversation = ?1"},
      sources_{db, "reading the streams' places",
               "SELECT name, place, ms, n FROM sources ORDER BY name"},
      cursors_{db, "reading the cursors",
               "SELECT user, client, epoch, seq, ms, n FROM cursors WHERE conversation = ?1"} {}

  check_summary run() {
    guarded("SQLite", [&] { integrity(); });
    guarded("table conversations", [&] {
      for (query row{conversations_}; row.next();)
        conversation(row.integer(0), std::string{row.text(1)});
    });
    guarded("table sources", [&] { sources(); });
    for (const char* table : {"entries", "producers", "idempotency_keys", "cursors"})
      guarded(table, [&] { orphans(table); });
    return summary_;
  }

private:
  void defect(const std::string& line) {
    ++summary_.defects;
    sink_(line);
  }

  /// A part that cannot be read is a defect; the others are still looked at.
  template <class Part>
  void guarded(const std::string& where, Part part) {
    try {
      part();
    } catch (const failure& why) {
      defect(where + ": " + why.text());
    }
  }

  void integrity() {
    statement pragma{db_, "checking the file", "PRAGMA integrity_check(1000)"};
    for (query row{pragma}; row.next();)
      if (row.text(0) != "ok")
        defect("SQLite: " + std::string{row.text(0)});
  }

  void conversation(std::int64_t row, const std::string& name) {
    ++summary_.conversations;
    if (auto parsed = model::conversation_name::parse(name); !parsed)
      return defect("conversation in row " + std::to_string(row) + ": " + parsed.why().detail);
    try {
      auto log = rows_.find(name);
      if (!log)
        return defect("conversation " + name + ": not found by its name");
      if (log->mirrored > log->tail)
        defect("conversation " + name + ": mirrored beyond its last, " +
               std::to_string(log->tail.value));
      entries(name, *log);
      producers(name, *log);
      cursors(name, *log);
    } catch (const failure& why) {
      defect(why.what());
    }
  }

  struct beginning {
    model::seq at;
    model::entry_id id;
    std::uint64_t bytes = 0;
  };
  /// Where a log's own rows begin. A fork's source has to hold what it shares.
  beginning own_beginning(const std::string& name, const conversation_head& log) {
    if (!log.fork || log.first > log.fork->at.next())
      return {log.first, log.base_id, log.base_bytes};
    auto at = log.fork->at;
    auto [id, bytes] = rows_.mark_at(name, log, at);
    if (id != log.fork_id || bytes != log.fork_bytes)
      defect(damaged_entry(name, at, "the source's entry there is not the one that it left at")
                 .what());
    return {at.next(), log.fork_id, log.fork_bytes};
  }

  void entries(const std::string& name, const conversation_head& log) {
    auto [at, id, bytes] = own_beginning(name, log);
    const auto first = at;
    for (query row{entries_, log.row}; row.next();) {
      model::seq found{row.natural(0, model::seq_max.value)};
      if (found.value == 0) {
        defect(damaged_entry(name, at, "a row whose seq is not one").what());
        continue;
      }
      ++summary_.entries;
      if (found < first) {
        defect(damaged_entry(name, found, "is below the log's first").what());
        continue;
      }
      if (found != at)
        defect(
            damaged_entry(name, at, "missing through " + std::to_string(found.value - 1)).what());
      bool dense = found == at;
      at = found.next();
      try {
        model::entry read;
        auto bytes_through = read_entry(row, name, log.row, found, read);
        if (read.id <= id)
          defect(damaged_entry(name, found,
                               "the id " + to_string(read.id) + " is not beyond " + to_string(id))
                     .what());
        if (dense && bytes_through != bytes + model::weight(read))
          defect(damaged_entry(name, found, "the running total is not the sum").what());
        if (read.producer == model::copy_producer && !read.source_id.empty())
          newest_copies_[name] = {found, read.source_id};
        else if (read.producer == model::copy_producer)
          newest_copies_.erase(name); // a gap: its stream may have been started over
        id = read.id;
        bytes = bytes_through;
      } catch (const failure& why) {
        defect(why.what());
        // What a damaged row says is no measure for the next one, but its running total mostly is.
        bytes = row.natural(3);
      }
    }
  }

  /// The entry at a place, if it is held and whole; damage was named already.
  std::optional<model::entry> held(const std::string& name, const conversation_head& log,
                                   model::seq at) {
    if (at < log.first || at > log.tail)
      return std::nullopt;
    try {
      return rows_.entry(name, log, at);
    } catch (const failure& why) {
      if (why.damaged())
        return std::nullopt;
      throw;
    }
  }

  void producers(const std::string& name, const conversation_head& log) {
    for (query row{producers_, log.row}; row.next();) {
      std::string producer{row.text(0)};
      auto where = "conversation " + name + ", a producer's row for seq ";
      auto number = row.natural(1);
      model::seq first{row.natural(2, model::seq_max.value)};
      auto count = row.natural(3, UINT32_MAX);
      model::entry_id id{row.natural(4), row.natural(5)};
      where += std::to_string(first.value) + ": ";
      if (!row.sound() || first.value == 0) {
        defect(where + "a column has the wrong type or range");
        return;
      }
      if (first.value + count - 1 > log.tail.value) {
        defect(where + "is beyond the log's last, " + std::to_string(log.tail.value));
        continue;
      }
      auto entry = held(name, log, first);
      if (entry &&
          (entry->producer != producer || entry->producer_seq != number || entry->id != id))
        defect(where + "the entry there is of another producer, number or id");
    }
  }

  void cursors(const std::string& name, const conversation_head& log) {
    for (query row{cursors_, log.row}; row.next();) {
      auto epoch = row.text(2) == log.epoch;
      model::seq at{row.natural(3, model::seq_max.value)};
      model::entry_id id{row.natural(4), row.natural(5)};
      auto where = "conversation " + name + ", a cursor at seq " + std::to_string(at.value) + ": ";
      if (!row.sound()) {
        defect(where + "a column has the wrong type or range");
        return;
      }
      // A cursor of an earlier epoch says nothing about this log.
      if (!epoch)
        continue;
      if (at > log.tail)
        defect(where + "is beyond the log's last, " + std::to_string(log.tail.value));
      auto entry = held(name, log, at);
      if (entry && entry->id != id && id != model::entry_id{})
        defect(where + "the entry there has another id");
    }
  }

  struct copy {
    model::seq at;
    std::string source_id;
  };

  void sources() {
    for (query row{sources_}; row.next();) {
      std::string name{row.text(0)};
      auto where = "the stream of conversation " + name + ": ";
      model::stream_place through{row.natural(1), {row.natural(2), row.natural(3)}};
      if (!row.sound() || !model::conversation_name::parse(name))
        defect(where + "its row has a wrong name, type or range");
      auto newest = newest_copies_.extract(name);
      if (newest.empty())
        continue;
      auto id = model::parse_entry_id(newest.mapped().source_id);
      if (!id || *id > through.id)
        defect(where + "it was copied through " + to_string(through.id) + ", but seq " +
               std::to_string(newest.mapped().at.value) + " is a copy of " +
               newest.mapped().source_id);
    }
    for (const auto& [name, x] : newest_copies_)
      defect("conversation " + name + ", seq " + std::to_string(x.at.value) +
             ": a copy, but how far the stream was copied is not known");
  }

  void orphans(const std::string& table) {
    statement select{db_, "looking for rows without a conversation",
                     "SELECT DISTINCT conversation FROM " + table +
                         " WHERE conversation NOT IN (SELECT id FROM conversations) LIMIT 1000"};
    for (query row{select}; row.next();)
      defect("table " + table + ": rows of conversation row " + std::to_string(row.integer(0)) +
             ", which does not exist");
  }

  database& db_;
  const defect_sink& sink_;
  row_reader rows_;
  statement conversations_;
  statement entries_;
  statement producers_;
  statement sources_;
  statement cursors_;
  /// The newest copy in each log: none can come from behind the place that its stream was copied
  /// to.
  std::map<std::string, copy> newest_copies_;
  check_summary summary_;
};

} // namespace

model::result<check_summary> check(const std::filesystem::path& directory,
                                   const defect_sink& defect) {
  auto place = "store.directory " + directory.string() + ": ";
  if (!std::filesystem::exists(directory / database_file))
    return model::error{model::code::store_failed,
                        place + "there is no " + database_file + " in it"};
  auto lock = directory_lock::take(directory, false);
  if (!lock)
    return lock.why();
  try {
    database db{{directory / database_file, "", false, 0}};
    // Whoever checks a log changes nothing in it: what a crash left in the WAL stays there.
    sqlite3_db_config(db.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    require_current_schema(db);
    configure_reader(db);
    transaction snapshot{db, transaction::kind::read};
    return inspection{db, defect}.run();
  } catch (const refusal& why) {
    return model::error{model::code::store_failed, place + why.what()};
  } catch (const failure& why) {
    return model::error{model::code::store_failed, place + why.text()};
  }
}

} // namespace confab::store
