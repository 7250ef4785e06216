#include "actors/pubsub.hpp"

#include "actors/stream_copies.hpp"
#include "net/wire/formats.hpp"
#include "net/wire/json_object.hpp"
#include "store/redis_writer.hpp"

#include <spdlog/spdlog.h>

namespace confab::actors {

namespace {

/// How long nothing else is done while nothing comes.
constexpr std::int64_t hear_ms = 50;
/// Heard in one go, and waiting for the log: beyond it Redis keeps what comes, as far as its
/// client-output-buffer-limit goes.
constexpr int messages_max = 256;
/// From the oldest to the newest that waits: the log on Redis keeps receipts of so many numbers.
constexpr std::uint64_t unanswered_span_max = 256;
static_assert(unanswered_span_max < store::producer_slots);
constexpr std::size_t unanswered_bytes_max = 8 * 1024 * 1024;
constexpr std::chrono::milliseconds retry_wait{500};
/// Members are looked for more often.
constexpr std::int64_t list_patience_ms = 2'000;

} // namespace

void pubsub_listener_state::open(const directory_actor& x) {
  directory = x;
  self->send(self, atom::work::value);
}

void pubsub_listener_state::placed(const cluster_view_ptr& x) {
  if (among)
    among->know(x->live, env->wall_ms());
}

caf::result<bool> pubsub_listener_state::leave() {
  if (among)
    among->leave(env->wall_ms());
  auto promise = self->make_response_promise<bool>();
  leaving.push_back(promise);
  return promise;
}

void pubsub_listener_state::answer_leaving() {
  // One that is alone leaves its messages to nobody.
  if (unanswered.empty() && (!among || among->left()))
    for (auto& x : std::exchange(leaving, {}))
      x.deliver(true);
}

void pubsub_listener_state::work() {
  answer_leaving();
  auto step = redis->connect();
  if (step && !listening)
    step = listen();
  if (step)
    step = publish_list();
  if (step && !full())
    step = hear();
  if (step) {
    env->redis_health.up("listeners");
    if (full())
      return self->delayed_send(self, std::chrono::milliseconds{10}, atom::work::value);
    return self->send(self, atom::work::value);
  }
  listening = false;
  env->redis_health.down("listeners", step.why().detail);
  self->delayed_send(self,
                     std::chrono::milliseconds{std::max<std::int64_t>(20, redis->retry_in_ms())},
                     atom::work::value);
}

model::status pubsub_listener_state::listen() {
  if (among)
    among->begin_again();
  auto done = redis->listen();
  listening = static_cast<bool>(done);
  return done;
}

model::status pubsub_listener_state::publish_list() {
  auto list = among ? among->due(env->wall_ms()) : std::string{};
  if (list.empty())
    return model::nothing{};
  store::channel_message message{list_channel, std::move(list)};
  auto said = list_speaker->say({&message, 1});
  // It is due again.
  if (!said && complaints.allows(env->wall_ms()))
    spdlog::warn("pubsub: the other nodes were not told which ones there are: {}",
                 said.why().detail);
  return model::nothing{};
}

bool pubsub_listener_state::full() const {
  return unanswered_bytes >= unanswered_bytes_max ||
         (!unanswered.empty() &&
          last_request - unanswered.begin()->first >= unanswered_span_max - 1);
}

model::status pubsub_listener_state::hear() {
  for (int i = 0; i < messages_max && !full(); ++i) {
    auto got = redis->hear(i > 0 ? 0 : hear_ms);
    if (!got)
      return got.why();
    if (!*got)
      break;
    take(**got);
  }
  return model::nothing{};
}

void pubsub_listener_state::take(const store::heard_message& x) {
  if (among && x.what.channel == list_channel) {
    if (x.pattern != list_channel)
      return; // by the pattern of old producers it comes, too
    auto heard = among->heard(x.what.payload, env->wall_ms());
    if (!heard && complaints.allows(env->wall_ms()))
      spdlog::warn("pubsub: what was published on {} {}", list_channel, heard.why().detail);
    return;
  }
  auto to = pattern->name_of(x.what.channel);
  if (to && (!among || among->takes(*to)))
    append(*to, x.what.payload);
  else if (!to && complaints.allows(env->wall_ms()))
    spdlog::warn("pubsub: a message whose channel names no conversation was left out");
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
                                                     listening_options how, environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.pattern = *model::channel_pattern::parse(how.channels, "*");
  state.list_channel = std::move(how.list_channel);
  std::vector<std::string> patterns{how.channels};
  if (!state.list_channel.empty()) {
    patterns.push_back(state.list_channel);
    state.among.emplace(env->incarnation, list_patience_ms);
    state.list_speaker.emplace(how.redis);
  }
  state.redis.emplace(std::move(how.redis), std::move(patterns));
  return {
      [&state](atom::receipts, const append_answers& x) { state.receipts(x); },
      [](atom::superseded, const model::conversation_name&) {
        // It subscribes to nothing.
      },
      [&state](atom::open, const directory_actor& x) { state.open(x); },
      [&state](atom::placed, const cluster_view_ptr& x) { state.placed(x); },
      [&state](atom::leave) { return state.leave(); },
      [&state](atom::append, std::uint64_t request) { state.send_out(request); },
      [&state](atom::work) { state.work(); },
  };
}

std::string spoken_message(const model::conversation_name& of, const model::entry& x) {
  std::string json = R"({"conversation":)";
  net::wire::add_string(json, of.text());
  json += ',';
  net::wire::add_entry_members(json, x);
  return json += '}';
}

void pubsub_speaker_state::say(const model::conversation_name& of,
                               const std::vector<model::run_ptr>& newest) {
  std::vector<store::channel_message> messages;
  for (const auto& run : newest) {
    for (const auto& x : run->entries())
      messages.push_back({channels->channel_of(of), spoken_message(of, x)});
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
