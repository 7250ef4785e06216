#include "store/sqlite_reader.hpp"

#include "store/commit_rules.hpp"
#include "store/sqlite_schema.hpp"

#include <algorithm>

namespace confab::store {

namespace {

/// Settings must be in place before the first statement is prepared.
database& configured(database& db) {
  configure_reader(db);
  return db;
}

} // namespace

sqlite_reader::sqlite_reader(const options& how, const database_options& where,
                             std::int64_t generation)
  : how_{how}, db_{where}, rows_{configured(db_), generation},
    entries_{db_, "reading a page",
             std::string{"SELECT "} + entry_columns +
                 " FROM entries WHERE conversation = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq"},
    source_{
        db_, "looking for a source id",
        "SELECT seq FROM entries WHERE conversation = ?1 AND source_id = ?2 AND source_id <> '' "
        "AND seq <= ?3 ORDER BY seq DESC LIMIT 1"},
    cursor_{
        db_, "reading a cursor",
        "SELECT epoch, seq, ms, n, time_ms FROM cursors WHERE conversation = ?1 AND user = ?2 AND "
        "client = ?3"},
    list_{db_, "listing conversations",
          "SELECT name FROM conversations WHERE name >= ?1 AND name < ?2 AND name > ?3 ORDER BY "
          "name"} {}

model::result<model::page> sqlite_reader::page(const model::conversation_name& name,
                                               model::seq from, model::seq through) try {
  model::page page;
  transaction snapshot{db_, transaction::kind::read};
  auto log = living(name.text());
  if (!log)
    return page;
  page.state = log->state();
  auto at = std::max(from, log->first);
  auto last = std::min(through, log->tail);
  if (at > last)
    return page;

  // Enough for most pages; with big payloads fewer fit.
  page.entries.reserve(std::min<std::size_t>(last.value - at.value + 1, 256));
  std::size_t bytes = 0;
  auto previous = log->base_id;
  const auto form = log->form();
  auto read_one = [&](query& row, std::int64_t holder) {
    if (page.entries.size() == model::page_entries_max)
      return false;
    if (!row.next())
      throw damaged_entry(name.text(), at, "is missing, and so is everything behind it");
    auto& entry = page.entries.emplace_back();
    (void)read_entry(row, name.text(), holder, at, entry);
    entry.form = form;
    if (entry.id <= previous)
      throw damaged_entry(name.text(), at,
                          "the id " + to_string(entry.id) + " is not beyond " +
                              to_string(previous));
    previous = entry.id;
    bytes += model::weight(entry);
    if (bytes <= model::page_bytes_max || page.entries.size() == 1)
      return true;
    page.entries.pop_back();
    return false;
  };
  // Of a fork, one part after the other: whose entries it shares, the oldest first, then its own.
  for (bool more = true; more && at <= last;) {
    auto part = log->place_of(at);
    auto end = std::min(last, part.through);
    query row{entries_, part.row, at.value, end.value};
    while (at <= end && (more = read_one(row, part.row)))
      at = at.next();
  }
  page.full = at <= last || last == through;
  return page;
} catch (const failure& why) {
  return why.as_read_error();
}

model::result<log_reader::located> sqlite_reader::locate(const model::conversation_name& name,
                                                         model::seq at) try {
  located result;
  transaction snapshot{db_, transaction::kind::read};
  auto log = living(name.text(), &result.head.gone);
  if (!log)
    return result;
  result.head = log->head();
  if (at < log->first || at > log->tail)
    return result;
  result.found = position_at(name.text(), *log, at);
  return result;
} catch (const failure& why) {
  return why.as_read_error();
}

model::result<log_reader::located> sqlite_reader::locate_id(const model::conversation_name& name,
                                                            model::entry_id id) try {
  located result;
  transaction snapshot{db_, transaction::kind::read};
  auto log = living(name.text(), &result.head.gone);
  if (!log)
    return result;
  result.head = log->head();
  auto at = place_of(name.text(), *log, id);
  if (at && at->next() == log->first)
    result.found = model::position{{log->epoch}, *at, log->base_id};
  else if (at)
    result.found = position_at(name.text(), *log, *at);
  return result;
} catch (const failure& why) {
  return why.as_read_error();
}

std::optional<conversation_head> sqlite_reader::living(const std::string& name, bool* gone) {
  auto log = rows_.find(name);
  if (log && gone != nullptr)
    *gone = log->gone;
  if (log && !log->living(how_.wall_ms()))
    log.reset();
  return log;
}

model::position sqlite_reader::position_at(const std::string& name, const conversation_head& log,
                                           model::seq at) {
  auto found = rows_.entry(name, log, at);
  if (!found)
    throw damaged_entry(name, at, "is missing");
  return {{log.epoch}, at, found->id};
}

std::optional<model::seq>
sqlite_reader::place_of(const std::string& name, const conversation_head& log, model::entry_id id) {
  auto text = to_string(id);
  // The newest part first.
  std::vector<conversation_head::place> parts{{log.row, log.tail}};
  for (auto part = log.shared.rbegin(); part != log.shared.rend(); ++part)
    parts.push_back({part->row, part->through});
  for (const auto& part : parts)
    if (query row{source_, part.row, text, part.through.value}; row.next()) {
      model::seq at{row.natural(0, model::seq_max.value)};
      if (row.sound() && at >= log.first && at <= log.tail)
        return at;
    }
  // low: not beyond the id; high: beyond it.
  auto low = log.first.value - 1;
  auto high = log.tail.value + 1;
  if (low == 0 ? log.tail < log.first : log.base_id > id)
    return std::nullopt;
  while (high - low > 1) {
    auto middle = low + (high - low) / 2;
    (rows_.mark_at(name, log, {middle}).id <= id ? low : high) = middle;
  }
  return low == 0 ? std::nullopt : std::optional{model::seq{low}};
}

model::result<std::vector<log_reader::listed>>
sqlite_reader::list(const std::string& prefix, const std::string& after, std::size_t limit) try {
  std::vector<listed> result;
  transaction snapshot{db_, transaction::kind::read};
  const auto end = prefix + '\x7f'; // no byte of a name is beyond it
  query row{list_, prefix, end, after};
  while (result.size() < limit && row.next()) {
    auto name = model::conversation_name::parse(row.text(0));
    if (!name || !row.sound())
      throw failure{"a conversation has a name that is none"};
    if (auto log = living(name->text()))
      result.push_back({std::move(*name), log->head()});
  }
  return result;
} catch (const failure& why) {
  return why.as_read_error();
}

model::result<std::optional<model::position>> sqlite_reader::cursor(const cursor_key& key,
                                                                    std::int64_t now_ms) try {
  transaction snapshot{db_, transaction::kind::read};
  auto log = living(key.conversation.text());
  if (!log)
    return std::optional<model::position>{};
  query row{cursor_, log->row, key.user, key.client};
  if (!row.next())
    return std::optional<model::position>{};
  auto epoch = model::parse_epoch(row.text(0));
  model::seq at{row.natural(1, model::seq_max.value)};
  model::entry_id id{row.natural(2), row.natural(3)};
  auto time_ms = row.integer(4);
  if (!row.sound() || !epoch)
    throw failure{"conversation " + key.conversation.text() +
                  ": a cursor has a wrong type or range"};
  if (outlived(time_ms, how_.cursor_ttl_s, now_ms))
    return std::optional<model::position>{};
  return std::optional{model::position{*epoch, at, id}};
} catch (const failure& why) {
  return why.as_read_error();
}

} // namespace confab::store
