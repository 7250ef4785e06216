#include "store/redis_channels.hpp"

#include "store/redis_scripts.hpp"

#include <algorithm>

namespace confab::store {

namespace {

std::string log_key(const model::conversation_name& name) {
  return "confab:log:" + name.text();
}

} // namespace

model::status channel_listener::listen() {
  redis_command command{"PSUBSCRIBE"};
  for (const auto& x : patterns_)
    command.add(x);
  auto reply = redis_.send(command);
  if (!reply)
    return reply.why();
  auto parts = elements_of(*reply, command.name());
  return parts ? model::status{model::nothing{}} : parts.why();
}

model::result<std::optional<heard_message>> channel_listener::hear(std::int64_t wait_ms) {
  for (;;) {
    auto got = redis_.receive(wait_ms);
    if (!got)
      return got.why();
    if (!*got)
      return std::optional<heard_message>{};
    auto& parts = (*got)->elements;
    // The answers for all patterns but the first.
    if (parts.size() == 3 && parts[0].text == "psubscribe")
      continue;
    // ["pmessage", pattern, channel, payload]
    auto whole = parts.size() == 4 && parts[0].text == "pmessage" &&
                 std::all_of(parts.begin() + 1, parts.end(),
                             [](const auto& x) { return x.is(redis_reply::kind::text); });
    if (!whole)
      return std::optional{heard_message{}};
    return std::optional{heard_message{std::move(parts[1].text),
                                       {std::move(parts[2].text), std::move(parts[3].text)}}};
  }
}

model::status channel_speaker::say(std::span<const channel_message> all) {
  std::vector<redis_command> commands;
  for (const auto& x : all)
    commands.push_back(redis_command{"PUBLISH", {x.channel, x.payload}});
  auto replies = redis_.send_all(commands);
  return replies ? model::status{model::nothing{}} : replies.why();
}

model::result<model::entry_id> log_speaker::spoken(const model::conversation_name& name) {
  auto got = redis_.send({"HGET", {log_key(name), "spoken"}});
  if (!got)
    return got.why();
  if (got->is(redis_reply::kind::nil))
    return model::entry_id{};
  auto text = text_of(*got, "HGET");
  if (!text)
    return text.why();
  auto id = model::parse_entry_id(**text);
  if (!id)
    return model::error{model::code::log_damaged,
                        "Redis: " + log_key(name) + " holds what Confab never wrote"};
  return *id;
}

model::result<bool> log_speaker::say(const model::conversation_name& name, const stretch& x) {
  redis_call call{{log_key(name)},
                  {x.epoch.text, to_string(x.from), to_string(x.through), x.channel}};
  call.arguments.insert(call.arguments.end(), x.messages.begin(), x.messages.end());
  auto replies = redis_.call_all(redis_scripts::speak, {&call, 1});
  if (!replies)
    return replies.why();
  auto said = integer_of(replies->front(), redis_scripts::speak.name);
  if (!said)
    return said.why();
  return *said == 1;
}

} // namespace confab::store
