#include "store/sqlite_append.hpp"

#include "store/commit_rules.hpp"

#include <unordered_set>

namespace confab::store {

append_statements::append_statements(database& db, const std::string& generation_suffix)
  : generation_suffix_{generation_suffix}, handle_{db.handle()},
    create_{
        db, "creating a conversation",
        "INSERT INTO conversations(name, epoch, first, base_ms, base_n, base_bytes, content_type, "
        "closed, created_ms) VALUES(?1, ?2, 1, 0, 0, 0, ?3, 0, ?4)"},
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
                                            const std::string& content_type, std::int64_t now_ms) {
  conversation_head made;
  auto token = random_epoch();
  query{create_, name, token, content_type, now_ms}.run();
  made.row = sqlite3_last_insert_rowid(handle_);
  made.epoch = token + generation_suffix_;
  made.content_type = content_type;
  return made;
}

void append_statements::entries(conversation_head& log, const append& x) {
  for (const auto& e : x.entries) {
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
  const auto& first = x.entries.front();
  if (x.producer.front() == '=')
    query{key_,
          log.row,
          std::string_view{x.producer}.substr(1),
          x.fingerprint,
          x.producer_seq,
          first.at.value,
          x.entries.size(),
          first.id.ms,
          first.id.n,
          now_ms}
        .run();
  else
    query{producer_,      log.row,          x.producer,  x.producer_epoch, x.producer_seq,
          first.at.value, x.entries.size(), first.id.ms, first.id.n,       now_ms}
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
