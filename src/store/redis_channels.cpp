#include "store/redis_channels.hpp"

namespace confab::store {

model::status channel_listener::listen() {
  redis_command command{"PSUBSCRIBE", {pattern_}};
  auto reply = redis_.send(command);
  if (!reply)
    return reply.why();
  auto parts = elements_of(*reply, command.name());
  return parts ? model::status{model::nothing{}} : parts.why();
}

model::result<std::optional<channel_message>> channel_listener::hear(std::int64_t wait_ms) {
  auto got = redis_.receive(wait_ms);
  if (!got)
    return got.why();
  if (!*got)
    return std::optional<channel_message>{};
  // ["pmessage", pattern, channel, payload]
  auto& parts = (*got)->elements;
  auto whole = parts.size() == 4 && parts[0].text == "pmessage" &&
               parts[2].is(redis_reply::kind::text) && parts[3].is(redis_reply::kind::text);
  if (!whole)
    return std::optional{channel_message{}};
  return std::optional{channel_message{std::move(parts[2].text), std::move(parts[3].text)}};
}

model::status channel_speaker::say(std::span<const channel_message> all) {
  std::vector<redis_command> commands;
  for (const auto& x : all)
    commands.push_back(redis_command{"PUBLISH", {x.channel, x.payload}});
  auto replies = redis_.send_all(commands);
  return replies ? model::status{model::nothing{}} : replies.why();
}

} // namespace confab::store
