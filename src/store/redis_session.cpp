#include "store/redis_session.hpp"

#include "store/commit_rules.hpp"

#include <algorithm>

namespace confab::store {

namespace {

/// Of one walking step; a script that passes more would keep Redis from others.
constexpr std::size_t ids_max = 1'000;
/// A log that is replaced or trimmed while a place in it is looked for is looked at again.
constexpr int rounds_max = 8;
constexpr std::size_t sight_items = 14;
/// Of a fork, and then of each log that it shares entries of.
constexpr std::size_t origin_items = 3;

using kind = redis_reply::kind;

/// Reads an array's items in order; the first that is not of its kind is remembered.
class items {
public:
  items(const std::vector<redis_reply>& of, std::string_view command)
    : of_{of}, command_{command} {}

  std::int64_t number() {
    const auto* x = next(kind::integer);
    return x == nullptr ? 0 : x->number;
  }
  std::string text() {
    const auto* x = next(kind::text);
    return x == nullptr ? std::string{} : x->text;
  }
  model::seq place() { return {static_cast<std::uint64_t>(std::max<std::int64_t>(0, number()))}; }
  model::entry_id id() {
    const auto* x = next(kind::text);
    auto parsed = x == nullptr ? std::nullopt : model::parse_entry_id(x->text);
    if (!parsed)
      why_ = model::error{model::code::log_damaged, "Redis: an id that no entry can have"};
    return parsed.value_or(model::entry_id{});
  }
  [[nodiscard]] const std::optional<model::error>& why() const { return why_; }

private:
  const redis_reply* next(kind what) {
    if (at_ < of_.size() && of_[at_].is(what))
      return &of_[at_++];
    if (!why_)
      why_ = unexpected(at_ < of_.size() ? of_[at_] : redis_reply{}, command_);
    ++at_;
    return nullptr;
  }

