#include "actors/log_writer.hpp"

#include <spdlog/spdlog.h>

namespace confab::actors {

namespace {

/// Cursors may lag behind their acks by this: one transaction then carries many.
constexpr std::chrono::milliseconds cursor_gather{20};

/// A transaction takes at most so many appends, so that one commit does not keep receipts for long.
constexpr std::size_t commit_appends_max = 4096;

const model::error no_ledger{model::code::unsupported,
                             "this log keeps no account of streams that are copied"};

} // namespace

void log_writer_state::append(const append_request& x, const commit_listener& from) {
  queue.push_back({x, from});
  if (!flush_pending) {
    flush_pending = true;
    flush_after(0);
  } else if (waiting && pacing.enough(queue.size())) {
    ++flush_number; // the one that is on its way comes too late
    flush_after(0);
  }
  if (queue.size() >= commit_appends_max)
    commit();
}

void log_writer_state::flush_after(std::int64_t wait_us) {
  waiting = wait_us > 0;
  std::chrono::microseconds wait{wait_us};
  if (waiting && !env->pause)
    return self->delayed_send(self, wait, atom::flush::value, flush_number);
  if (waiting)
    env->pause(wait);
  // It lands behind everything that is in the mailbox by now.
  self->send(self, atom::flush::value, flush_number);
}

void log_writer_state::flush(std::uint64_t number) {
  if (number != flush_number || !flush_pending)
    return;
  auto wait = waiting ? pacing.go_on(queue.size()) : pacing.begin(queue.size());
  if (wait > 0)
    return flush_after(wait);
  commit();
}

void log_writer_state::commit() {
  waiting = false;
  flush_pending = false;
  ++flush_number;
  if (queue.empty())
    return;
  pacing.committed(queue.size());
  struct addressee {
    commit_listener to;
    std::uint64_t round;
  };
  std::vector<store::chain> chains;
  std::vector<addressee> addressees;
  auto all = std::exchange(queue, {});
  std::unordered_map<std::string_view, std::size_t> index;
  for (auto& [what, from] : all) {
    const auto& to = *what.to;
    auto failed = failed_rounds.find(to.name);
    if (failed != failed_rounds.end() && what.round <= failed->second)
      continue;
    auto [i, is_new] = index.try_emplace(to.name.text(), chains.size());
    if (is_new) {
      chains.push_back(
          {.name = to.name, .epoch = to.epoch, .content_type = to.content_type, .appends = {}});
      addressees.push_back({from, what.round});
    }
    chains[i->second].appends.push_back(std::move(what.what));
  }
  std::vector<const store::chain*> pointers;
  for (const auto& x : chains)
    pointers.push_back(&x);
  env->log_health.commit_begins(env->wall_ms());
  auto begun = std::chrono::steady_clock::now();
  auto outcomes = session->commit(pointers, env->wall_ms());
  auto lasted = std::chrono::steady_clock::now() - begun;
  env->counted.commits.add();
  env->counted.commit_us.add(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(lasted).count()));
  env->log_health.commit_ended(session->health());
  for (std::size_t i = 0; i < chains.size(); ++i) {
    auto& [committed, state, failure, landed] = outcomes[i];
    if (failure) {
      // Others may have replaced the log; then it is tried again, with the log as it is.
      auto level = failure->what == model::code::moved ? spdlog::level::debug : spdlog::level::err;
      spdlog::log(level, "append: {}: behind seq {}: {}: {}", chains[i].name.text(),
                  state.tail.value, to_string(failure->what), failure->detail);
      failed_rounds[chains[i].name] = addressees[i].round;
    } else {
      failed_rounds.erase(chains[i].name);
    }
    // From here on the entries belong to the conversation alone.
    chains[i].appends.clear();
    self->send(addressees[i].to, atom::committed::value,
               commit_report{addressees[i].round, committed, std::move(state), std::move(failure),
                             std::move(landed)});
  }
}

caf::result<model::status> log_writer_state::move_cursor(const store::cursor_move& x) {
  if (cursors.empty())
    self->delayed_send(self, cursor_gather, atom::cursor::value);
  auto promise = self->make_response_promise<model::status>();
  cursors.push_back({x, promise});
  return promise;
}

