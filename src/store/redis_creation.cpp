// The writing session: how logs begin, by themselves or as forks.
#include "store/commit_rules.hpp"
#include "store/creation_rules.hpp"
#include "store/redis_entries.hpp"
#include "store/redis_writer.hpp"

namespace confab::store {

namespace {

/// A source that is replaced or trimmed while a fork of it is made is looked at again.
constexpr int fork_rounds_max = 8;

using kind = redis_reply::kind;

/// What a creation comes to where the name is taken.
std::optional<model::result<model::created>>
existing(const model::conversation_name& name, const log_head& log, const model::creation& what) {
  if (log.gone)
    return name_taken(name);
  if (log.state.epoch.empty())
    return std::nullopt;
  if (auto refused = refuse_existing(name, log, what))
    return *refused;
  return model::created{log.state, log.settings, true};
}

/// An id that is not below any before it.
model::entry_id before(model::entry_id x) {
  if (x.n > 0)
    return {x.ms, x.n - 1};
  return {x.ms - 1, entry_n_max};
}

} // namespace

model::result<model::created> redis_writer::create(const model::conversation_name& name,
                                                   const model::creation& what,
                                                   std::int64_t now_ms) {
  auto sight = session_.observe(name, now_ms);
  if (!sight)
    return model::error{model::code::store_failed, sight.why().detail};
  if (auto found = existing(name, sight->head, what))
    return *found;
  if (what.fork)
    return fork(name, what, now_ms);
  auto settings = settings_of(what, nullptr, now_ms);
  if (!settings)
    return settings.why();
  chain begins{.name = name, .epoch = {}, .content_type = settings->content_type, .appends = {}};
  if (!what.drafts.empty() || what.closed || settings->lifetime.expires_ms) {
    auto first = std::make_shared<append>();
    first->entries = placed(what.drafts, {}, {}, now_ms);
    first->closes = what.closed;
    first->expires_ms = settings->lifetime.expires_ms;
    begins.appends.push_back(std::move(first));
  }
  std::vector<work> all{
      work{.of = &begins, .outcome = {}, .sight = {}, .ttl_s = settings->lifetime.ttl_s}};
  run(all, now_ms);
  const auto& outcome = all.front().outcome;
  if (outcome.failure && outcome.failure->what == model::code::moved) {
    // Somebody was faster.
    auto now = session_.observe(name, now_ms);
    if (!now)
      return model::error{model::code::store_failed, now.why().detail};
    if (auto found = existing(name, now->head, what))
      return *found;
  }
  if (outcome.failure)
    return *outcome.failure;
  return model::created{outcome.state, *settings, false};
}

model::result<std::optional<model::entry>>
redis_writer::entry_at(const model::conversation_name& name, const log_head& seen, model::seq at,
                       std::int64_t now_ms) {
  std::optional<model::entry> none;
  auto read = session_.entries(name, at, at, 1, now_ms);
  if (!read)
    return unreadable(read.why());
  if (read->sight.head.state.epoch != seen.state.epoch || read->from != at || read->items.empty())
    return none;
  auto entry =
      read_entry(read->items.front(), at, model::form_of(seen.settings.content_type), session_.how);
  if (!entry)
    return entry.why();
  return std::optional{std::move(*entry)};
}

model::result<std::optional<redis_writer::fork_edge>>
redis_writer::edge_of(const log_head& seen, const fork_origin& origin, std::int64_t now_ms) {
  auto source = *model::conversation_name::parse(origin.source);
  auto within = origin.at > model::seq{} && origin.at < seen.state.tail;
  std::optional<model::entry> last, next;
  if (within) {
    auto found = entry_at(source, seen, origin.at, now_ms);
    if (!found)
      return found.why();
    last = std::move(*found);
  }
  if (origin.cut_bytes > 0 || (within && !last)) {
    auto found = entry_at(source, seen, origin.at.next(), now_ms);
    if (!found)
      return found.why();
    if (!*found)
      return std::optional<fork_edge>{};
    next = std::move(*found);
  }
  fork_edge edge{.last_id = {}, .next = std::move(next)};
  if (origin.at == seen.state.tail)
    edge.last_id = seen.state.tail_id;
  else if (within) // a trimmed one's own id is not known any more
    edge.last_id = last ? last->id : before(edge.next->id);
  return std::optional{std::move(edge)};
}

redis_call redis_writer::fork_call(const model::conversation_name& name, const log_head& source,
                                   const fork_origin& origin, model::entry_id last_id,
                                   const model::settings& settings,
                                   std::span<const model::entry> own, bool closed,
                                   std::int64_t now_ms) const {
  auto made = session_.call_of(name, now_ms, {});
  made.keys.emplace_back(model::fanout_stream);
  const auto& life = settings.lifetime;
  for (auto text : {origin.source, source.state.epoch.text, std::to_string(origin.at.value),
                    to_string(last_id), std::to_string(origin.cut_bytes), session_.how.origin,
                    settings.content_type, life.ttl_s ? std::to_string(*life.ttl_s) : std::string{},
                    life.expires_ms ? std::to_string(*life.expires_ms) : std::string{},
                    std::string{closed ? "1" : "0"}, std::to_string(own.size())})
    made.arguments.push_back(std::move(text));
  for (const auto& x : own) {
    made.arguments.push_back(to_string(x.id));
    add_fields(made.arguments, name, x);
  }
  return made;
}

model::result<model::created> redis_writer::fork(const model::conversation_name& name,
                                                 const model::creation& what, std::int64_t now_ms) {
  for (int round = 0; round < fork_rounds_max; ++round) {
    auto source = session_.observe(what.fork->source, now_ms);
    if (!source)
      return model::error{model::code::store_failed, source.why().detail};
    const auto& seen = source->head;
    auto settings = settings_of(what, seen.state.epoch.empty() ? nullptr : &seen, now_ms);
    if (!settings)
      return settings.why();
    auto origin = fork_origin_of(*what.fork, seen);
    if (!origin)
      return origin.why();
    auto edge = edge_of(seen, *origin, now_ms);
    if (!edge)
      return model::error{edge.why().what == model::code::log_damaged ? model::code::log_damaged
                                                                      : model::code::store_failed,
                          edge.why().detail};
    if (!*edge)
      continue;
    std::vector<model::entry> own;
    if (origin->cut_bytes > 0) {
      auto copy = cut_copy(&*(*edge)->next, origin->cut_bytes);
      if (!copy)
        return copy.why();
      own.push_back(std::move(*copy));
    }
    auto tail = own.empty() ? origin->at : own.back().at;
    auto tail_id = own.empty() ? (*edge)->last_id : own.back().id;
    for (auto& x : placed(what.drafts, tail, tail_id, now_ms))
      own.push_back(std::move(x));
    auto reply = session_.call(redis_scripts::fork, fork_call(name, seen, *origin, (*edge)->last_id,
                                                              *settings, own, what.closed, now_ms));
    if (!reply)
      return reply.why();
    if (reply->elements.size() != 2 || !reply->elements[0].is(kind::text))
      return model::error{model::code::append_unknown,
                          unexpected(*reply, "the fork script").detail};
    if (reply->elements[0].text == "look")
      continue;
    auto sight = session_.read_sight(name, reply->elements[1]);
    if (!sight)
      return model::error{model::code::append_unknown, sight.why().detail};
    if (reply->elements[0].text == "ok")
      return model::created{sight->head.state, *settings, false};
    if (auto found = existing(name, sight->head, what))
      return *found;
  }
  return model::error{model::code::store_failed, "fork: the source " + what.fork->source.text() +
                                                     " changes faster than it is forked"};
}

} // namespace confab::store
