#include "store/sqlite_sweep.hpp"

#include "store/commit_rules.hpp"

#include <algorithm>

namespace confab::store {

namespace {

constexpr const char* removing = "removing a conversation";
constexpr const char* trimming = "trimming a conversation";
constexpr const char* expiring = "removing expired rows";

} // namespace

expiring_table::expiring_table(database& db, std::string_view select, std::string_view erase,
                               std::int64_t ttl_s)
  : select_{db, expiring, select}, erase_{db, expiring, erase}, ttl_s_{ttl_s} {}

bool expiring_table::step(std::int64_t now_ms) {
  std::vector<key> expired;
  std::uint64_t seen = 0;
  {
    auto from = at_;
    for (query row{select_, from.row, from.first, from.second, step_entries_max}; row.next();
         ++seen) {
      at_ = {row.integer(0), std::string{row.text(1)}, std::string{row.text(2)}};
      if (outlived(row.integer(3), ttl_s_, now_ms))
        expired.push_back(at_);
    }
  }
  if (seen < step_entries_max)
    at_ = {};
  for (const auto& x : expired)
    query{erase_, x.row, x.first, x.second}.run();
  return seen == step_entries_max && !expired.empty();
}

sweeper::sweeper(database& db, row_reader& rows, const options& how)
  : rows_{rows}, how_{how},
    has_forks_{db, removing, "SELECT EXISTS(SELECT 1 FROM conversations WHERE fork_row = ?1)"},
    source_{db, removing,
            "SELECT source.id, source.gone FROM conversations AS fork JOIN conversations AS source "
            "ON source.id = fork.fork_row WHERE fork.id = ?1"},
    mark_gone_{db, removing, "UPDATE conversations SET gone = 1 WHERE id = ?1"},
    expired_{
        db, removing,
        "SELECT id FROM conversations WHERE expires_ms <= ?1 AND gone = 0 AND name IS NOT NULL "
        "LIMIT 1"},
    removed_{db, removing, "SELECT id FROM conversations WHERE name IS NULL LIMIT 1"},
    rename_{db, removing, "UPDATE conversations SET name = NULL, fork_row = NULL WHERE id = ?1"},
    first_seq_{db, removing, "SELECT MIN(seq) FROM entries WHERE conversation = ?1"},
    erase_entries_{db, trimming, "DELETE FROM entries WHERE conversation = ?1 AND seq < ?2"},
    erase_producers_{db, removing,
                     "DELETE FROM producers WHERE conversation = ?1 AND producer IN "
                     "(SELECT producer FROM producers WHERE conversation = ?1 LIMIT ?2)"},
    erase_keys_{db, removing,
                "DELETE FROM idempotency_keys WHERE conversation = ?1 AND key IN "
                "(SELECT key FROM idempotency_keys WHERE conversation = ?1 LIMIT ?2)"},
    erase_cursors_{db, removing,
                   "DELETE FROM cursors WHERE conversation = ?1 AND (user, client) IN "
                   "(SELECT user, client FROM cursors WHERE conversation = ?1 LIMIT ?2)"},
    has_rows_{db, removing,
              "SELECT EXISTS(SELECT 1 FROM entries WHERE conversation = ?1)"
              " OR EXISTS(SELECT 1 FROM producers WHERE conversation = ?1)"
              " OR EXISTS(SELECT 1 FROM idempotency_keys WHERE conversation = ?1)"
              " OR EXISTS(SELECT 1 FROM cursors WHERE conversation = ?1)"},
    erase_conversation_{db, removing, "DELETE FROM conversations WHERE id = ?1"},
    conversations_{db, trimming,
                   "SELECT id, name FROM conversations WHERE id > ?1 AND name IS NOT NULL "
                   "ORDER BY id LIMIT ?2"},
    advance_{db, trimming,
             "UPDATE conversations SET first = ?2, base_ms = ?3, base_n = ?4, base_bytes = ?5 "
             "WHERE id = ?1"},
    expiring_{
        expiring_table{
            db,
            "SELECT conversation, producer, '', time_ms FROM producers "
            "WHERE (conversation, producer) > (?1, ?2) AND ?3 = '' "
            "ORDER BY conversation, producer LIMIT ?4",
            "DELETE FROM producers WHERE conversation = ?1 AND producer = ?2 AND ?3 = ''",
            how.producer_ttl_s},
        expiring_table{
            db,
            "SELECT conversation, key, '', time_ms FROM idempotency_keys "
            "WHERE (conversation, key) > (?1, ?2) AND ?3 = '' "
            "ORDER BY conversation, key LIMIT ?4",
            "DELETE FROM idempotency_keys WHERE conversation = ?1 AND key = ?2 AND ?3 = ''",
            how.producer_ttl_s},
        expiring_table{db,
                       "SELECT conversation, user, client, time_ms FROM cursors "
                       "WHERE (conversation, user, client) > (?1, ?2, ?3) "
                       "ORDER BY conversation, user, client LIMIT ?4",
                       "DELETE FROM cursors WHERE conversation = ?1 AND user = ?2 AND client = ?3",
                       how.cursor_ttl_s},
    } {}

void sweeper::appended(const std::string& name) {
  if (how_.retention.empty() || due_.size() >= due_max || due_set_.contains(name) ||
      model::rule_for(how_.retention, name) == nullptr)
    return;
  due_set_.insert(name);
  due_.push_back(name);
}

sweeper::swept sweeper::step(std::int64_t now_ms) {
  swept done;
  auto budget = step_entries_max;
  remove_expired(now_ms);
  std::optional<std::int64_t> removed;
  if (query row{removed_}; row.next())
    removed = row.integer(0);
  if (removed) {
    // Half of the step, so that a huge removal and trimming both go on.
    budget /= 2;
    erase_some(*removed, static_cast<std::int64_t>(budget));
  }
  walk();
  // What was due when the step began; a conversation that needs more goes to the end of the line.
  for (auto rest = std::min<std::size_t>(due_.size(), 2 * step_conversations_max);
       rest > 0 && budget > 0; --rest) {
    auto name = std::move(due_.front());
    due_.pop_front();
    due_set_.erase(name);
    if (!trim_one(name, now_ms, budget, done))
      appended(name);
  }
  bool expired_more = expiring_[expiring_next_++ % expiring_.size()].step(now_ms);
  done.more = removed || expired_more || !due_.empty();
  return done;
}

void sweeper::remove(std::int64_t row) {
  if (has_forks(row)) {
    touched_forks_ = true;
    query{mark_gone_, row}.run();
    return;
  }
  std::optional<std::int64_t> source;
  bool alone = false;
  if (query found{source_, row}; found.next()) {
    touched_forks_ = true;
    source = found.integer(0);
    alone = found.integer(1) != 0;
  }
  query{rename_, row}.run();
  erase_some(row, removed_at_once_max);
  if (source && alone && !has_forks(*source))
    remove(*source);
}

bool sweeper::has_forks(std::int64_t row) {
  query found{has_forks_, row};
  return found.next() && found.integer(0) != 0;
}

/// One per step: each may take many rows with it.
void sweeper::remove_expired(std::int64_t now_ms) {
  std::optional<std::int64_t> row;
  if (query found{expired_, now_ms}; found.next())
    row = found.integer(0);
  if (row)
    remove(*row);
}

void sweeper::erase_some(std::int64_t row, std::int64_t rows_max) {
  std::int64_t end = 0;
  if (query lowest{first_seq_, row}; lowest.next() && !lowest.null(0)) {
    end = static_cast<std::int64_t>(lowest.natural(0, model::seq_max.value)) + rows_max;
    // Not a seq: damage, which goes in one step.
    if (!lowest.sound())
      end = INT64_MAX;
  }
  query{erase_entries_, row, end}.run();
  for (auto* erase : {&erase_producers_, &erase_keys_, &erase_cursors_})
    query{*erase, row, rows_max}.run();
  if (query left{has_rows_, row}; left.next() && left.integer(0) != 0)
    return;
  query{erase_conversation_, row}.run();
}

void sweeper::walk() {
  if (how_.retention.empty())
    return;
  int seen = 0;
  for (query row{conversations_, walked_, step_conversations_max}; row.next(); ++seen) {
    walked_ = row.integer(0);
    appended(std::string{row.text(1)});
  }
  if (seen < step_conversations_max)
    walked_ = 0;
}

bool sweeper::trim_one(const std::string& name, std::int64_t now_ms, std::uint64_t& budget,
                       swept& done) try {
  const auto* rule = model::rule_for(how_.retention, name);
  auto parsed = model::conversation_name::parse(name);
  auto log = rows_.find(name);
  if (!log || !parsed || rule == nullptr)
    return true;
  auto mark = [&](model::seq at) {
    auto found = rows_.mark_at(name, *log, at);
    return model::retention_mark{found.id.ms, found.bytes_through};
  };
  auto target = model::retained_from(*rule, log->first, log->tail, now_ms, mark);
  if (target <= log->first)
    return true;
  model::seq next{std::min(target.value, log->first.value + budget)};
  auto base = rows_.mark_at(name, *log, {next.value - 1});
  budget -= next.value - log->first.value;
  query{advance_, log->row, next.value, base.id.ms, base.id.n, base.bytes_through}.run();
  query{erase_entries_, log->row, next.value}.run();
  touched_forks_ = touched_forks_ || has_forks(log->row);
  log->first = next;
  log->base_id = base.id;
  done.trims.push_back({*parsed, log->state()});
  return next == target;
} catch (const failure& why) {
  // A damaged log keeps what it has: its readers are told, and `confab check` names the row.
  if (why.damaged())
    return true;
  throw;
}

} // namespace confab::store
