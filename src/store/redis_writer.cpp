#include "store/redis_writer.hpp"

#include "store/commit_rules.hpp"
#include "store/creation_rules.hpp"
#include "store/redis_entries.hpp"

#include <algorithm>

namespace confab::store {

namespace {

/// A call of the script takes so much at most, so that Redis serves others in between.
constexpr std::size_t call_appends_max = 500;
constexpr std::size_t call_entries_max = 1'000;
constexpr std::size_t call_bytes_max = 4 * 1024 * 1024;
/// Before the landed appends in the script's reply.
constexpr std::size_t head_items = 9;
constexpr std::size_t landed_items = 4;

using kind = redis_reply::kind;

model::code code_of(std::string_view text) {
  using enum model::code;
  for (auto x : {moved, closed, gone, stream_seq, producer_gap, producer_epoch, producer_old})
    if (model::to_string(x) == text)
      return x;
  return text == "torn" ? append_unknown : store_failed;
}

/// Where an append was given its places.
model::receipt given(const append& x, const model::log_state& behind) {
  if (x.entries.empty())
    return {.first = behind.tail.next(), .count = 0, .id = behind.tail_id};
  return {.first = x.entries.front().at,
          .count = static_cast<std::uint32_t>(x.entries.size()),
          .id = x.entries.front().id};
}

std::size_t bytes_of(const append& x) {
  std::size_t bytes = 0;
  for (const auto& y : x.entries)
    bytes += weight(y);
  return bytes;
}

} // namespace

redis_writer::redis_writer(const redis_log_options& how, redis_places& places)
  : session_{how, places}, upkeeps_{how.producer_ttl_s} {}

void redis_writer::note(const model::error* trouble) {
  health_.trouble = trouble == nullptr ? std::string{} : trouble->detail;
}

model::result<log_head> redis_writer::open(const model::conversation_name& name) {
  return open_at(name, session_.how.wall_ms());
}

model::result<log_head> redis_writer::open_at(const model::conversation_name& name,
                                              std::int64_t now_ms) {
  auto sight = session_.observe(name, now_ms);
  if (!sight) {
    auto why = unreadable(sight.why());
    note(&why);
    return why;
  }
  return sight->head;
}

std::vector<redis_writer::work> redis_writer::begin(std::span<const chain* const> chains,
                                                    std::int64_t now_ms) {
  std::vector<work> all;
  std::vector<redis_call> calls;
  std::vector<std::size_t> asked;
  for (const auto* x : chains) {
    auto& made = all.emplace_back(work{.of = x, .outcome = {}, .sight = {}, .ttl_s = {}});
    made.outcome.state = believed(*x);
    auto known = session_.places.find(x->name);
    // One that was kept for its forks may be free by now.
    if (known && known->head.state.epoch == x->epoch && !known->head.gone) {
      made.sight = *known;
      continue;
    }
    asked.push_back(all.size() - 1);
    calls.push_back(session_.call_of(x->name, now_ms));
  }
  if (calls.empty())
    return all;
  auto replies = session_.redis.call_all(redis_scripts::observe, calls);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto& x = all[asked[i]];
    auto sight = replies ? session_.read_sight(x.of->name, (*replies)[i])
                         : model::result<redis_sight>{replies.why()};
    if (sight)
      x.sight = *sight;
    else // it was only a look: nothing was appended
      fail(x, {sight.why().what == model::code::log_damaged ? model::code::log_damaged
                                                            : model::code::store_failed,
               sight.why().detail});
  }
  return all;
}

void redis_writer::fail(work& x, model::error why) {
  x.done = true;
  x.outcome.failure = std::move(why);
}

std::vector<chain_outcome> redis_writer::commit(std::span<const chain* const> chains,
                                                std::int64_t now_ms) {
  auto all = begin(chains, now_ms);
  for (auto& x : all)
    if (!x.done) {
      x.outcome.state = x.sight.head.state;
      if (auto refused = refuse_chain(x.sight.head, *x.of))
        fail(x, *refused);
    }
  run(all, now_ms);
  std::vector<chain_outcome> outcomes;
  for (auto& x : all)
    outcomes.push_back(std::move(x.outcome));
  return outcomes;
}

std::size_t redis_writer::next_end(const work& x) {
  std::size_t entries = 0, bytes = 0;
  auto end = x.outcome.committed;
  const auto& appends = x.of->appends;
  while (
      end < appends.size() && end - x.outcome.committed < call_appends_max &&
      (end == x.outcome.committed || (entries + appends[end]->entries.size() <= call_entries_max &&
                                      bytes + bytes_of(*appends[end]) <= call_bytes_max))) {
    entries += appends[end]->entries.size();
    bytes += bytes_of(*appends[end]);
    ++end;
  }
  return end;
}

