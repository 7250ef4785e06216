#include "store/redis_reader.hpp"

#include "store/commit_rules.hpp"
#include "store/redis_cursor.hpp"
#include "store/redis_entries.hpp"

#include <charconv>

namespace confab::store {

namespace {

using kind = redis_reply::kind;

template <class T>
std::optional<T> number_of(const std::string& text) {
  T value{};
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

} // namespace

redis_reader::redis_reader(const redis_log_options& how, redis_places& places)
  : session_{how, places} {}

model::result<model::page> redis_reader::page(const model::conversation_name& name, model::seq from,
                                              model::seq through) {
  auto read =
      session_.entries(name, from, through, model::page_entries_max, session_.how.wall_ms());
  if (!read)
    return unreadable(read.why());
  return read_page(name, std::move(*read));
}

model::result<model::page> redis_reader::read_page(const model::conversation_name& name,
                                                   redis_session::stretch&& read) {
  const auto& head = read.sight.head;
  model::page made{.state = head.state, .entries = {}, .full = read.bounded && !read.items.empty()};
  auto form = model::form_of(head.settings.content_type);
  std::size_t bytes = 0;
  for (const auto& x : read.items) {
    auto entry = read_entry(x, {read.from.value + made.entries.size()}, form, session_.how);
    if (!entry)
      return model::error{entry.why().what,
                          name.text() + ", seq " +
                              std::to_string(read.from.value + made.entries.size()) + ": " +
                              entry.why().detail};
    bytes += weight(*entry);
    if (!made.entries.empty() && bytes > model::page_bytes_max) {
      made.full = true;
      break;
    }
    session_.places.passed(name, head.state.epoch, entry->at, entry->id);
    made.entries.push_back(std::move(*entry));
  }
  // Where the next page begins.
  if (!made.entries.empty())
    session_.places.passed(name, head.state.epoch, made.entries.back().at, made.entries.back().id,
                           true);
  return made;
}

model::result<log_reader::located> redis_reader::locate(const model::conversation_name& name,
                                                        model::seq at) {
  auto now_ms = session_.how.wall_ms();
  auto read = session_.entries(name, at, at, 1, now_ms);
  if (!read)
    return unreadable(read.why());
  located found{read->sight.head, std::nullopt};
  if (at == model::seq{} || read->from != at || read->items.empty() ||
      read->items[0].elements.empty())
    return found;
  auto id = id_of(read->items[0].elements[0]);
  if (!id)
    return id.why();
  found.found = model::position{found.head.state.epoch, at, *id};
  // Whoever asks for it reads on from there.
  session_.places.passed(name, found.head.state.epoch, at, *id, true);
  return found;
}

model::result<log_reader::located> redis_reader::locate_id(const model::conversation_name& name,
                                                           model::entry_id id) {
  auto now_ms = session_.how.wall_ms();
  auto place = session_.last_not_beyond(name, id, now_ms);
  if (!place)
    return unreadable(place.why());
  located found;
  if (auto log = session_.places.find(name))
    found.head = log->head;
  // Of those that are not shown, the last one before the first still counts.
  if (*place && (*place)->at.next() >= found.head.state.first)
    found.found = model::position{found.head.state.epoch, (*place)->at, (*place)->id};
  return found;
}

model::result<std::vector<log_reader::listed>>
redis_reader::list(const std::string& prefix, const std::string& after, std::size_t limit) {
  std::vector<listed> all;
  auto from = after < prefix ? '[' + prefix : '(' + after;
  while (all.size() < limit) {
    auto names = session_.redis.send(
        {"ZRANGEBYLEX",
         {"confab:conversations", from, "+", "LIMIT", "0", std::to_string(limit - all.size())}});
    if (!names)
      return unreadable(names.why());
    auto each = elements_of(*names, "ZRANGEBYLEX");
    if (!each)
      return unreadable(each.why());
    if ((*each)->empty())
      return all;
    for (const auto& x : **each) {
      if (!x.is(kind::text) || !x.text.starts_with(prefix))
        return all;
      from = '(' + x.text;
      auto name = model::conversation_name::parse(x.text);
      if (!name)
        continue; // not one of ours
      auto sight = session_.observe(*name, session_.how.wall_ms());
      if (!sight)
        return unreadable(sight.why());
      if (!sight->head.state.epoch.empty())
        all.push_back({*name, sight->head});
    }
  }
  return all;
}

model::result<std::optional<model::position>> redis_reader::cursor(const cursor_key& key,
                                                                   std::int64_t now_ms) {
  redis_call x{{redis_cursor_key(key)}, {}};
  auto replies = session_.redis.call_all(redis_scripts::cursor, {&x, 1});
  if (!replies)
    return unreadable(replies.why());
  std::optional<model::position> none;
  const auto& reply = replies->front();
  if (reply.is(kind::nil))
    return none;
  if (!reply.is(kind::array) || reply.elements.size() != 4)
    return unreadable(unexpected(reply, "the cursor script"));
  const auto& each = reply.elements;
  auto at = number_of<std::uint64_t>(each[1].text);
  auto id = model::parse_entry_id(each[2].text);
  auto moved_ms = number_of<std::int64_t>(each[3].text);
  if (!at || (moved_ms && outlived(*moved_ms, session_.how.cursor_ttl_s, now_ms)))
    return none;
  auto sight = session_.observe(key.conversation, now_ms);
  if (!sight)
    return unreadable(sight.why());
  const auto& state = sight->head.state;
  if (state.epoch.empty())
    return none;
  if (each[0].text == state.epoch.text)
    return std::optional{model::position{state.epoch, {*at}, id.value_or(model::entry_id{})}};
  // One of an earlier system names no epoch: its entry must be where it says.
  if (!each[0].text.empty() || !id)
    return none;
  auto its = session_.id_at(key.conversation, {*at}, now_ms);
  if (!its)
    return unreadable(its.why());
  if (*its != id)
    return none;
  return std::optional{model::position{state.epoch, {*at}, *id}};
}

} // namespace confab::store
