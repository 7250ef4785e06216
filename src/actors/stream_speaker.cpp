#include "actors/stream_speaker.hpp"

#include "actors/pubsub.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace confab::actors {

namespace {

constexpr std::int64_t late_ms = 60'000;
constexpr std::chrono::milliseconds rest{500};
/// In one go: then the mailbox is looked at.
constexpr int logs_max = 64;
/// Places that are remembered; beyond it all are found again.
constexpr std::size_t places_max = 65'536;
/// A log that others publish, too, or that is replaced, is looked at again.
constexpr int rounds_max = 8;

} // namespace

caf::result<bool> stream_speaker_state::wake(const model::conversation_name& of) {
  auto promise = self->make_response_promise<bool>();
  enter(of).push_back(promise);
  return promise;
}

void stream_speaker_state::look(const model::conversation_name& of) {
  enter(of);
}

stream_speaker_state::promises& stream_speaker_state::enter(const model::conversation_name& of) {
  auto [i, is_new] = waiting.try_emplace(of);
  if (is_new)
    due.push_back(of);
  if (!std::exchange(working, true))
    self->send(self, atom::work::value);
  return i->second;
}

void stream_speaker_state::work() {
  for (int i = 0; i < logs_max && !due.empty(); ++i) {
    auto of = std::move(due.front());
    due.pop_front();
    auto promised = std::move(waiting.extract(of).mapped());
    auto spoken = speak(of);
    for (auto& x : promised)
      x.deliver(static_cast<bool>(spoken));
    if (spoken) {
      env->redis_health.up("speakers");
      continue;
    }
    places.erase(of);
    refuse(of, spoken.why());
    if (spoken.why().what == model::code::log_damaged)
      continue;
    enter(of);
    // Whoever waits has other things to do than to wait for Pub/Sub.
    for (auto& [name_of_it, promises_of_it] : waiting)
      for (auto& x : std::exchange(promises_of_it, {}))
        x.deliver(false);
    return self->delayed_send(self, rest, atom::work::value);
  }
  working = !due.empty();
  if (working)
    self->send(self, atom::work::value);
}

model::status stream_speaker_state::speak(const model::conversation_name& of) {
  for (int round = 0; round < rounds_max;) {
    auto from = find(of);
    if (!from)
      return from.why();
    if (*from == nullptr)
      return model::nothing{};
    auto page = log->page(of, (*from)->at.at.next(), model::seq_max);
    if (!page)
      return page.why();
    auto same = page->state.epoch == (*from)->at.epoch;
    if (same && page->entries.empty())
      return model::nothing{};
    if (same) {
      auto next = stretch_of(of, **from, *page);
      auto said = redis->say(of, next);
      if (!said)
        return said.why();
      same = *said;
      if (same) {
        env->counted.spoken.add(next.messages.size());
        env->counted.unspoken.add(page->entries.size() - next.messages.size());
        places[of] = {{page->state.epoch, page->entries.back().at, next.through}, next.through};
        if (!page->full)
          return model::nothing{};
        continue;
      }
    }
    places.erase(of);
    ++round;
  }
  return model::error{model::code::read_failed, "it changes faster than it is read"};
}

model::result<const stream_speaker_state::place*>
stream_speaker_state::find(const model::conversation_name& of) {
  if (auto known = places.find(of); known != places.end())
    return &known->second;
  auto spoken = redis->spoken(of);
  if (!spoken)
    return spoken.why();
  auto oldest_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, env->wall_ms() - late_ms));
  auto behind = std::max(*spoken, model::entry_id{oldest_ms, 0});
  auto last = log->locate_id(of, behind);
  if (!last)
    return last.why();
  const auto& state = last->head.state;
  if (state.epoch.empty())
    return nullptr;
  if (places.size() >= places_max)
    places.clear();
  auto at = last->found.value_or(
      model::position{state.epoch, {state.first.value - 1}, model::entry_id{}});
  // What a fork shares was published as its source's.
  if (const auto& fork = last->head.fork; fork && at.at < fork->at)
    at = {state.epoch, fork->at, model::entry_id{}};
  return &places.insert_or_assign(of, place{at, *spoken}).first->second;
}

store::log_speaker::stretch stream_speaker_state::stretch_of(const model::conversation_name& of,
                                                             const place& from,
                                                             const model::page& x) {
  store::log_speaker::stretch made{.epoch = x.state.epoch,
                                   .from = from.spoken,
                                   .through = x.entries.back().id,
                                   .channel = channels->channel_of(of),
                                   .messages = {}};
  auto now = env->wall_ms();
  for (const auto& y : x.entries)
    if (static_cast<std::int64_t>(y.id.ms) > now - late_ms)
      made.messages.push_back(spoken_message(of, y));
  return made;
}

void stream_speaker_state::refuse(const model::conversation_name& of, const model::error& why) {
  if (why.what != model::code::log_damaged)
    env->redis_health.down("speakers", why.detail);
  if (complaints.allows(env->wall_ms()))
    spdlog::warn("pubsub: {}: entries were not published: {}", of.text(), why.detail);
}

stream_speaker_actor::behavior_type stream_speaker(stream_speaker_state::self_pointer self,
                                                   speaker_options how, environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.log = std::move(how.log);
  state.redis.emplace(std::move(how.redis));
  state.channels = *model::channel_pattern::parse(how.channels, "{name}");
  return {
      [&state](atom::wake, const model::conversation_name& of) { return state.wake(of); },
      [&state](atom::look, const model::conversation_name& of) { state.look(of); },
      [&state](atom::work) { state.work(); },
  };
}

} // namespace confab::actors
