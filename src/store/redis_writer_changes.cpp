// What the writing session does besides appending.
#include "store/commit_rules.hpp"
#include "store/redis_cursor.hpp"
#include "store/redis_writer.hpp"

#include <charconv>
#include <sstream>

namespace confab::store {

namespace {

constexpr std::size_t retain_logs = 64;

using kind = redis_reply::kind;

/// Decimal numbers and ids between blanks, as the append script writes them.
class row {
public:
  explicit row(const std::string& text) : in_{text} {}
  std::uint64_t number() {
    std::uint64_t x = 0;
    in_ >> x;
    return x;
  }
  model::entry_id id() {
    std::string text;
    in_ >> text;
    auto x = model::parse_entry_id(text);
    if (!x)
      in_.setstate(std::ios::failbit);
    return x.value_or(model::entry_id{});
  }
  [[nodiscard]] bool whole() const { return !in_.fail(); }

private:
  std::istringstream in_;
};

model::error no_row(std::string_view producers) {
  return {model::code::log_damaged,
          "Redis: " + std::string{producers} + " holds what Confab never wrote"};
}

} // namespace

model::result<std::optional<producer_row>>
redis_writer::producer(const model::conversation_name& name, std::string_view producer,
                       std::int64_t now_ms) {
  std::optional<producer_row> none;
  if (producer.starts_with('~'))
    return none;
  auto key = "confab:producer:" + name.text();
  auto got = session_.redis.send({"HGET", {key, producer}});
  if (!got)
    return unreadable(got.why());
  if (got->is(kind::nil))
    return none;
  if (!got->is(kind::text))
    return unreadable(unexpected(*got, "HGET"));
  row its{got->text};
  auto epoch = its.number(), number = its.number(), fingerprint = its.number(), at = its.number();
  if (!its.whole())
    return no_row(key);
  if (outlived(static_cast<std::int64_t>(at), session_.how.producer_ttl_s, now_ms))
    return none;
  auto last = slot_receipt(name, producer, number, epoch);
  if (!last)
    return last.why();
  if (!*last)
    return no_row(key);
  (*last)->duplicate = false;
  return std::optional{
      producer_row{static_cast<std::uint32_t>(epoch), number, **last, fingerprint}};
}

model::result<std::optional<model::receipt>>
redis_writer::slot_receipt(const model::conversation_name& name, std::string_view producer,
                           std::uint64_t number, std::optional<std::uint64_t> epoch) {
  auto key = "confab:producer:" + name.text();
  auto got = session_.redis.send({"HGET", {key, producer_slot(producer, number)}});
  if (!got)
    return unreadable(got.why());
  if (got->is(kind::nil))
    return std::optional<model::receipt>{};
  if (!got->is(kind::text))
    return unreadable(unexpected(*got, "HGET"));
  row its{got->text};
  auto its_epoch = its.number(), its_number = its.number(), first = its.number(),
       count = its.number();
  auto id = its.id();
  if (!its.whole())
    return no_row(key);
  if (its_number != number || (epoch && *epoch != its_epoch))
    return std::optional<model::receipt>{};
  return std::optional{
      model::receipt{{first}, static_cast<std::uint32_t>(count), id, /* duplicate */ true}};
}

model::result<std::optional<model::receipt>>
redis_writer::older_receipt(const model::conversation_name& name, std::string_view producer,
                            std::uint64_t number) {
  if (producer.starts_with('~'))
    return slot_receipt(name, producer, number, std::nullopt);
  auto key = "confab:producer:" + name.text();
  auto got = session_.redis.send({"HGET", {key, producer}});
  if (!got)
    return unreadable(got.why());
  if (!got->is(kind::text))
    return std::optional<model::receipt>{};
  row its{got->text};
  auto epoch = its.number();
  if (!its.whole())
    return no_row(key);
  return slot_receipt(name, producer, number, epoch);
}

model::result<redis_reply> redis_writer::change(const model::conversation_name& name,
                                                std::vector<std::string> what) {
  auto x = session_.call_of(name, session_.how.wall_ms());
  for (auto& text : what)
    x.arguments.push_back(std::move(text));
  auto reply = session_.call(redis_scripts::change, x);
  if (!reply)
    return reply;
  if (reply->elements.size() != 2 || !reply->elements[0].is(kind::text))
    return unexpected(*reply, "the change script");
  if (reply->elements[0].text == "not_found")
    return not_found(name);
  if (reply->elements[0].text == "gone")
    return gone(name);
  return reply;
}

model::status redis_writer::touch(const model::conversation_name& name, const model::epoch& epoch,
                                  std::int64_t expires_ms) {
  auto done = change(name, {"touch", epoch.text, std::to_string(expires_ms)});
  if (!done && done.why().what != model::code::not_found && done.why().what != model::code::gone)
    return done.why();
  return model::nothing{};
}

model::result<model::log_state> redis_writer::close(const model::conversation_name& name) {
  auto done = change(name, {"close"});
  if (!done)
    return done.why();
  auto sight = session_.read_sight(name, done->elements[1]);
  if (!sight)
    return model::error{model::code::append_unknown, sight.why().detail};
  return sight->head.state;
}

model::status redis_writer::remove(const model::conversation_name& name) {
  auto done = change(name, {"remove"});
  if (!done)
    return done.why();
  auto sight = session_.read_sight(name, done->elements[1]);
  if (!sight)
    return model::error{model::code::append_unknown, sight.why().detail};
  return model::nothing{};
}

model::status redis_writer::move_cursors(std::span<const cursor_move> moves, std::int64_t now_ms) {
  std::vector<redis_command> removals;
  std::vector<redis_call> calls;
  for (const auto& x : moves) {
    auto key = redis_cursor_key(x.key);
    if (x.removes) {
      removals.push_back({"DEL", {key}});
      continue;
    }
    auto id = session_.id_at(x.key.conversation, x.at, now_ms);
    if (!id)
      return model::error{model::code::store_failed, id.why().detail};
    auto log = session_.places.find(x.key.conversation);
    auto trimmed = log && x.at < log->head.state.first;
    if (!log || log->head.state.epoch != x.epoch || x.at > log->head.state.tail ||
        (!*id && !trimmed))
      continue;
    auto& made = calls.emplace_back(session_.call_of(x.key.conversation, now_ms));
    made.keys.push_back(std::move(key));
    for (auto text : {x.key.user, x.key.client, x.epoch.text, std::to_string(x.at.value),
                      to_string(id->value_or(model::entry_id{})),
                      std::to_string(session_.how.cursor_ttl_s * 1000)})
      made.arguments.push_back(std::move(text));
  }
  auto moved = session_.redis.call_all(redis_scripts::move_cursor, calls);
  auto removed = session_.redis.send_all(removals);
  if (!moved || !removed)
    return moved ? removed.why() : moved.why();
  for (const auto& x : *moved)
    if (auto done = integer_of(x, "the cursor script"); !done)
      return done.why();
  for (const auto& x : *removed)
    if (auto done = integer_of(x, "DEL"); !done)
      return done.why();
  return model::nothing{};
}

model::status redis_writer::ask_settings() {
  std::vector<redis_command> all{
      {"CONFIG",
       {"GET", "appendonly", "appendfsync", "save", "min-replicas-to-write", "maxmemory-policy"}}};
  auto replies = session_.redis.send_all(all);
  if (!replies)
    return replies.why();
  health_.settings = "Redis " + session_.redis.facts().version;
  const auto& reply = replies->front();
  if (!reply.is(kind::array)) // an ACL may forbid it
    health_.settings += ", its settings are not shown: " + unexpected(reply, "CONFIG GET").detail;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2)
    health_.settings += ", " + reply.elements[i].text + " \"" + reply.elements[i + 1].text + '"';
  return model::nothing{};
}

