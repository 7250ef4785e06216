// The copier's side towards Redis: what of which stream is read, and what its state says.
#include "actors/stream_copier.hpp"

#include <spdlog/spdlog.h>

#include <limits>

namespace confab::actors {

namespace {

using phase = stream_copier_state::source::phase;

/// Streams that are read in one go, and entries of each, at most.
constexpr std::size_t streams_max = 64;
constexpr std::size_t page_entries = 256;
/// Time between two looks at a watched stream is spread over so many turns.
constexpr std::size_t turns = 50;
/// One of so many looks also sees whether the last handled entry is still there, at its place.
constexpr std::uint64_t whole_look = 12;

} // namespace

void stream_copier_state::start() {
  buckets.resize(turns);
  // Other processes begin at other times.
  auto jitter =
      std::hash<std::string>{}(env->incarnation) % static_cast<std::uint64_t>(how.reconcile_ms);
  self->delayed_send(self, std::chrono::milliseconds{jitter / turns}, atom::reconcile::value);
}

std::set<model::conversation_name>&
stream_copier_state::bucket_of(const model::conversation_name& x) {
  return buckets[std::hash<model::conversation_name>{}(x) % buckets.size()];
}

void stream_copier_state::schedule_work(std::int64_t wait_ms) {
  if (working)
    return;
  working = true;
  if (wait_ms == 0)
    self->send(self, atom::work::value);
  else
    self->delayed_send(self, std::chrono::milliseconds{wait_ms}, atom::work::value);
}

bool stream_copier_state::connect() {
  if (auto there = how.streams->connect(); !there) {
    env->redis_health.down("copies", there.why().detail);
    schedule_work(std::max<std::int64_t>(20, how.streams->retry_in_ms()));
    return false;
  }
  env->redis_health.up("copies");
  if (std::exchange(run_id, how.streams->run_id()) != how.streams->run_id())
    for (const auto& bucket : buckets) // it may have lost what it had
      for (const auto& of : bucket)
        make_due(of, sources[of]);
  return true;
}

void stream_copier_state::work() {
  working = false;
  if (due.empty() || !directory || !connect())
    return;
  std::vector<model::conversation_name> whole;
  std::vector<store::stream_mark> plain;
  while (!due.empty() && plain.size() + whole.size() < streams_max) {
    auto of = std::move(due.front());
    due.pop_front();
    auto& x = sources[of];
    std::move(x.waiting.begin(), x.waiting.end(), std::back_inserter(x.covered));
    x.waiting.clear();
    x.now = phase::idle;
    if (!x.stored || x.at.place == 0 || x.whole)
      whole.push_back(std::move(of));
    else
      plain.push_back({std::move(of), x.at});
  }
  if (!plain.empty()) {
    auto pages = how.streams->read(plain, page_entries);
    if (!pages) {
      std::vector<model::conversation_name> names;
      for (auto& x : plain)
        names.push_back(std::move(x.name));
      put_back(whole, false, pages.why());
      return put_back(names, true, pages.why());
    }
    for (std::size_t i = 0; i < plain.size(); ++i)
      if (!read(plain[i].name, sources[plain[i].name], std::move((*pages)[i])))
        whole.push_back(plain[i].name);
  }
  look_at(whole);
  if (!due.empty())
    schedule_work(0);
}

/// @param whole the reply may have been too large: ask for less.
void stream_copier_state::put_back(const std::vector<model::conversation_name>& names, bool whole,
                                   const model::error& why) {
  env->redis_health.down("copies", why.detail);
  for (const auto& of : names) {
    auto& x = sources[of];
    x.whole = x.whole || whole;
    x.now = phase::due;
    due.push_back(of);
  }
  schedule_work(std::max<std::int64_t>(20, how.streams->retry_in_ms()));
}

/// @returns false when the stream must be looked at as a whole.
bool stream_copier_state::read(const model::conversation_name& of, source& x,
                               model::result<std::vector<model::stream_entry>>&& got) {
  if (!got) {
    failed(of, x, got.why());
    return true;
  }
  // Whether the last handled one is there tells whether the stream goes on.
  if (got->empty() || got->front().id != to_string(x.at.id))
    return false;
  page made;
  made.more = got->size() > page_entries;
  got->erase(got->begin());
  take(of, x, std::move(made), std::move(*got));
  return true;
}

model::entry_id stream_copier_state::look_from(const source& x) const {
  if (x.stored)
    return x.at.id;
  if (how.import_all)
    return {};
  // The last id before this log was first bridged.
  return {static_cast<std::uint64_t>(how.since_ms - 1), std::numeric_limits<std::int64_t>::max()};
}

void stream_copier_state::look_at(const std::vector<model::conversation_name>& names) {
  if (names.empty())
    return;
  std::vector<store::stream_mark> marks;
  for (const auto& of : names) {
    auto& x = sources[of];
    if (!x.stored)
      x.at = {0, look_from(x)};
    marks.push_back({of, x.at});
  }
  auto looks = how.streams->look(marks);
  if (!looks)
    return put_back(names, false, looks.why());
  for (std::size_t i = 0; i < names.size(); ++i)
    looked(names[i], sources[names[i]], std::move((*looks)[i]));
}

/// One stream could not be read, though Redis answers.
void stream_copier_state::failed(const model::conversation_name& of, source& x,
                                 const model::error& why) {
  if (why.what == model::code::unsupported)
    return give_up(of, x, why.detail);
  rest(of, x, why, std::chrono::seconds{1});
}

void stream_copier_state::looked(const model::conversation_name& of, source& x,
                                 model::result<store::stream_look>&& seen) {
  if (!seen)
    return failed(of, x, seen.why());
  // One that was deleted may come back as another.
  if (!seen->exists)
    return settle(of, x);
  auto step = model::next_step(
      {.stored = x.stored, .at = x.at, .restarts = x.restarts, .owes_gap = x.gap.has_value()},
      seen->facts, !seen->entries.empty(), how.import_all);
  if (step.begins_anew)
    return look_again(of, x);
  page made;
  made.more = seen->more;
  x.at = step.at;
  x.whole = x.whole && seen->more;
  if (step.gap)
    spdlog::warn("copies: {}: entries are missing from its stream: {}", of.text(),
                 step.gap->payload);
  if (std::exchange(x.restarts, false))
    x.gap = std::move(step.gap);
  else if (step.gap)
    made.drafts.push_back(std::move(*step.gap));
  take(of, x, std::move(made), std::move(seen->entries));
}

/// The stream is another one, or an older state of it: from its beginning, without what the log
/// has.
void stream_copier_state::look_again(const model::conversation_name& of, source& x) {
  spdlog::warn("copies: {}: its stream is not the one that was copied, or was set back", of.text());
  x.doubtful = std::max(x.doubtful, x.at.id);
  x.restarts = true;
  x.at = {};
  look_at({of});
}

void stream_copier_state::reconcile() {
  auto turn = reconciled++;
  self->delayed_send(self,
                     std::chrono::milliseconds{std::max<std::int64_t>(1, how.reconcile_ms / turns)},
                     atom::reconcile::value);
  auto& bucket = buckets[turn % turns];
  auto whole = turn / turns % whole_look == 0;
  std::vector<store::stream_mark> marks;
  for (const auto& of : bucket) {
    auto& x = sources[of];
    if (x.now != phase::idle)
      continue;
    if (whole || !x.stored) {
      x.whole = true;
      make_due(of, x);
      continue;
    }
    marks.push_back({of, x.at});
  }
  if (marks.empty() || !connect())
    return;
  env->counted.looks.add(marks.size());
  auto grew = how.streams->grew(marks);
  if (!grew)
    return env->redis_health.down("copies", grew.why().detail);
  for (std::size_t i = 0; i < marks.size(); ++i)
    // What is wrong with it shows when it is read.
    if ((*grew)[i])
      make_due(marks[i].name, sources[marks[i].name]);
}

} // namespace confab::actors
