// The writing session beside its commits: producers, closing, removing, cursors, retention.
#include "store/commit_rules.hpp"
#include "store/sqlite_writer.hpp"

namespace confab::store {

model::result<std::optional<producer_row>>
sqlite_writer::producer(const model::conversation_name& name, std::string_view producer,
                        std::int64_t now_ms) try {
  auto log = living(name.text(), now_ms);
  if (!log || producer.empty() || producer.front() == '~')
    return std::optional<producer_row>{};
  bool key = producer.front() == '=';
  query row{key ? key_ : producer_, log->row, key ? producer.substr(1) : producer};
  if (!row.next())
    return std::optional<producer_row>{};
  producer_row found;
  found.epoch = static_cast<std::uint32_t>(row.natural(0, UINT32_MAX));
  found.number = row.natural(1);
  found.last.first = {row.natural(2, model::seq_max.value)};
  found.last.count = static_cast<std::uint32_t>(row.natural(3, UINT32_MAX));
  found.last.id = {row.natural(4), row.natural(5)};
  auto time_ms = row.integer(6);
  found.fingerprint = static_cast<std::uint64_t>(row.integer(7));
  if (!row.sound())
    throw failure{"conversation " + name.text() + ": a producer's row has a wrong type or range"};
  if (outlived(time_ms, how_.producer_ttl_s, now_ms))
    return std::optional<producer_row>{};
  return std::optional{found};
} catch (const failure& why) {
  return why.as_read_error();
}

model::result<std::optional<model::receipt>>
sqlite_writer::older_receipt(const model::conversation_name& name, std::string_view producer,
                             std::uint64_t number) try {
  std::optional<model::receipt> found;
  auto log = head_of(name.text());
  if (!log || producer.empty() || producer.front() == '=' || producer.front() == '~')
    return found;
  std::uint64_t last = 0;
  std::uint64_t from = 0;
  {
    query row{producer_, log->row, producer};
    if (!row.next())
      return found;
    last = row.natural(1);
    // Through the last entry of its last batch.
    from = row.natural(2, model::seq_max.value) + row.natural(3, UINT32_MAX) - 1;
    if (!row.sound())
      throw failure{"conversation " + name.text() + ": a producer's row has a wrong type or range"};
  }
  if (number > last || last - number > numbers_back_max)
    return found;
  auto previous = last;
  for (query row{back_, log->row, from, entries_back_max}; row.next();) {
    if (row.text(2) != producer)
      continue;
    auto current = row.natural(1);
    // Backwards, numbers fall; where they rise, an earlier epoch of the producer begins.
    if (current < number || current > previous)
      break;
    previous = current;
    if (current != number)
      continue;
    model::seq at{row.natural(0, model::seq_max.value)};
    auto entry = rows_.entry(name.text(), *log, at);
    if (!row.sound() || !entry)
      throw damaged_entry(name.text(), at, "a column has the wrong type or range");
    if (!extend_receipt(found, at, entry->id))
      break;
  }
  return found;
} catch (const failure& why) {
  return why.as_read_error();
}

model::result<model::log_state> sqlite_writer::close(const model::conversation_name& name) {
  std::optional<conversation_head> log;
  bool kept = false;
  auto done = durably([&] {
    log = living(name.text(), how_.wall_ms(), &kept);
    if (!log || log->closed)
      return false;
    query{close_, log->row}.run();
    log->closed = true;
    return true;
  });
  if (!done)
    return done.why();
  if (!log)
    return kept ? gone(name) : not_found(name);
  heads_.put(name.text(), *log);
  return log->state();
}

model::status sqlite_writer::remove(const model::conversation_name& name) {
  std::optional<conversation_head> log;
  bool kept = false;
  auto done = durably([&] {
    log = living(name.text(), how_.wall_ms(), &kept);
    if (log)
      sweeper_.remove(log->row);
    return log.has_value();
  });
  if (!done)
    return done;
  if (!log)
    return kept ? gone(name) : not_found(name);
  heads_.erase(name.text());
  forget_removed();
  return model::nothing{};
}

model::status sqlite_writer::move_cursors(std::span<const cursor_move> moves, std::int64_t now_ms) {
  return durably([&] {
    bool changed = false;
    for (const auto& x : moves) {
      const auto& name = x.key.conversation.text();
      auto log = living(name, now_ms);
      if (log && x.removes) {
        query{remove_cursor_, log->row, x.key.user, x.key.client}.run();
        changed = true;
      }
      if (x.removes)
        continue;
      // Of a log that is gone meanwhile, or a place that it never had: nothing to remember.
      if (!log || log->epoch != x.epoch.text || x.at > log->tail)
        continue;
      auto id = id_at(name, *log, x.at);
      query{move_cursor_, log->row, x.key.user, x.key.client, x.epoch.text,
            x.at.value,   id.ms,    id.n,       now_ms,       now_ms - how_.cursor_ttl_s * 1000}
          .run();
      changed = true;
    }
    return changed;
  });
}

std::vector<trim> sqlite_writer::retain(std::int64_t now_ms, bool& more) {
  more = false;
  fence_.probe();
  if (!fence_.health().trouble.empty())
    return {};
  fence_.checkpoint_if_due();
  sweeper::swept swept;
  auto done = durably([&] {
    auto changes = sqlite3_total_changes64(db_.handle());
    swept = sweeper_.step(now_ms);
    return sqlite3_total_changes64(db_.handle()) != changes;
  });
  // The caller has nothing to tell anybody; health says what is wrong, and the next step tries
  // again.
  if (!done)
    return {};
  for (const auto& x : swept.trims)
    heads_.erase(x.name.text());
  forget_removed();
  more = swept.more;
  return std::move(swept.trims);
}

model::status sqlite_writer::durably(const std::function<bool()>& change) {
  if (auto refused = fence_.ready())
    return *refused;
  phase_ = commit_fence::phase::beginning;
  try {
    transaction all{db_, transaction::kind::write};
    phase_ = commit_fence::phase::running;
    if (!change())
      return model::nothing{};
    phase_ = commit_fence::phase::committing;
    all.commit();
    fence_.committed();
    return model::nothing{};
  } catch (const failure& why) {
    heads_.clear();
    fence_.suspect(why, phase_);
    return model::error{fence_.settle() ? model::code::store_failed : model::code::append_unknown,
                        why.text()};
  }
}

model::entry_id sqlite_writer::id_at(const std::string& name, const conversation_head& log,
                                     model::seq at) try {
  if (at == log.tail)
    return log.tail_id;
  // Trimmed away: its id is known no more.
  if (at.next() < log.first || at.value == 0)
    return {};
  return rows_.mark_at(name, log, at).id;
} catch (const failure& why) {
  // One damaged log must not hold up the cursors of the others; its readers are told.
  if (why.damaged())
    return {};
  throw;
}

} // namespace confab::store
