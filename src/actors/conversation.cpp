#include "actors/conversation.hpp"

#include "net/hub.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace confab::actors {

namespace {

/// Between attempts to open a log that could not be read.
constexpr std::int64_t reopen_ms = 1000;
/// A timer keeps its actor alive until it fires.
constexpr std::int64_t expiry_wait_ms = 60'000;

const model::error moved{model::code::moved, "the conversation's actor has moved"};

} // namespace

void conversation_state::open() {
  opened_ms = env->wall_ms();
  opening = true;
  look_overtaken = looking;
  // `await`: whatever arrives meanwhile is handled afterwards, in order.
  self->request(writer, caf::infinite, atom::open::value, *of)
      .await(
          [this](const opened& x) {
            opening = false;
            if (!x) {
              broken = x.why();
              // Where nothing can be read, the writer's health says it once for all.
              auto known = !env->log_health.readiness(env->wall_ms()).ready;
              spdlog::log(known ? spdlog::level::debug : spdlog::level::err,
                          "{}: the log cannot be opened: {}", of->text(), broken->detail);
              return give_up_controls(*broken);
            }
            broken.reset();
            know(*x);
            if (unsettled && streams.mirror)
              self->send(streams.mirror, atom::grew::value, *of, state, model::seq{});
            announce({});
            speak_of_growth();
            admit_all();
            release_unread(true);
            run_controls();
            release_held();
            watch_idleness();
          },
          [this](const caf::error& why) {
            opening = false;
            broken = model::error{model::code::read_failed,
                                  "the log's writer has ended: " + self->system().render(why)};
            give_up_controls(*broken);
          });
}

void conversation_state::know(const store::log_head& x) {
  settings = x.settings;
  stream_seq = stream_seq_given = x.stream_seq;
  auto now = x.state;
  if (now.epoch.empty() && !state.epoch.empty())
    now.life = model::lifecycle::deleted;
  become(now);
}

void conversation_state::become(const model::log_state& x) {
  if (x.epoch != state.epoch) {
    closing = false;
    // Their numbers count in the log that is no more.
    if (!state.epoch.empty())
      producers.begin_anew();
  }
  state = x;
  last_given = state.tail;
  last_id = state.tail_id;
  watch_expiry();
}

void conversation_state::watch_expiry() {
  if (expiry_pending || !settings.lifetime.expires_ms)
    return;
  expiry_pending = true;
  auto wait =
      std::clamp<std::int64_t>(*settings.lifetime.expires_ms - env->wall_ms(), 0, expiry_wait_ms);
  self->delayed_send(self, std::chrono::milliseconds{wait}, atom::expire::value);
}

void conversation_state::expire() {
  expiry_pending = false;
  if (!leaving && in_flight.empty() && !control_running && !opening)
    forget_expired();
  if (busy())
    watch_expiry();
}

void conversation_state::forget_expired() {
  if (!settings.lifetime.expired(env->wall_ms()) || !in_flight.empty() || control_running ||
      opening)
    return;
  settings = {};
  stream_seq.clear();
  stream_seq_given.clear();
  producers.begin_anew();
  become({.life = model::lifecycle::deleted});
  announce({});
}

void conversation_state::touch() {
  last_use = self->clock().now();
  if (unavailable())
    return;
  if (auto deadline = settings.lifetime.renewed(env->wall_ms())) {
    settings.lifetime.expires_ms = deadline;
    self->send(writer, atom::touch::value, new_deadline{*of, state.epoch, *deadline});
  }
}

void conversation_state::give_up_controls(const model::error& why) {
  for (const auto& x : std::exchange(unread, {}))
    refuse(x.what, why);
  for (auto& x : std::exchange(looked_for, {}))
    x.answer.deliver(subscribed{why});
  for (auto& x : std::exchange(arriving, {}))
    x.answer.deliver(subscribed{why});
  for (auto& x : std::exchange(controls, {}))
    if (x.creates)
      x.created.deliver(creation_done{why});
    else
      x.answer.deliver(state_changed{why});
  release_held();
  watch_idleness();
}

std::optional<model::error> conversation_state::unavailable() {
  if (leaving)
    return moved;
  forget_expired();
  if (!broken)
    return std::nullopt;
  auto why = *broken;
  if (env->wall_ms() - opened_ms >= reopen_ms)
    open();
  return why;
}