model::result<model::seq> redis_writer::last_too_old(const model::conversation_name& name,
                                                     std::int64_t oldest_ms, std::int64_t now_ms) {
  auto known = session_.places.find(name);
  if (oldest_ms <= 0 || !known || !known->head.fork ||
      known->head.state.first > known->head.fork->at)
    return model::seq{};
  auto place = session_.last_not_beyond(
      name, {static_cast<std::uint64_t>(oldest_ms) - 1, entry_n_max}, now_ms);
  if (!place)
    return place.why();
  return *place ? (*place)->at : model::seq{};
}

std::vector<trim> redis_writer::retain(std::int64_t now_ms, bool& more) {
  std::vector<trim> trims;
  more = false;
  // Once per second, and so it is known at night, too, whether Redis is there.
  if (auto asked = ask_settings(); !asked) {
    note(&asked.why());
    return trims;
  }
  std::optional<model::error> refused;
  auto names = session_.places.seen(retain_logs);
  std::vector<redis_call> calls;
  for (const auto& name : names) {
    const auto* rule = model::rule_for(session_.how.retention, name.text());
    auto keep = rule != nullptr && rule->entries_max > 0 ? std::to_string(rule->entries_max)
                                                         : std::string{"-1"};
    auto age = rule == nullptr ? 0 : static_cast<std::int64_t>(rule->age_ms_max);
    auto oldest =
        age > 0 ? std::to_string(std::max<std::int64_t>(0, now_ms - age)) : std::string{"-1"};
    auto& x = calls.emplace_back(session_.call_of(name, now_ms));
    x.arguments.push_back(keep);
    x.arguments.push_back(oldest);
    x.arguments.push_back(std::to_string(session_.how.producer_ttl_s * 1000));
    x.arguments.push_back(std::to_string(internal_ttl_ms));
    x.arguments.push_back(std::to_string(random_()));
    auto too_old = last_too_old(name, age > 0 ? now_ms - age : 0, now_ms);
    if (!too_old)
      refused = too_old.why();
    x.arguments.push_back(std::to_string(too_old ? too_old->value : 0));
  }
  auto replies = session_.redis.call_all(redis_scripts::trim, calls);
  if (!replies) {
    note(&replies.why());
    return trims;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& x = (*replies)[i];
    if (!x.is(kind::array) || x.elements.size() != 2 || !x.elements[0].is(kind::integer)) {
      refused = unexpected(x, "the trim script");
      continue;
    }
    auto sight = session_.read_sight(names[i], x.elements[1]);
    if (!sight || x.elements[0].number == 0)
      continue;
    more = true;
    if (!sight->head.gone)
      trims.push_back({names[i], sight->head.state});
  }
  note(refused ? &*refused : nullptr);
  return trims;
}

} // namespace confab::store