void redis_writer::run(std::vector<work>& all, std::int64_t now_ms) {
  for (;;) {
    std::vector<due_call> plain, others;
    for (auto& x : all) {
      if (x.done)
        continue;
      auto end = next_end(x);
      plain_appends what{x.sight, *x.of, x.outcome.committed, end};
      auto usual =
          x.unusual
              ? std::nullopt
              : plain_call(what, session_.how,
                           upkeeps_.due(x.of->name, x.sight.head.state.epoch, now_ms), now_ms);
      if (usual)
        plain.push_back({&x, end, std::move(*usual)});
      else
        others.push_back({&x, end, call_for(x, end, now_ms)});
    }
    if (plain.empty() && others.empty())
      return;
    call(redis_scripts::plain_append, plain, now_ms);
    call(redis_scripts::append, others, now_ms);
  }
}

void redis_writer::call(const redis_script& script, std::vector<due_call>& calls,
                        std::int64_t now_ms) {
  if (calls.empty())
    return;
  std::vector<redis_call> whats;
  for (auto& x : calls)
    whats.push_back(std::move(x.what));
  auto replies = session_.redis.call_all(script, whats);
  ++health_.commits;
  if (!replies) {
    ++health_.commit_failures;
    note(&replies.why());
    for (const auto& x : calls)
      fail(*x.of, replies.why());
    return;
  }
  note(nullptr);
  for (std::size_t i = 0; i < calls.size(); ++i)
    if (&script == &redis_scripts::plain_append)
      settle_plain(*calls[i].of, calls[i].end, (*replies)[i], now_ms);
    else
      settle(*calls[i].of, (*replies)[i], now_ms);
}

void redis_writer::settle_plain(work& x, std::size_t end, const redis_reply& reply,
                                std::int64_t now_ms) {
  if (reply.is(kind::text)) {
    ++health_.commit_failures;
    return fail(
        x, {model::code::append_unknown, "conversation " + x.of->name.text() + ": " + reply.text});
  }
  // An error reply comes before the script has written anything: the other one will name it.
  if (!reply.is(kind::integer) || reply.number <= 0) {
    x.unusual = true;
    return;
  }
  upkeeps_.done(x.of->name, x.sight.head.state.epoch, end - x.outcome.committed, now_ms);
  auto& state = x.sight.head.state;
  for (; x.outcome.committed < end; ++x.outcome.committed) {
    auto got = given(*x.of->appends[x.outcome.committed], state);
    if (!x.outcome.landed.empty())
      x.outcome.landed.push_back(got);
    state.tail = got.last();
    state.tail_id = got.last_id();
  }
  x.sight.top = state.tail_id;
  x.sight.length = static_cast<std::uint64_t>(reply.number);
  x.outcome.state = state;
  session_.places.saw(x.of->name, x.sight);
  x.done = x.outcome.committed == x.of->appends.size();
}

redis_call redis_writer::call_for(const work& x, std::size_t end, std::int64_t now_ms) const {
  auto made = session_.call_of(x.of->name, now_ms, x.sight.head.state);
  made.keys.emplace_back(model::fanout_stream);
  auto& to = made.arguments;
  const auto& how = session_.how;
  to.push_back(to_string(x.sight.top));
  to.push_back(x.of->content_type);
  to.push_back(std::to_string(how.maxlen));
  to.push_back(how.origin);
  to.push_back(std::to_string(how.producer_ttl_s * 1000));
  to.push_back(std::to_string(internal_ttl_ms));
  to.push_back(x.ttl_s ? std::to_string(*x.ttl_s) : std::string{});
  to.push_back(std::to_string(x.sight.length));
  to.push_back(std::to_string(end - x.outcome.committed));
  to.push_back(producers_kept_ms(how.producer_ttl_s));
  for (auto i = x.outcome.committed; i < end; ++i) {
    const auto& y = *x.of->appends[i];
    const auto& producer = producer_of(y);
    to.push_back(producer);
    to.push_back(producer.empty() ? std::string{} : producer_slot(producer, y.producer_seq));
  }
  for (auto i = x.outcome.committed; i < end; ++i) {
    const auto& y = *x.of->appends[i];
    auto id = y.entries.empty() ? model::entry_id{} : y.entries.front().id;
    to.push_back(std::to_string(y.producer_epoch));
    to.push_back(std::to_string(y.producer_seq));
    to.push_back(std::to_string(y.fingerprint));
    to.push_back(y.stream_seq);
    to.emplace_back(y.closes ? "1" : "0");
    to.push_back(y.expires_ms ? std::to_string(*y.expires_ms) : std::string{});
    to.push_back(to_string(id));
    to.push_back(std::to_string(id.ms));
    to.push_back(std::to_string(id.n));
    to.push_back(std::to_string(y.entries.size()));
    for (const auto& entry : y.entries)
      add_fields(to, x.of->name, entry);
  }
  return made;
}