void log_writer_state::move_cursors() {
  auto due = std::exchange(cursors, {});
  if (due.empty())
    return;
  std::vector<store::cursor_move> moves;
  for (const auto& x : due)
    moves.push_back(x.move);
  auto done = session->move_cursors(moves, env->wall_ms());
  if (!done)
    spdlog::error("cursors: {} were not moved: {}", moves.size(), done.why().detail);
  for (auto& x : due)
    x.answer.deliver(done);
}

void log_writer_state::look(const model::conversation_name& x, const commit_listener& from) {
  // It lands behind what is in the mailbox, so one round looks for many.
  if (looks.empty())
    self->send(self, atom::look::value);
  looks.push_back(x);
  lookers.push_back(from);
}

void log_writer_state::look_all() {
  auto to = std::exchange(lookers, {});
  env->counted.looks.add(to.size());
  auto heads = session->look(std::exchange(looks, {}), env->wall_ms());
  env->log_health.commit_ended(session->health());
  for (std::size_t i = 0; i < to.size(); ++i)
    self->send(to[i], atom::look::value, std::move(heads[i]));
}

opened log_writer_state::open(const model::conversation_name& x) {
  commit();
  failed_rounds.erase(x); // a new incarnation counts its rounds anew
  return session->open(x);
}

producer_read log_writer_state::producer(const producer_request& x) {
  commit();
  if (!x.number)
    return session->producer(x.name, x.producer, env->wall_ms());
  auto found = session->older_receipt(x.name, x.producer, *x.number);
  if (!found)
    return found.why();
  if (!*found)
    return std::optional<store::producer_row>{};
  return std::optional{store::producer_row{.epoch = 0, .number = *x.number, .last = **found}};
}

store::stream_ledger* log_writer_state::ledger() {
  commit();
  return session->ledger();
}

ledger_writer_actor::behavior_type log_writer(log_writer_state::self_pointer self,
                                              std::shared_ptr<store::log_writer> session,
                                              environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.session = std::move(session);
  state.env = env;
  state.pacing = model::commit_pacing{env->at_most.gather_us};
  return {
      [&state](atom::append, const append_request& x, const commit_listener& from) {
        state.append(x, from);
      },
      [&state](atom::open, const model::conversation_name& x) { return state.open(x); },
      [&state](atom::look, const model::conversation_name& x, const commit_listener& from) {
        state.look(x, from);
      },
      [&state](atom::producer, const producer_request& x) { return state.producer(x); },
      [&state](atom::close, const model::conversation_name& x) -> state_changed {
        state.commit();
        return state.session->close(x);
      },
      [&state](atom::remove, const model::conversation_name& x) -> state_changed {
        state.commit();
        if (auto done = state.session->remove(x); !done)
          return done.why();
        return model::log_state{.life = model::lifecycle::deleted};
      },
      [&state](atom::create, const model::conversation_name& x,
               const creation& what) -> creation_done {
        state.commit();
        return state.session->create(x, *what, state.env->wall_ms());
      },
      [&state](atom::touch, const new_deadline& x) {
        if (auto done = state.session->touch(x.name, x.epoch, x.expires_ms); !done)
          spdlog::error("{}: its deadline was not moved: {}", x.name.text(), done.why().detail);
      },
      [&state](atom::cursor, const store::cursor_move& x) { return state.move_cursor(x); },
      [&state](atom::retain) {
        retained result;
        result.trims = state.session->retain(state.env->wall_ms(), result.more);
        state.env->log_health.commit_ended(state.session->health());
        return result;
      },
      [&state](atom::flush, std::uint64_t number) { state.flush(number); },
      [&state](atom::look) { state.look_all(); },
      [&state](atom::cursor) { state.move_cursors(); },
      [&state](atom::copied, const model::conversation_name& x) -> copied_read {
        auto* ledger = state.ledger();
        return ledger == nullptr ? copied_read{no_ledger} : ledger->copied(x);
      },
      [&state](atom::pass, const model::conversation_name& x,
               const model::copy_range& what) -> model::status {
        auto* ledger = state.ledger();
        return ledger == nullptr ? model::status{no_ledger} : ledger->pass(x, what);
      },
      [&state](atom::mirrored, const mirror_moves& x) -> model::status {
        auto* ledger = state.ledger();
        return ledger == nullptr ? model::status{no_ledger} : ledger->mirrored(x);
      },
      [&state](atom::stop) {
        state.commit();
        state.move_cursors();
        state.session.reset();
        state.self->quit();
        return true;
      },
  };
}

} // namespace confab::actors
