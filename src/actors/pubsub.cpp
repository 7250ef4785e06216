#include "actors/pubsub.hpp"

#include "actors/stream_copies.hpp"
#include "net/wire/formats.hpp"
#include "net/wire/json_object.hpp"

#include <spdlog/spdlog.h>

namespace confab::actors {

namespace {

/// How long nothing else is done while nothing comes.
constexpr std::int64_t hear_ms = 50;
/// Heard in one go, and waiting for the log: beyond it Redis keeps what comes, as far as its
/// client-output-buffer-limit goes.
constexpr int messages_max = 256;
constexpr std::size_t unanswered_max = 1024;
constexpr std::size_t unanswered_bytes_max = 8 * 1024 * 1024;
constexpr std::chrono::milliseconds retry_wait{500};

} // namespace

void pubsub_listener_state::work() {
  auto step = redis->connect();
  if (step && !listening) {
    step = redis->listen();
    listening = static_cast<bool>(step);
  }
  if (step && unanswered.size() < unanswered_max && unanswered_bytes < unanswered_bytes_max) {
    auto heard = hear();
    if (!heard)
      step = heard.why();
  }
  if (step) {
    env->redis_health.up("listeners");
    auto full = unanswered.size() >= unanswered_max || unanswered_bytes >= unanswered_bytes_max;
    if (full)
      return self->delayed_send(self, std::chrono::milliseconds{10}, atom::work::value);
    return self->send(self, atom::work::value);
  }
  listening = false;
  env->redis_health.down("listeners", step.why().detail);
  self->delayed_send(self,
                     std::chrono::milliseconds{std::max<std::int64_t>(20, redis->retry_in_ms())},
                     atom::work::value);
}

model::result<bool> pubsub_listener_state::hear() {
  auto some = false;
  for (int i = 0; i < messages_max; ++i) {
    auto got = redis->hear(some ? 0 : hear_ms);
    if (!got)
      return got.why();
    if (!*got)
      break;
    some = true;
    if (auto to = pattern->name_of((*got)->channel))
      append(*to, (*got)->payload);
    else if (complaints.allows(env->wall_ms()))
      spdlog::warn("pubsub: a message whose channel names no conversation was left out");
  }
  return some;
}

void pubsub_listener_state::append(const model::conversation_name& to, const std::string& payload) {
  env->counted.heard.add();
  auto batch = std::make_shared<model::batch>();
  batch->drafts.push_back(copy_of({"", {{"payload", payload}}}, model::payload_form::json));
  batch->producer = "~pubsub:" + env->incarnation;
  batch->producer_seq = ++last_request;
  unanswered_bytes += batch->bytes();
  unanswered.emplace(last_request, waiting{to,
                                           {.request = last_request,
                                            .drafts = std::move(batch),
                                            .retried = false,
                                            .connection = client_actor{self}}});
  send_out(last_request);
}

void pubsub_listener_state::send_out(std::uint64_t request) {
  auto i = unanswered.find(request);
  if (i == unanswered.end())
    return;
  auto send = [this, request](const conversation_actor& to) {
    if (auto j = unanswered.find(request); j != unanswered.end())
      self->send(to, atom::append::value, j->second.what);
  };
  self->request(directory, caf::infinite, atom::lookup::value, i->second.to)
      .then(send, [this](const caf::error& why) {
        // The node is stopping.
        spdlog::debug("pubsub: {}", self->system().render(why));
      });
}

void pubsub_listener_state::receipts(const append_answers& x) {
  for (const auto& got : x.answers) {
    auto i = unanswered.find(got.request);
    if (i == unanswered.end())
      continue;
    if (!got.got && got.got.why().what == model::code::moved) {
      send_out(got.request);
      continue;
    }
    if (!got.got && temporary(got.got.why().what)) {
      i->second.what.retried = true;
      self->delayed_send(self, retry_wait, atom::append::value, got.request);
      continue;
    }
    if (!got.got && complaints.allows(env->wall_ms()))
      spdlog::warn("pubsub: {}: a message was not appended: {}", i->second.to.text(),
                   got.got.why().detail);
    unanswered_bytes -= i->second.what.drafts->bytes();
    unanswered.erase(i);
  }
}

pubsub_listener_actor::behavior_type pubsub_listener(pubsub_listener_state::self_pointer self,
                                                     store::redis_options redis,
                                                     std::string pattern, directory_actor directory,
                                                     environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.pattern = *model::channel_pattern::parse(pattern, "*");
  state.redis.emplace(std::move(redis), std::move(pattern));
  state.directory = std::move(directory);
  self->send(self, atom::work::value);
  return {
      [&state](atom::receipts, const append_answers& x) { state.receipts(x); },
      [](atom::superseded, const model::conversation_name&) {
        // It subscribes to nothing.
      },
      [&state](atom::append, std::uint64_t request) { state.send_out(request); },
      [&state](atom::work) { state.work(); },
  };
}

void pubsub_speaker_state::say(const model::conversation_name& of,
                               const std::vector<model::run_ptr>& newest) {
  std::vector<store::channel_message> messages;
  for (const auto& run : newest) {
    for (const auto& x : run->entries()) {
      std::string json = R"({"conversation":)";
      net::wire::add_string(json, of.text());
      json += ',';
      net::wire::add_entry_members(json, x);
      json += '}';
      messages.push_back({channels->channel_of(of), std::move(json)});
    }
    env->spoken.give_back(run->bytes());
  }
  auto said = redis->say(messages);
  if (said) {
    env->counted.spoken.add(messages.size());
    return env->redis_health.up("speakers");
  }
  env->counted.unspoken.add(messages.size());
  env->redis_health.down("speakers", said.why().detail);
  if (complaints.allows(env->wall_ms()))
    spdlog::warn("pubsub: {}: {} entries were not published: {}", of.text(), messages.size(),
                 said.why().detail);
}

pubsub_speaker_actor::behavior_type pubsub_speaker(pubsub_speaker_state::self_pointer self,
                                                   store::redis_options redis, std::string channels,
                                                   environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.redis.emplace(std::move(redis));
  state.channels = *model::channel_pattern::parse(channels, "{name}");
  return {
      [&state](atom::publish, const model::conversation_name& of,
               const std::vector<model::run_ptr>& newest) { state.say(of, newest); },
  };
}

} // namespace confab::actors
