// The writing session: how logs begin, by themselves or as forks, and how long they live.
#include "store/creation_rules.hpp"

#include "store/commit_rules.hpp"
#include "store/sqlite_writer.hpp"

namespace confab::store {

model::result<model::created> sqlite_writer::create(const model::conversation_name& name,
                                                    const model::creation& what,
                                                    std::int64_t now_ms) {
  std::optional<model::error> refused;
  std::optional<conversation_head> log;
  bool existed = false;
  auto done = durably([&] {
    log = head_without_expired(name.text(), now_ms);
    existed = log.has_value();
    if (existed) {
      refused = log->gone ? name_taken(name) : refuse_existing(name, log->head(), what);
      return false;
    }
    auto made = create_log(name, what, now_ms);
    if (!made) {
      refused = made.why();
      return false;
    }
    log = std::move(*made);
    return true;
  });
  if (!done)
    return done.why();
  if (refused)
    return *refused;
  forget_removed();
  heads_.put(name.text(), *log);
  sweeper_.appended(name.text());
  return model::created{log->state(), log->settings, existed};
}

model::result<conversation_head> sqlite_writer::create_log(const model::conversation_name& name,
                                                           const model::creation& what,
                                                           std::int64_t now_ms) {
  std::optional<conversation_head> source;
  log_head seen;
  if (what.fork) {
    source = living(what.fork->source.text(), now_ms, &seen.gone);
    if (source)
      seen = source->head();
  }
  auto settings = settings_of(what, source ? &seen : nullptr, now_ms);
  if (!settings)
    return settings.why();
  append first;
  std::optional<fork_origin> origin;
  std::optional<model::entry> cut;
  if (what.fork) {
    auto at = fork_origin_of(*what.fork, seen);
    if (!at)
      return at.why();
    origin = std::move(*at);
    if (origin->cut_bytes > 0) {
      auto whole = rows_.entry(what.fork->source.text(), *source, origin->at.next());
      auto copy = cut_copy(whole ? &*whole : nullptr, origin->cut_bytes);
      if (!copy)
        return copy.why();
      cut = std::move(*copy);
    }
  }
  auto log = write_.create(name.text(), *settings, now_ms);
  if (origin)
    write_.fork(log, *source, *origin,
                rows_.mark_at(what.fork->source.text(), *source, origin->at));
  if (cut)
    write_.entries(log, std::span{&*cut, 1});
  write_.entries(log, placed(what.drafts, log.tail, log.tail_id, now_ms));
  first.closes = what.closed;
  write_.status(log, first);
  return log;
}

model::status sqlite_writer::touch(const model::conversation_name& name, const model::epoch& epoch,
                                   std::int64_t expires_ms) {
  return durably([&] {
    auto log = living(name.text(), how_.wall_ms());
    if (!log || log->epoch != epoch.text)
      return false;
    query{touch_, log->row, expires_ms}.run();
    log->settings.lifetime.expires_ms = expires_ms;
    heads_.put(name.text(), *log);
    return true;
  });
}

std::optional<conversation_head> sqlite_writer::living(const std::string& name, std::int64_t now_ms,
                                                       bool* gone) {
  auto log = head_of(name);
  if (log && gone != nullptr)
    *gone = log->gone;
  if (log && !log->living(now_ms))
    log.reset();
  return log;
}

std::optional<conversation_head> sqlite_writer::head_without_expired(const std::string& name,
                                                                     std::int64_t now_ms) {
  auto log = head_of(name);
  if (!log || log->gone || log->living(now_ms))
    return log;
  sweeper_.remove(log->row);
  heads_.erase(name);
  return rows_.find(name);
}

/// A fork's head holds what its source has lost, and a source may have gone with its last fork.
void sqlite_writer::forget_removed() {
  if (sweeper_.touched_forks())
    heads_.clear();
}

} // namespace confab::store
