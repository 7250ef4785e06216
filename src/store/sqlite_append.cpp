#include "store/sqlite_append.hpp"

#include "store/commit_rules.hpp"

#include <unordered_set>

namespace confab::store {

append_statements::append_statements(database& db, const std::string& generation_suffix)
  : generation_suffix_{generation_suffix}, handle_{db.handle()},
    create_{
        db, "creating a conversation",
        "INSERT INTO conversations(name, epoch, first, base_ms, base_n, base_bytes, content_type, "
        "closed, created_ms, expires_ms, ttl_s) "
        "VALUES(?1, ?2, 1, 0, 0, 0, ?3, 0, ?4, iif(?5, ?6, NULL), iif(?7, ?8, NULL))"},
    fork_{db, "forking a conversation",
          "UPDATE conversations SET first = ?2, base_ms = ?3, base_n = ?4, base_bytes = ?5, "
          "fork_row = ?6, fork_of = ?7, fork_seq = ?8, fork_cut = ?9, fork_ms = ?10, "
          "fork_n = ?11, fork_bytes = ?12 WHERE id = ?1"},
    status_{db, "changing a conversation",
            "UPDATE conversations SET closed = ?2, stream_seq = ?3, "
            "expires_ms = iif(?4, ?5, NULL) WHERE id = ?1"},
    source_{db, "reading a stream's place", "SELECT place, ms, n FROM sources WHERE name = ?1"},
    move_source_{db, "noting a stream's place",
                 "INSERT OR REPLACE INTO sources(name, place, ms, n) VALUES(?1, ?2, ?3, ?4)"},
    entry_{
        db, "appending an entry",
        "INSERT INTO entries(conversation, seq, ms, n, bytes_through, crc, time_ms, producer_seq, "
        "sender, kind, producer, message, source_id, payload) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"},
    producer_{
        db, "remembering a producer",
        "INSERT OR REPLACE INTO producers(conversation, producer, epoch, number, seq, count, ms, "
        "n, time_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
    key_{db, "remembering an idempotency key",
         "INSERT OR REPLACE INTO idempotency_keys(conversation, key, fingerprint, number, seq, "
         "count, "
         "ms, n, time_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"} {}

conversation_head append_statements::create(const std::string& name,
                                            const model::settings& settings, std::int64_t now_ms) {
  conversation_head made;
  auto token = random_epoch();
  const auto& life = settings.lifetime;
  query{create_,
        name,
        token,
        settings.content_type,
        now_ms,
        life.expires_ms ? 1 : 0,
        life.expires_ms.value_or(0),
        life.ttl_s ? 1 : 0,
        life.ttl_s.value_or(0)}
      .run();
  made.row = sqlite3_last_insert_rowid(handle_);
  made.epoch = token + generation_suffix_;
  made.settings = settings;
  return made;
}

void append_statements::fork(conversation_head& log, const conversation_head& source,
                             const fork_origin& origin, const row_reader::mark& at) {
  log.fork = origin;
  log.fork_id = at.id;
  log.fork_bytes = at.bytes_through;
  log.first = source.first;
  log.base_id = source.base_id;
  log.base_bytes = source.base_bytes;
  log.tail = origin.at;
  log.tail_id = at.id;
  log.tail_bytes = at.bytes_through;
  query{fork_,          log.row,    log.first.value, log.base_id.ms,  log.base_id.n,
        log.base_bytes, source.row, origin.source,   origin.at.value, origin.cut_bytes,
        at.id.ms,       at.id.n,    at.bytes_through}
      .run();
  log.share(source);
}

void append_statements::status(conversation_head& log, const append& x) {
  if (!x.closes && x.stream_seq.empty() && !x.expires_ms)
    return;
  log.closed = log.closed || x.closes;
  if (!x.stream_seq.empty())
    log.stream_seq = x.stream_seq;
  auto& deadline = log.settings.lifetime.expires_ms;
  if (x.expires_ms)
    deadline = x.expires_ms;
  query{status_,
        log.row,
        log.closed ? 1 : 0,
        blob{log.stream_seq},
        deadline ? 1 : 0,
        deadline.value_or(0)}
      .run();
}

std::optional<model::stream_place> append_statements::copied(const std::string& name) {
  query row{source_, name};
  if (!row.next())
    return std::nullopt;
  model::stream_place found{row.natural(0), {row.natural(1), row.natural(2)}};
  if (!row.sound())
    throw failure{"the row of the stream of " + name + " has a wrong type or range"};
  return found;
}

void append_statements::copied(const std::string& name, const model::stream_place& through) {
  query{move_source_, name, through.place, through.id.ms, through.id.n}.run();
}

void append_statements::entries(conversation_head& log, std::span<const model::entry> all) {
  for (const auto& e : all) {
    auto bytes_through = log.tail_bytes + model::weight(e);
    query{entry_,
          log.row,
          e.at.value,
          e.id.ms,
          e.id.n,
          bytes_through,
          checksum(log.row, e, bytes_through),
          e.time_ms,
          e.producer_seq,
          e.sender,
          e.kind,
          e.producer,
          e.message,
          e.source_id,
          blob{e.payload}}
        .run();
    log.tail = e.at;
    log.tail_id = e.id;
    log.tail_bytes = bytes_through;
  }
}

void append_statements::producer(const conversation_head& log, const append& x,
                                 std::int64_t now_ms) {
  if (x.producer.empty() || x.producer.front() == '~')
    return;
  // One without entries stands behind the tail, which it has closed.
  bool none = x.entries.empty();
  auto at = none ? log.tail.next() : x.entries.front().at;
  auto id = none ? log.tail_id : x.entries.front().id;
  if (x.producer.front() == '=')
    query{key_,
          log.row,
          std::string_view{x.producer}.substr(1),
          x.fingerprint,
          x.producer_seq,
          at.value,
          x.entries.size(),
          id.ms,
          id.n,
          now_ms}
        .run();
  else
    query{producer_,      log.row,  x.producer,       x.producer_epoch,
          x.producer_seq, at.value, x.entries.size(), id.ms,
          id.n,           now_ms}
        .run();
}

void append_statements::producers(const conversation_head& log,
                                  std::span<const std::shared_ptr<const append>> appends,
                                  std::int64_t now_ms) {
  if (appends.size() == 1)
    return producer(log, *appends.front(), now_ms);
  std::unordered_set<std::string_view> seen;
  for (auto at = appends.rbegin(); at != appends.rend(); ++at)
    if (!(*at)->producer.empty() && seen.insert((*at)->producer).second)
      producer(log, **at, now_ms);
}

} // namespace confab::store