caf::result<subscribed> conversation_state::subscribe(const subscriber& x) {
  last_use = self->clock().now();
  if (auto why = unavailable())
    return subscribed{*why};
  if (!shared())
    return admit(x);
  auto promise = self->make_response_promise<subscribed>();
  arriving.push_back({x, promise});
  wake_up();
  return promise;
}

subscribed conversation_state::admit(const subscriber& x) {
  std::pair client{x.who.user, x.who.client};
  auto same = by_client.find(client);
  // Connections are numbered as they come: one that was superseded on its way here stays so.
  if (same != by_client.end() && same->second > x.id && !x.takes_back)
    return subscribed{model::error{model::code::superseded,
                                   "the same client has subscribed through a newer connection"}};
  if (same != by_client.end() && same->second != x.id) {
    auto old = same->second;
    self->send(subscribers.at(old.value).connection, atom::superseded::value, *of);
    unsubscribe(old);
  }
  touch();
  auto& its = hubs[x.hub];
  if (!its.feed)
    its.feed = x.hub->open_feed(*of, state);
  if (subscribers.try_emplace(x.id.value, x).second) {
    ++its.count;
    if (!x.who.passing())
      by_client.emplace(std::move(client), x.id);
    if (streams.copier && subscribers.size() == 1)
      self->send(streams.copier, atom::watch::value, *of, true);
  }
  watch_expiry();
  watch_growth();
  return subscribed{subscription_answer{state, its.feed, settings}};
}

void conversation_state::unsubscribe(connection_id who) {
  turn_away(arriving, who);
  turn_away(looked_for, who);
  auto i = subscribers.find(who.value);
  if (i == subscribers.end())
    return watch_idleness();
  auto hub = hubs.find(i->second.hub);
  if (--hub->second.count == 0)
    hubs.erase(hub);
  by_client.erase({i->second.who.user, i->second.who.client});
  subscribers.erase(i);
  if (streams.copier && subscribers.empty())
    self->send(streams.copier, atom::watch::value, *of, false);
  watch_idleness();
}

caf::result<state_changed> conversation_state::close() {
  last_use = self->clock().now();
  if (auto why = unavailable())
    return state_changed{*why};
  auto promise = self->make_response_promise<state_changed>();
  controls.push_back({false, promise});
  run_controls();
  return promise;
}

caf::result<state_changed> conversation_state::remove() {
  last_use = self->clock().now();
  if (auto why = unavailable())
    return state_changed{*why};
  auto promise = self->make_response_promise<state_changed>();
  controls.push_back({true, promise});
  run_controls();
  return promise;
}

void conversation_state::run_controls() {
  if (controls.empty() || control_running || opening || !in_flight.empty() || !forwards.empty())
    return;
  control_running = true;
  run(controls.front());
}

void conversation_state::run(control next) {
  if (next.creates) {
    auto finish = [this, next](const creation_done& x) mutable {
      if (x)
        settings = x->settings;
      changed(next, x ? state_changed{x->state} : state_changed{x.why()});
      if (x && streams.mirror)
        self->send(streams.mirror, atom::grew::value, *of, state, model::seq{});
      next.created.deliver(x);
      control_done();
    };
    self->request(writer, caf::infinite, atom::create::value, *of, next.creates)
        .await(finish, [this, finish](const caf::error& why) mutable {
          finish(model::error{model::code::store_failed, self->system().render(why)});
        });
    return;
  }
  auto finish = [this, next](const state_changed& x) mutable {
    changed(next, x);
    next.answer.deliver(x);
    control_done();
  };
  auto fail = [this, finish](const caf::error& why) mutable {
    finish(model::error{model::code::store_failed, self->system().render(why)});
  };
  if (next.removes)
    self->request(writer, caf::infinite, atom::remove::value, *of).await(finish, fail);
  else
    self->request(writer, caf::infinite, atom::close::value, *of).await(finish, fail);
}

void conversation_state::changed(const control& by, const state_changed& got) {
  if (!got)
    return;
  look_overtaken = looking;
  if (by.removes) {
    producers.begin_anew();
    know({});
  }
  auto begun_by_others = !by.removes && !by.creates && got->epoch != state.epoch;
  if (begun_by_others) {
    open(); // what else it is, the log itself tells
  } else {
    become(*got);
    announce({});
    speak_of_growth();
  }
  if (home)
    self->send(home, atom::wake_up::value, *of);
}

void conversation_state::control_done() {
  control_running = false;
  controls.pop_front();
  run_controls();
  release_held();
  watch_idleness();
}

