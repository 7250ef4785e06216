#include "store/sqlite_writer.hpp"

#include "store/commit_rules.hpp"

namespace confab::store {

namespace {

/// Every failure of one conversation's statements leaves the batch smaller; this many, and it is
/// the disk.
constexpr int tries_max = 5;

} // namespace

sqlite_writer::sqlite_writer(database& db, commit_fence& fence, const options& how,
                             std::int64_t generation)
  : db_{db}, fence_{fence}, how_{how}, rows_{db, generation},
    write_{db, '.' + std::to_string(generation)}, sweeper_{db, rows_, how},
    producer_{db, "reading a producer",
              "SELECT epoch, number, seq, count, ms, n, time_ms, 0 FROM producers "
              "WHERE conversation = ?1 AND producer = ?2"},
    key_{db, "reading an idempotency key",
         "SELECT 0, number, seq, count, ms, n, time_ms, fingerprint FROM idempotency_keys "
         "WHERE conversation = ?1 AND key = ?2"},
    back_{db, "reading back",
          "SELECT seq, producer_seq, producer FROM entries WHERE conversation = ?1 AND seq <= ?2 "
          "ORDER BY seq DESC LIMIT ?3"},
    close_{db, "closing a conversation", "UPDATE conversations SET closed = 1 WHERE id = ?1"},
    touch_{db, "moving a deadline", "UPDATE conversations SET expires_ms = ?2 WHERE id = ?1"},
    mirror_{db, "noting a mirror's place", "UPDATE conversations SET mirrored = ?2 WHERE id = ?1"},
    move_cursor_{
        db, "moving a cursor",
        "INSERT INTO cursors(conversation, user, client, epoch, seq, ms, n, time_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET epoch = "
        "excluded.epoch, seq = excluded.seq, ms = excluded.ms, n = excluded.n, time_ms = "
        "excluded.time_ms WHERE epoch <> excluded.epoch OR seq <= excluded.seq OR time_ms < ?9"},
    remove_cursor_{db, "removing a cursor",
                   "DELETE FROM cursors WHERE conversation = ?1 AND user = ?2 AND client = ?3"},
    savepoint_{db, "setting a savepoint", "SAVEPOINT append"}, release_{db, "releasing a savepoint",
                                                                        "RELEASE append"},
    undo_{db, "rolling back to a savepoint", "ROLLBACK TO append"} {}

model::result<log_head> sqlite_writer::open(const model::conversation_name& name) try {
  auto log = rows_.find(name.text());
  if (!log || !log->living(how_.wall_ms()))
    return log_head{.gone = log && log->gone};
  // The tail's id is what readers are checked against: it must be what was written.
  if (log->tail >= log->first && !rows_.entry(name.text(), *log, log->tail))
    throw damaged_entry(name.text(), log->tail, "is missing");
  heads_.put(name.text(), *log);
  return log->head();
} catch (const failure& why) {
  return why.as_read_error();
}

std::vector<chain_outcome> sqlite_writer::commit(std::span<const chain* const> chains,
                                                 std::int64_t now_ms) {
  if (auto refused = fence_.ready())
    return refuse_all(chains, *refused);
  fence_.checkpoint_if_due();
  std::vector<work> works;
  works.reserve(chains.size());
  for (const auto* x : chains)
    works.emplace_back(*x);

  for (int tries = 1;; ++tries) {
    try {
      attempt(works, tries == 1 ? mode::together : mode::one_by_one, now_ms);
      break;
    } catch (const failure& why) {
      heads_.clear();
      fence_.suspect(why, phase_);
      // No chain's fault, or one after the other fails: everything not refused by a rule does.
      bool hopeless = running_ == nullptr || tries == tries_max;
      if (hopeless) {
        for (auto& x : works)
          if (!x.left_out && (!x.why || x.staged > 0))
            fail(x, why);
        break;
      }
      if (tries > 1) {
        fail(*running_, why);
        running_->left_out = true;
      }
    }
  }
  finish(works);
  forget_removed();

  std::vector<chain_outcome> outcomes;
  outcomes.reserve(works.size());
  for (auto& x : works) {
    auto state = x.after    ? x.after->head().state
                 : x.failed ? believed(*x.from)
                            : model::log_state{};
    outcomes.push_back({x.staged, std::move(state), std::move(x.why)});
  }
  return outcomes;
}

void sqlite_writer::attempt(std::vector<work>& works, mode how, std::int64_t now_ms) {
  running_ = nullptr;
  phase_ = commit_fence::phase::beginning;
  transaction all{db_, transaction::kind::write};
  phase_ = commit_fence::phase::running;
  bool changed = false;
  for (auto& x : works) {
    if (x.left_out)
      continue;
    running_ = &x;
    x = work{*x.from};
    try {
      x.before = x.after = head_without_expired(x.from->name.text(), now_ms);
      stage(x, how, now_ms);
    } catch (const failure& why) {
      if (how == mode::together || !db_.in_transaction())
        throw;
      fail(x, why);
    }
    changed = changed || x.staged > 0 || x.created;
  }
  running_ = nullptr;
  if (!changed)
    return;
  phase_ = commit_fence::phase::committing;
  all.commit();
  fence_.committed();
  for (const auto& x : works)
    if (x.staged > 0 || x.created) {
      heads_.put(x.from->name.text(), *x.after);
      sweeper_.appended(x.from->name.text());
    }
}

void sqlite_writer::stage(work& x, mode how, std::int64_t now_ms) {
  const auto& from = *x.from;
  x.why = refuse_chain(x.before ? x.before->head() : log_head{}, from);
  if (x.why)
    return;
  if (from.appends.empty() && !x.before) {
    x.after = write_.create(from.name.text(), {from.content_type, {}}, now_ms);
    x.created = true;
  }
  for (const auto& next : from.appends) {
    x.why = refuse_append(x.after ? x.after->head() : log_head{}, from.name, *next);
    if (!x.why && next->copies)
      x.why = refuse_copies(write_.copied(from.name.text()), from.name, *next->copies);
    if (x.why)
      break;
    if (how == mode::together)
      stage_append(x, *next, now_ms);
    else if (!stage_alone(x, *next, now_ms))
      break;
    ++x.staged;
  }
  if (how == mode::together && x.staged > 0)
    write_.producers(*x.after, std::span{from.appends}.first(x.staged), now_ms);
}

void sqlite_writer::stage_append(work& x, const append& next, std::int64_t now_ms) {
  if (!x.after)
    x.after = write_.create(x.from->name.text(), {x.from->content_type, {}}, now_ms);
  write_.entries(*x.after, next.entries);
  write_.status(*x.after, next);
  if (next.copies)
    write_.copied(x.from->name.text(), next.copies->through);
}

/// @returns false when the append failed without harm to the rest.
bool sqlite_writer::stage_alone(work& x, const append& next, std::int64_t now_ms) {
  query{savepoint_}.run();
  auto before = x.after;
  try {
    stage_append(x, next, now_ms);
    write_.producer(*x.after, next, now_ms);
  } catch (const failure& why) {
    if (!db_.in_transaction())
      throw;
    query{undo_}.run();
    query{release_}.run();
    x.after = std::move(before);
    auto staged = x.staged;
    fail(x, why);
    x.staged = staged;
    if (why.store_wide())
      fence_.suspect(why, phase_);
    return false;
  }
  query{release_}.run();
  return true;
}

void sqlite_writer::fail(work& x, const failure& why) {
  x.why = model::error{why.damaged() ? model::code::log_damaged : model::code::store_failed,
                       "conversation " + x.from->name.text() + ": " + why.text()};
  x.failed = true;
  x.staged = 0;
  x.created = false;
}

/// Before anybody is told "failed", the fence makes it final.
void sqlite_writer::finish(std::vector<work>& works) {
  bool final = fence_.settle();
  for (auto& x : works) {
    if (x.failed && x.staged == 0)
      x.after = x.before;
    if (x.failed && !final)
      x.why->what = model::code::append_unknown;
  }
}

std::vector<chain_outcome> sqlite_writer::refuse_all(std::span<const chain* const> chains,
                                                     const model::error& why) {
  std::vector<chain_outcome> outcomes;
  for (const auto* x : chains) {
    auto log = open(x->name);
    outcomes.push_back({0, log ? log->state : believed(*x), why});
  }
  return outcomes;
}

std::optional<conversation_head> sqlite_writer::head_of(const std::string& name) {
  if (const auto* known = heads_.find(name))
    return *known;
  auto log = rows_.find(name);
  if (log)
    heads_.put(name, *log);
  return log;
}

} // namespace confab::store