void redis_writer::settle(work& x, const redis_reply& reply, std::int64_t now_ms) {
  const auto& all = reply.elements;
  auto whole = reply.is(kind::array) && all.size() >= head_items && all[0].is(kind::text) &&
               all[1].is(kind::text) && all[8].is(kind::integer);
  if (!whole) {
    // An error reply comes before the script has written anything.
    ++health_.commit_failures;
    auto why = unexpected(reply, "the append script");
    note(&why);
    return fail(x, reply.is(kind::error) ? why
                                         : model::error{model::code::append_unknown, why.detail});
  }
  const auto& code = all[0].text;
  if (code == "look" && !x.looked_again) {
    x.looked_again = true;
    auto sight = session_.observe(x.of->name, now_ms);
    if (sight && sight->head.state.epoch == x.of->epoch) {
      x.sight = *sight;
      return;
    }
    return fail(x, {sight ? model::code::moved : model::code::store_failed,
                    sight ? "the log was replaced" : sight.why().detail});
  }
  auto as_proposed = all.size() == head_items;
  auto open = x.of->appends.size() - x.outcome.committed;
  auto landed = static_cast<std::size_t>(std::max<std::int64_t>(0, all[8].number));
  if (landed > open || (!as_proposed && all.size() != head_items + landed * landed_items))
    return fail(x, {model::code::append_unknown, "Redis: the append script answered nonsense"});
  auto& state = x.sight.head.state;
  if (!all[3].text.empty()) {
    auto begun = state.epoch.empty();
    auto epoch = model::parse_epoch(all[3].text);
    auto tail_id = id_of(all[5]);
    auto top = id_of(all[6]);
    if (!epoch || !tail_id || !top || !all[4].is(kind::integer) || !all[7].is(kind::integer))
      return fail(x, {model::code::append_unknown, "Redis: the append script answered nonsense"});
    state.epoch = *epoch;
    for (std::size_t i = 0; i < landed; ++i) {
      const auto& y = *x.of->appends[x.outcome.committed];
      auto expected = given(y, state);
      auto got = expected;
      got.first = state.tail.next();
      if (!as_proposed) {
        const auto* item = &all[head_items + i * landed_items];
        auto id = id_of(item[2]);
        if (!item[0].is(kind::integer) || !item[1].is(kind::integer) || !id)
          return fail(x,
                      {model::code::append_unknown, "Redis: the append script answered nonsense"});
        got = {.first = {static_cast<std::uint64_t>(item[0].number)},
               .count = static_cast<std::uint32_t>(item[1].number),
               .id = *id,
               .duplicate = item[3].number == 1};
      }
      if (x.outcome.landed.empty() && got != expected)
        for (std::size_t j = 0; j < x.outcome.committed; ++j)
          x.outcome.landed.push_back(given(*x.of->appends[j], {}));
      if (got != expected || !x.outcome.landed.empty())
        x.outcome.landed.push_back(got);
      if (!got.duplicate) {
        state.tail = got.last();
        state.tail_id = got.last_id();
        if (y.closes)
          state.life = model::lifecycle::closed;
        if (!y.stream_seq.empty())
          x.sight.head.stream_seq = y.stream_seq;
        if (y.expires_ms)
          x.sight.head.settings.lifetime.expires_ms = y.expires_ms;
      }
      ++x.outcome.committed;
    }
    state.tail = {static_cast<std::uint64_t>(all[4].number)};
    state.tail_id = *tail_id;
    x.sight.top = *top;
    x.sight.length = static_cast<std::uint64_t>(all[7].number);
    if (begun) {
      x.sight.head.settings.content_type = x.of->content_type;
      x.sight.head.settings.lifetime.ttl_s = x.ttl_s;
    }
    x.outcome.state = state;
    session_.places.saw(x.of->name, x.sight);
  }
  if (code != "ok") {
    ++health_.commit_failures;
    return fail(x, {code_of(code), "conversation " + x.of->name.text() + ": " + all[1].text,
                    all[2].is(kind::integer) ? static_cast<std::uint64_t>(all[2].number) : 0});
  }
  x.done = x.outcome.committed == x.of->appends.size();
}

} // namespace confab::store
