// The copier's side towards Redis: what of which stream is read, and what its state says.
#include "actors/stream_copier.hpp"

#include "store/stream_reply.hpp"

#include <spdlog/spdlog.h>

#include <limits>
#include <random>

namespace confab::actors {

namespace {

using phase = stream_copier_state::source::phase;

/// Streams that are read in one go, and entries of each, at most.
constexpr std::size_t streams_max = 64;
constexpr std::int64_t page_entries = 256;
/// Time between two looks at a watched stream is spread over so many turns.
constexpr std::size_t turns = 50;
/// One of so many looks also sees whether the last handled entry is still there, at its place.
constexpr std::uint64_t whole_look = 12;
constexpr std::string_view xrange = "XRANGE";

} // namespace

void stream_copier_state::start() {
  buckets.resize(turns);
  std::random_device random;
  auto jitter = random() % static_cast<std::uint64_t>(how.reconcile_ms);
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
  if (auto there = redis->connect(); !there) {
    env->redis_health.down("copies", there.why().detail);
    schedule_work(std::max<std::int64_t>(20, redis->retry_in_ms()));
    return false;
  }
  env->redis_health.up("copies");
  if (std::exchange(run_id, redis->facts().run_id) != redis->facts().run_id)
    for (const auto& bucket : buckets) // it may have lost what it had
      for (const auto& of : bucket)
        make_due(of, sources[of]);
  return true;
}

void stream_copier_state::work() {
  working = false;
  if (due.empty() || !directory || !connect())
    return;
  std::vector<model::conversation_name> plain, whole;
  std::vector<store::redis_command> commands;
  while (!due.empty() && plain.size() + whole.size() < streams_max) {
    auto of = std::move(due.front());
    due.pop_front();
    auto& x = sources[of];
    std::move(x.waiting.begin(), x.waiting.end(), std::back_inserter(x.covered));
    x.waiting.clear();
    x.now = phase::idle;
    if (!x.stored || x.at.place == 0 || x.whole) {
      whole.push_back(std::move(of));
      continue;
    }
    // The last handled one too: whether it is there tells whether the stream goes on.
    commands.push_back(store::redis_command{xrange}
                           .add(model::stream_of(of))
                           .add(to_string(x.at.id))
                           .add("+")
                           .add("COUNT")
                           .add(page_entries + 1));
    plain.push_back(std::move(of));
  }
  if (!plain.empty()) {
    auto replies = redis->send_all(commands);
    if (!replies) {
      put_back(whole, false, replies.why());
      return put_back(plain, true, replies.why());
    }
    for (std::size_t i = 0; i < plain.size(); ++i)
      if (!read(plain[i], sources[plain[i]], (*replies)[i]))
        whole.push_back(plain[i]);
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
  schedule_work(std::max<std::int64_t>(20, redis->retry_in_ms()));
}

/// @returns false when the stream must be looked at as a whole.
bool stream_copier_state::read(const model::conversation_name& of, source& x,
                               const store::redis_reply& reply) {
  if (reply.refuses("WRONGTYPE")) {
    give_up(of, x, "the key is of another type");
    return true;
  }
  auto entries = store::stream_entries(reply, xrange);
  if (!entries) {
    rest(of, x, entries.why(), std::chrono::seconds{1});
    return true;
  }
  if (entries->empty() || entries->front().id != to_string(x.at.id))
    return false;
  page made;
  made.more = entries->size() > static_cast<std::size_t>(page_entries);
  entries->erase(entries->begin());
  take(of, x, std::move(made), std::move(*entries));
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
  std::vector<store::redis_call> calls;
  for (const auto& of : names) {
    auto& x = sources[of];
    if (!x.stored)
      x.at = {0, look_from(x)};
    calls.push_back(look_call(of, x.at));
  }
  auto replies = redis->call_all(look_script, calls);
  if (!replies)
    return put_back(names, false, replies.why());
  for (std::size_t i = 0; i < names.size(); ++i)
    looked(names[i], sources[names[i]], (*replies)[i]);
}

void stream_copier_state::looked(const model::conversation_name& of, source& x,
                                 const store::redis_reply& reply) {
  if (reply.refuses("WRONGTYPE"))
    return give_up(of, x, "the key is of another type");
  auto seen = read_look(reply);
  if (!seen && seen.why().what == model::code::unsupported)
    return give_up(of, x, seen.why().detail);
  if (!seen)
    return rest(of, x, seen.why(), std::chrono::seconds{1});
  // One that was deleted may come back as another.
  if (!seen->exists)
    return settle(of, x);
  using kind = model::continuation::kind;
  page made;
  made.more = seen->more;
  auto next = continue_behind(x.at, seen->facts);
  if (next.what == kind::lost)
    return look_again(of, x);
  if (x.restarts)
    x.gap = model::gap_draft(model::gap_reason::lost, std::nullopt, x.stored->id);
  else if (!x.stored && !how.import_all) {
    // What was there before this log was bridged is not missing; if the first one came afterwards,
    // nobody knows how many of those before it did.
    if (seen->facts.first > x.at.id && next.missing > 0)
      made.drafts.push_back(model::gap_draft(model::gap_reason::trimmed, std::nullopt, {}));
  } else if (next.missing > 0) {
    made.drafts.push_back(model::gap_draft(model::gap_reason::trimmed, next.missing,
                                           x.stored ? x.at.id : model::entry_id{}));
  }
  if (!made.drafts.empty())
    spdlog::warn("copies: {}: entries are missing from its stream: {}", of.text(),
                 made.drafts.front().payload);
  if (!seen->facts.holds_last)
    x.at.place = place_before(seen->facts);
  if (seen->entries.empty() && (x.gap || !made.drafts.empty()))
    x.at = {seen->facts.added, seen->facts.last_generated};
  x.restarts = false;
  x.whole = x.whole && seen->more;
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
  std::vector<const model::conversation_name*> names;
  std::vector<store::redis_command> commands;
  for (const auto& of : bucket) {
    auto& x = sources[of];
    if (x.now != phase::idle)
      continue;
    if (whole || !x.stored) {
      x.whole = true;
      make_due(of, x);
      continue;
    }
    names.push_back(&of);
    commands.push_back(store::redis_command{xrange}
                           .add(model::stream_of(of))
                           .add('(' + to_string(x.at.id))
                           .add("+")
                           .add("COUNT")
                           .add(std::int64_t{1}));
  }
  if (names.empty() || !connect())
    return;
  env->counted.looks.add(names.size());
  auto replies = redis->send_all(commands);
  if (!replies)
    return env->redis_health.down("copies", replies.why().detail);
  for (std::size_t i = 0; i < names.size(); ++i)
    // What is wrong with it shows when it is read.
    if (const auto& reply = (*replies)[i];
        !reply.is(store::redis_reply::kind::array) || !reply.elements.empty())
      make_due(*names[i], sources[*names[i]]);
}

} // namespace confab::actors