  const std::vector<redis_reply>& of_;
  std::string_view command_;
  std::size_t at_ = 0;
  std::optional<model::error> why_;
};

} // namespace

std::string stream_key(const model::conversation_name& name) {
  return model::stream_of(name);
}

model::result<model::entry_id> id_of(const redis_reply& x) {
  auto parsed = x.is(kind::text) ? model::parse_entry_id(x.text) : std::nullopt;
  if (!parsed)
    return model::error{model::code::log_damaged, "Redis: an id that no entry can have"};
  return *parsed;
}

model::error unreadable(const model::error& x) {
  if (x.what == model::code::log_damaged)
    return x;
  return {model::code::read_failed, x.detail};
}

redis_session::redis_session(const redis_log_options& options, redis_places& shared)
  : how{options}, redis{options.redis}, places{shared} {}

redis_call redis_session::call_of(const model::conversation_name& name, std::int64_t now_ms,
                                  const model::log_state& known) const {
  redis_call made;
  made.keys = {stream_key(name), "confab:log:" + name.text(), "confab:producer:" + name.text(),
               "confab:conversations", "confab:since"};
  made.arguments = {name.text(),
                    std::to_string(now_ms),
                    random_epoch(),
                    how.import_all ? "1" : "0",
                    known.epoch.text,
                    std::to_string(known.tail.value),
                    model::to_string(known.tail_id)};
  return made;
}

redis_call redis_session::call_of(const model::conversation_name& name, std::int64_t now_ms) {
  auto known = places.find(name);
  return call_of(name, now_ms, known ? known->head.state : model::log_state{});
}

model::result<redis_reply> redis_session::call(const redis_script& script, const redis_call& x) {
  auto replies = redis.call_all(script, {&x, 1});
  if (!replies)
    return replies.why();
  if (auto array = elements_of(replies->front(), script.name); !array)
    return array.why();
  return std::move(replies->front());
}

model::result<redis_sight> redis_session::observe(const model::conversation_name& name,
                                                  std::int64_t now_ms) {
  auto reply = call(redis_scripts::observe, call_of(name, now_ms));
  if (!reply)
    return reply.why();
  return read_sight(name, *reply);
}

model::result<redis_sight> redis_session::read_sight(const model::conversation_name& name,
                                                     const redis_reply& x) {
  auto all = elements_of(x, "observe");
  if (!all)
    return all.why();
  items each{**all, "observe"};
  redis_sight sight;
  if (each.number() == 0 && !each.why()) {
    sight.head.gone = (*all)->size() > 1;
    places.saw(name, sight);
    return sight;
  }
  auto& head = sight.head;
  auto epoch = model::parse_epoch(each.text());
  head.state.first = each.place();
  head.state.tail = each.place();
  head.state.tail_id = each.id();
  head.state.life = each.text() == "open" ? model::lifecycle::open : model::lifecycle::closed;
  head.settings.content_type = each.text();
  if (auto ttl_s = each.number(); ttl_s >= 0)
    head.settings.lifetime.ttl_s = static_cast<std::uint32_t>(ttl_s);
  if (auto expires_ms = each.number(); expires_ms >= 0)
    head.settings.lifetime.expires_ms = expires_ms;
  head.stream_seq = each.text();
  sight.top = each.id();
  sight.length = each.place().value;
  sight.held = each.place();
  if (each.why())
    return *each.why();
  auto readable = (*all)->size() == sight_items && read_origin(head, (*all)->back());
  if (!epoch || epoch->empty() || !readable ||
      !model::valid_content_type(head.settings.content_type) || head.state.tail > model::seq_max)
    return model::error{model::code::log_damaged,
                        "Redis: confab:log:" + name.text() + " holds what Confab never wrote"};
  head.state.epoch = *epoch;
  places.saw(name, sight);
  return sight;
}

bool redis_session::read_origin(log_head& head, const redis_reply& x) {
  auto all = elements_of(x, "observe");
  if (!all || (*all)->size() % origin_items != 0)
    return false;
  items each{**all, "observe"};
  if (!(*all)->empty()) {
    auto source = each.text();
    auto at = each.place();
    head.fork = fork_origin{std::move(source), at, each.place().value};
  }
  for (auto n = origin_items; n < (*all)->size(); n += origin_items) {
    auto name = model::conversation_name::parse(each.text());
    auto epoch = model::parse_epoch(each.text());
    if (!name || !epoch)
      return false;
    head.ancestors.push_back({*epoch, each.place()});
    places.hear_of(*name);
  }
  return !each.why();
}

model::result<redis_session::stretch>
redis_session::read_stretch(const model::conversation_name& name, redis_reply&& x,
                            std::string_view command) {
  if (x.elements.size() < 3)
    return unexpected(x, command);
  auto sight = read_sight(name, x.elements[0]);
  if (!sight)
    return sight.why();
  stretch read{.sight = std::move(*sight), .from = {}, .bounded = false, .items = {}};
  auto from = integer_of(x.elements[1], command);
  auto end = integer_of(x.elements[2], command);
  if (!from || !end)
    return from ? end.why() : from.why();
  read.from = {static_cast<std::uint64_t>(std::max<std::int64_t>(0, *from))};
  read.bounded = *end != 0;
  read.items.assign(std::make_move_iterator(x.elements.begin() + 3),
                    std::make_move_iterator(x.elements.end()));
  return read;
}

model::result<redis_session::stretch> redis_session::ids(const model::conversation_name& name,
                                                         const model::epoch& epoch,
                                                         std::optional<redis_places::place> anchor,
                                                         bool back, std::int64_t now_ms) {
  auto x = call_of(name, now_ms);
  auto at = anchor.value_or(redis_places::place{});
  for (auto text : {std::to_string(at.at.value + 1), std::to_string(model::seq_max.value),
                    std::to_string(ids_max), std::string{"0"}, std::to_string(at.at.value),
                    model::to_string(at.id), std::string{"ids"}})
    x.arguments.push_back(std::move(text));
  const auto& script = back ? redis_scripts::read_back : redis_scripts::read;
  auto reply = call(script, x);
  if (!reply)
    return reply.why();
  auto read = read_stretch(name, std::move(*reply), script.name);
  if (!read || read->sight.head.state.epoch != epoch)
    return read;
  for (std::size_t i = 0; i < read->items.size(); ++i) {
    auto id = id_of(read->items[i]);
    if (!id)
      return id.why();
    auto at_i = back ? read->from.value - i : read->from.value + i;
    places.passed(name, epoch, {at_i}, *id, i + 1 == read->items.size());
  }
  return read;
}

model::result<std::optional<redis_places::place>>
redis_session::approach(const model::conversation_name& name, const redis_sight& sight,
                        model::seq from, std::int64_t now_ms) {
  const auto& state = sight.head.state;
  auto near = places.around(name, state.epoch, model::seq{from.value - 1});
  auto below = near.below && near.below->at >= sight.held ? near.below : std::nullopt;
  auto above = near.above && near.above->at <= state.tail
                   ? *near.above
                   : redis_places::place{state.tail, state.tail_id};
  auto up = from.value - (below ? below->at.value : sight.held.value);
  auto down = above.at.value - std::min(above.at.value, from.value);
  // A closed log's tail need not be in the stream any more.
  auto back = down < up && state.life == model::lifecycle::open && sight.length > 0;
  auto anchor = back ? std::optional{above} : below;
  for (;;) {
    auto walked = ids(name, state.epoch, anchor, back, now_ms);
    if (!walked)
      return walked.why();
    if (walked->items.empty() || walked->sight.head.state.epoch != state.epoch)
      return std::optional<redis_places::place>{};
    for (std::size_t i = 0; i < walked->items.size(); ++i) {
      redis_places::place here{{back ? walked->from.value - i : walked->from.value + i},
                               *id_of(walked->items[i])};
      if (here.at.next() == from)
        return std::optional{here};
      anchor = here;
    }
  }
}

model::result<redis_session::stretch> redis_session::entries(const model::conversation_name& name,
                                                             model::seq from, model::seq through,
                                                             std::size_t entries_max,
                                                             std::int64_t now_ms) {
  from = std::max(from, model::seq{1});
  std::optional<redis_places::place> nearer;
  for (int round = 0; round < rounds_max; ++round) {
    auto x = call_of(name, now_ms);
    auto known = places.find(name);
    auto near = known ? places.around(name, known->head.state.epoch, model::seq{from.value - 1})
                      : redis_places::neighbours{};
    auto anchor = nearer ? *nearer : near.below.value_or(redis_places::place{});
    // The tail itself is an anchor, too.
    if (known && known->head.state.tail < from && known->head.state.tail > anchor.at &&
        known->length > 0 && known->head.state.life == model::lifecycle::open)
      anchor = {known->head.state.tail, known->head.state.tail_id};
    for (auto text :
         {std::to_string(from.value), std::to_string(through.value), std::to_string(entries_max),
          std::to_string(model::page_bytes_max), std::to_string(anchor.at.value),
          model::to_string(anchor.id), std::string{"entries"}})
      x.arguments.push_back(std::move(text));
    auto reply = call(redis_scripts::read, x);
    if (!reply)
      return reply.why();
    auto too_far = reply->elements.size() == 3 && reply->elements[2].number == 2;
    auto read = read_stretch(name, std::move(*reply), "read");
    if (!read || !too_far)
      return read;
    auto found = approach(name, read->sight, read->from, now_ms);
    if (!found)
      return found.why();
    nearer = *found;
  }
  return model::error{model::code::read_failed, name.text() + " changes faster than it is read"};
}

model::result<std::optional<model::entry_id>>
redis_session::id_at(const model::conversation_name& name, model::seq at, std::int64_t now_ms) {
  auto known = places.find(name);
  if (known && known->head.state.tail == at && known->length > 0)
    return std::optional{known->head.state.tail_id};
  auto read = entries(name, at, at, 1, now_ms);
  if (!read)
    return read.why();
  if (read->items.empty() || read->from != at || read->items[0].elements.empty())
    return std::optional<model::entry_id>{};
  auto id = id_of(read->items[0].elements[0]);
  if (!id)
    return id.why();
  places.passed(name, read->sight.head.state.epoch, at, *id, true);
  return std::optional{*id};
}

model::result<std::optional<redis_places::place>>
redis_session::last_not_beyond(const model::conversation_name& name, model::entry_id id,
                               std::int64_t now_ms) {
  auto sight = observe(name, now_ms);
  if (!sight)
    return sight.why();
  const auto& state = sight->head.state;
  std::optional<redis_places::place> found;
  if (state.epoch.empty())
    return found;
  if (state.tail > model::seq{} && state.tail_id <= id)
    return std::optional{redis_places::place{state.tail, state.tail_id}};
  auto near = places.around_id(name, state.epoch, id);
  auto below = near.below && near.below->at >= sight->held ? near.below : std::nullopt;
  auto back = !below && sight->length > 0 && state.life == model::lifecycle::open;
  auto anchor =
      back ? std::optional{near.above.value_or(redis_places::place{state.tail, state.tail_id})}
           : below;
  found = below;
  for (;;) {
    auto walked = ids(name, state.epoch, anchor, back, now_ms);
    if (!walked)
      return walked.why();
    if (walked->items.empty() || walked->sight.head.state.epoch != state.epoch)
      return found;
    for (std::size_t i = 0; i < walked->items.size(); ++i) {
      redis_places::place here{{back ? walked->from.value - i : walked->from.value + i},
                               *id_of(walked->items[i])};
      if (back && here.id <= id)
        return std::optional{here};
      if (!back && here.id > id)
        return found;
      anchor = here;
      if (!back)
        found = here;
    }
  }
}

} // namespace confab::store