caf::result<creation_done> conversation_state::create(const creation& x) {
  last_use = self->clock().now();
  if (auto why = unavailable())
    return creation_done{*why};
  auto promise = self->make_response_promise<creation_done>();
  controls.push_back({.removes = false, .answer = {}, .creates = x, .created = promise});
  run_controls();
  return promise;
}

void conversation_state::release_held() {
  if (!controls.empty() || opening)
    return;
  for (auto& x : std::exchange(held, {}))
    publish(x);
}

void conversation_state::trimmed(const model::log_state& x) {
  if (x.epoch != state.epoch)
    return;
  state.first = std::max(state.first, x.first);
  announce({});
}

void conversation_state::announce(const std::vector<model::run_ptr>& newest) {
  for (auto& [hub, its] : hubs)
    hub->announce(its.feed, state, newest);
  tell_followers(newest);
}

bool conversation_state::busy() const noexcept {
  return !subscribers.empty() || !in_flight.empty() || !looking_up.empty() || !controls.empty() ||
         !held.empty() || !unread.empty() || !forwards.empty() || !followers.empty() ||
         !arriving.empty() || !looked_for.empty() || asked_for_drafts > 0;
}

void conversation_state::watch_idleness() {
  if (busy() || idle_pending || leaving)
    return;
  idle_pending = true;
  self->delayed_send(self, std::chrono::milliseconds{env->at_most.passivate_ms}, atom::idle::value);
}

void conversation_state::idle() {
  idle_pending = false;
  if (busy() || leaving)
    return;
  auto quiet = self->clock().now() - last_use;
  if (quiet < std::chrono::milliseconds{env->at_most.passivate_ms})
    return watch_idleness();
  if (unsettled && !env->log_health.readiness(env->wall_ms()).ready)
    return watch_idleness(); // its successor would not know
  leaving = true;
  if (home)
    self->send(home, atom::unfollow::value, *of, caf::actor_cast<follower_actor>(self));
  self->send(directory, atom::passivate::value, *of, conversation_actor{self});
}

conversation_actor::behavior_type conversation(conversation_state::self_pointer self,
                                               model::conversation_name name,
                                               log_writer_actor writer, directory_actor directory,
                                               stream_actors streams, cluster_view_ptr view,
                                               environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.of = std::make_shared<const model::conversation_name>(std::move(name));
  state.writer = std::move(writer);
  state.directory = std::move(directory);
  state.streams = std::move(streams);
  state.env = env;
  if (state.streams.copier)
    self->send(state.streams.copier, atom::look::value, *state.of);
  state.last_use = self->clock().now();
  state.growth_phase = std::hash<std::string>{}(state.of->text());
  state.open();
  state.watch_idleness();
  if (view)
    state.placed(view); // not by a message: newer ones may be in the mailbox
  return {
      [&state](atom::subscribe, const subscriber& x) { return state.subscribe(x); },
      [&state](atom::unsubscribe, connection_id who) { state.unsubscribe(who); },
      [&state](atom::append, const publication& x) { state.publish(x); },
      [&state](atom::committed, const commit_report& x) { state.committed(x); },
      [&state](atom::wake_up) { state.wake_up(); },
      [&state](atom::look, const opened& x) { state.looked(x); },
      [&state](atom::placed, const cluster_view_ptr& x) { state.placed(x); },
      [&state](atom::follow, const link_actor& x) { return state.follow(x); },
      [&state](atom::unfollow, const link_actor& x) { state.unfollow(x); },
      [&state](atom::announce, const announcement& x) { state.announced(x); },
      [&state](atom::receipts, const append_answers& x) { state.receipts(x); },
      [&state](atom::reconcile) { state.reconcile(); },
      [&state](atom::close) { return state.close(); },
      [&state](atom::remove) { return state.remove(); },
      [&state](atom::create, const creation& x) { return state.create(x); },
      [&state](atom::touch) { state.touch(); },
      [&state](atom::expire) { state.expire(); },
      [&state](atom::trimmed, const model::log_state& x) { state.trimmed(x); },
      [&state](atom::idle) { state.idle(); },
      [&state](atom::stop) {
        // Whoever still holds the handle gets `moved`; when the last one lets go, CAF destroys the
        // actor.
        state.directory = nullptr;
        state.home = nullptr;
        state.view = nullptr;
      },
  };
}

} // namespace confab::actors
