#include "actors/stream_mirror.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>

namespace confab::actors {

namespace {

using phase = stream_mirror_state::mirrored_log::phase;

/// Beyond it, those that are up to date are forgotten; the ledger knows them.
constexpr std::size_t logs_max = 10'000;
/// Pages that are sent in one go.
constexpr std::size_t pages_max = 16;
/// Pages in memory: while Redis is away, everything else waits as a name.
constexpr std::size_t pages_held_max = 64;
/// Beyond it, names are left to a walk over the log.
constexpr std::size_t names_max = 100'000;
constexpr std::size_t walk_limit = 500;
/// The ledger may be so far behind: after a restart the script tells what was mirrored.
constexpr std::chrono::milliseconds note_period{1000};
constexpr std::chrono::milliseconds short_rest{1000};
constexpr std::chrono::milliseconds long_rest{60'000};

bool is_mirrored(const model::entry& x) {
  return x.producer != model::copy_producer;
}

bool worth_sending(const model::page& x, const model::epoch& epoch) {
  return x.state.epoch == epoch && std::any_of(x.entries.begin(), x.entries.end(), is_mirrored);
}

} // namespace

void stream_mirror_state::grew(const model::conversation_name& of, const model::log_state& state,
                               model::seq from) {
  if (waiting.size() >= names_max) {
    walk_again = true;
    return;
  }
  auto& x = logs[of];
  if (x.state.epoch != state.epoch)
    x.known = false;
  // Since it was up to date only copies have come.
  else if (x.known && x.now == phase::idle && from.value > 0 && x.at == x.state.tail)
    x.at = {std::max(x.at.value, from.value - 1)};
  x.state = state;
  if (x.now == phase::idle)
    go_on(of, x);
  forget_some();
}

void stream_mirror_state::walk(const std::string& after) {
  self->request(readers->front(), caf::infinite, atom::list::value,
                list_range{"", after, walk_limit})
      .then([this](const list_read& got) { walked(got); },
            [this](const caf::error& why) {
              spdlog::debug("mirrors: {}", self->system().render(why));
            });
}

void stream_mirror_state::walked(const list_read& got) {
  if (!got) {
    // What was left behind stays so until its conversation grows.
    spdlog::error("mirrors: the conversations cannot be listed: {}", got.why().detail);
    return;
  }
  for (const auto& x : *got) {
    const auto& state = x.head.state;
    if (x.head.mirrored < state.tail &&
        state.tail_id.ms >= static_cast<std::uint64_t>(how.since_ms))
      grew(x.name, state, {});
  }
  if (got->size() == walk_limit)
    walk(got->back().name.text());
}

void stream_mirror_state::enter(mirrored_log& x, phase next) {
  behind += (next != phase::idle ? 1 : 0) - (x.now != phase::idle ? 1 : 0);
  x.now = next;
  env->counted.mirrors_behind.set(behind);
}

void stream_mirror_state::go_on(const model::conversation_name& of, mirrored_log& x) {
  if (!x.known)
    return ask(of, x);
  if (x.at < x.state.tail)
    return read(of, x);
  enter(x, phase::idle);
}

void stream_mirror_state::ask(const model::conversation_name& of, mirrored_log& x) {
  enter(x, phase::asking);
  self->request(writer, caf::infinite, atom::open::value, of)
      .then([this, of](const opened& got) { opened_log(of, got); },
            [this, of](const caf::error& why) {
              opened_log(of, model::error{model::code::read_failed, self->system().render(why)});
            });
}

void stream_mirror_state::opened_log(const model::conversation_name& of, const opened& got) {
  auto& x = logs[of];
  if (!got)
    return rest(of, x, got.why(), short_rest);
  x.state = got->state;
  x.known = true;
  x.at = x.has = got->mirrored;
  if (x.at.value == 0 && got->fork)
    x.at = got->fork->at;
  if (x.at.value == 0 && x.state.tail.value > 0)
    return find_beginning(of);
  go_on(of, x);
}

void stream_mirror_state::find_beginning(const model::conversation_name& of) {
  model::entry_id before{static_cast<std::uint64_t>(how.since_ms - 1),
                         std::numeric_limits<std::int64_t>::max()};
  auto answer = [this, of](const located& got) {
    auto& x = logs[of];
    if (!got)
      return rest(of, x, got.why(), short_rest);
    if (got->found && got->found->epoch == x.state.epoch)
      x.at = got->found->at;
    go_on(of, x);
  };
  self->request(readers->front(), caf::infinite, atom::locate::value,
                locate_request{of, model::lookup::id, {}, before})
      .then(answer, [this, answer](const caf::error& why) {
        answer(model::error{model::code::read_failed, self->system().render(why)});
      });
}

void stream_mirror_state::read(const model::conversation_name& of, mirrored_log& x) {
  if (pages_held >= pages_held_max) {
    enter(x, phase::waiting);
    waiting.push_back(of);
    return;
  }
  ++pages_held;
  enter(x, phase::reading);
  self->request(readers->front(), caf::infinite, atom::page::value,
                page_range{of, x.at.next(), x.state.tail})
      .then([this, of](const page_read& got) { arrived(of, got); },
            [this, of](const caf::error& why) {
              arrived(of, model::error{model::code::read_failed, self->system().render(why)});
            });
}

/// The page is no longer held: another one may be read.
void stream_mirror_state::let_go(mirrored_log& x) {
  x.page = nullptr;
  --pages_held;
  while (!waiting.empty() && pages_held < pages_held_max) {
    auto of = std::move(waiting.front());
    waiting.pop_front();
    go_on(of, logs[of]);
  }
}

void stream_mirror_state::arrived(const model::conversation_name& of, const page_read& got) {
  auto& x = logs[of];
  if (!got || !worth_sending(**got, x.state.epoch))
    let_go(x);
  if (!got)
    return rest(of, x, got.why(),
                got.why().what == model::code::log_damaged ? long_rest : short_rest);
  const auto& page = **got;
  if (page.state.epoch != x.state.epoch) {
    // Deleted meanwhile, or another log by now, which will say that it has grown.
    x.known = false;
    enter(x, phase::idle);
    return;
  }
  if (page.entries.empty()) {
    // Retention was faster.
    x.at = x.state.tail;
    return go_on(of, x);
  }
  if (!worth_sending(page, x.state.epoch))
    return moved(of, x, page.entries.back().at);
  x.page = *got;
  enter(x, phase::due);
  due.push_back(of);
  schedule_work(0);
}

store::mirrored_page stream_mirror_state::due_page(const model::conversation_name& of,
                                                   const mirrored_log& x) const {
  const auto& entries = x.page->entries;
  store::mirrored_page made{.name = of,
                            .epoch = x.state.epoch,
                            .has = x.has,
                            .through = entries.back().at,
                            .behind_a_hole = entries.front().at.value - 1 > x.at.value,
                            .entries = {}};
  for (const auto& y : entries)
    if (is_mirrored(y))
      made.entries.push_back(&y);
  return made;
}

void stream_mirror_state::work() {
  working = false;
  if (due.empty())
    return;
  auto there = how.streams->connect();
  std::vector<store::mirrored_page> pages;
  for (; there && !due.empty() && pages.size() < pages_max; due.pop_front())
    pages.push_back(due_page(due.front(), logs[due.front()]));
  using outcomes = model::result<std::vector<model::result<model::seq>>>;
  auto added = there ? how.streams->add(pages) : outcomes{there.why()};
  if (!added) {
    env->redis_health.down("mirrors", added.why().detail);
    for (auto& x : pages)
      due.push_back(std::move(x.name));
    return schedule_work(std::max<std::int64_t>(20, how.streams->retry_in_ms()));
  }
  note_health(*added);
  if (std::exchange(walk_again, false))
    walk("");
  for (std::size_t i = 0; i < pages.size(); ++i)
    answered(pages[i].name, logs[pages[i].name], (*added)[i]);
  if (!due.empty())
    schedule_work(0);
}

/// Also a Redis that answers may refuse: full, or a replica by now.
void stream_mirror_state::note_health(const std::vector<model::result<model::seq>>& added) {
  auto refused = std::find_if(added.begin(), added.end(), [](const auto& x) {
    return !x && x.why().what != model::code::unsupported;
  });
  if (refused == added.end())
    env->redis_health.up("mirrors");
  else
    env->redis_health.down("mirrors", refused->why().detail);
}

void stream_mirror_state::answered(const model::conversation_name& of, mirrored_log& x,
                                   const model::result<model::seq>& has) {
  auto last = x.page->entries.back().at;
  auto entries = std::count_if(x.page->entries.begin(), x.page->entries.end(), is_mirrored);
  let_go(x);
  if (!has)
    return rest(of, x, has.why(),
                has.why().what == model::code::unsupported ? long_rest : short_rest);
  x.has = *has;
  if (x.has < last) {
    spdlog::warn("mirrors: {}: Redis has it through seq {} only; going back", of.text(),
                 x.has.value);
    x.at = x.has;
    return go_on(of, x);
  }
  env->counted.mirrored_entries.add(static_cast<std::uint64_t>(entries));
  moved(of, x, last);
}

void stream_mirror_state::moved(const model::conversation_name& of, mirrored_log& x,
                                model::seq through) {
  x.at = through;
  if (moves.empty())
    self->delayed_send(self, note_period, atom::mirrored::value);
  moves.insert_or_assign(of, store::mirror_move{of, x.state.epoch, through});
  go_on(of, x);
}

void stream_mirror_state::note() {
  mirror_moves all;
  for (auto& [of, x] : std::exchange(moves, {}))
    all.push_back(std::move(x));
  if (all.empty())
    return;
  self->request(ledger, caf::infinite, atom::mirrored::value, all)
      .then(
          [](const model::status& done) {
            // The script knows better in any case.
            if (!done)
              spdlog::error("mirrors: their places were not noted: {}", done.why().detail);
          },
          [this](const caf::error& why) {
            spdlog::debug("mirrors: {}", self->system().render(why));
          });
}

void stream_mirror_state::rest(const model::conversation_name& of, mirrored_log& x,
                               const model::error& why, std::chrono::milliseconds wait) {
  env->counted.mirror_rests.add();
  if (complaints.allows(env->wall_ms()))
    spdlog::warn("mirrors: {}: {} ({} more such lines were left out)", of.text(), why.detail,
                 complaints.left_out());
  enter(x, phase::resting);
  self->delayed_send(self, wait, atom::look::value, of);
}

void stream_mirror_state::schedule_work(std::int64_t wait_ms) {
  if (working)
    return;
  working = true;
  if (wait_ms == 0)
    self->send(self, atom::work::value);
  else
    self->delayed_send(self, std::chrono::milliseconds{wait_ms}, atom::work::value);
}

void stream_mirror_state::forget_some() {
  if (logs.size() <= logs_max)
    return;
  for (auto i = logs.begin(); i != logs.end() && logs.size() > logs_max / 2;)
    i = i->second.now == phase::idle ? logs.erase(i) : std::next(i);
}

stream_mirror_actor::behavior_type
stream_mirror(stream_mirror_state::self_pointer self, mirror_options how,
              ledger_writer_actor writer,
              std::shared_ptr<const std::vector<log_reader_actor>> readers, environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.how = std::move(how);
  state.writer = writer;
  state.ledger = writer;
  state.readers = std::move(readers);
  state.walk("");
  return {
      [&state](atom::grew, const model::conversation_name& x, const model::log_state& log,
               model::seq from) { state.grew(x, log, from); },
      [&state](atom::look, const model::conversation_name& x) {
        auto& found = state.logs[x];
        found.known = false;
        state.go_on(x, found);
      },
      [&state](atom::work) { state.work(); },
      [&state](atom::mirrored) { state.note(); },
  };
}

} // namespace confab::actors
