#include "actors/directory.hpp"

#include "actors/conversation.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace confab::actors {

namespace {

/// Between sweeps of retention that found nothing more to do.
constexpr std::chrono::seconds retain_period{1};

} // namespace

conversation_actor directory_state::lookup(const model::conversation_name& x) {
  auto [i, is_new] = active.try_emplace(x);
  if (is_new) {
    i->second = self->spawn(conversation, x, writer, directory_actor{self}, streams, view, env);
    ++env->load.conversations;
    env->load.homes += home_here(x) ? 1 : 0;
  }
  return i->second;
}

bool directory_state::home_here(const model::conversation_name& x) const {
  return !view || view->homes.home_of(x) == view->own;
}

void directory_state::count() {
  env->load.conversations = active.size();
  env->load.homes = static_cast<std::uint64_t>(std::count_if(
      active.begin(), active.end(), [this](const auto& x) { return home_here(x.first); }));
}

bool directory_state::wake_up(const model::conversation_name& x) {
  auto i = active.find(x);
  if (i == active.end())
    return false;
  self->send(i->second, atom::wake_up::value);
  return true;
}

caf::result<bool> directory_state::wake_home(const model::conversation_name& x,
                                             const std::string& origin) {
  auto told = true;
  if (view && !origin.empty() && origin == view->homes.home_of(x))
    return false;
  if (auto way = view ? view->way_home(x) : link_actor{})
    self->send(way, atom::wake_up::value, x);
  else
    told = wake_up(x);
  if (streams.stream_speaker)
    return self->delegate(streams.stream_speaker, atom::wake::value, x);
  return told;
}

void directory_state::placed(const cluster_view_ptr& x) {
  view = x;
  for (const auto& [name_of_it, actor] : active)
    self->send(actor, atom::placed::value, x);
  if (streams.listener)
    self->send(streams.listener, atom::placed::value, x);
  count();
}

void directory_state::passivate(const model::conversation_name& x, const conversation_actor& who) {
  if (auto i = active.find(x); i != active.end() && i->second == who) {
    active.erase(i);
    --env->load.conversations;
    env->load.homes -= home_here(x) ? 1 : 0;
  }
  self->send(who, atom::stop::value);
}

void directory_state::retain() {
  self->request(writer, caf::infinite, atom::retain::value)
      .then([this](const retained& x) { retained_some(x); },
            [](const caf::error& why) { spdlog::debug("retention: {}", caf::to_string(why)); });
}

void directory_state::retained_some(const retained& x) {
  for (const auto& y : x.trims)
    if (auto i = active.find(y.name); i != active.end())
      self->send(i->second, atom::trimmed::value, y.state);
  if (x.more)
    self->send(self, atom::retain::value);
  else
    self->delayed_send(self, retain_period, atom::retain::value);
}

directory_actor::behavior_type directory(directory_state::self_pointer self,
                                         log_writer_actor writer, stream_actors streams,
                                         environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.writer = std::move(writer);
  state.streams = std::move(streams);
  state.env = env;
  self->delayed_send(self, retain_period, atom::retain::value);
  // The conversations hold the directory and it holds them: this breaks the cycle.
  self->set_exit_handler([&state](const caf::exit_msg& why) {
    for (const auto& [name, x] : state.active)
      state.self->send_exit(x, why.reason);
    state.active.clear();
    state.streams = {};
    state.view = nullptr;
    state.self->quit(why.reason);
  });
  return {
      [&state](atom::lookup, const model::conversation_name& x) { return state.lookup(x); },
      [&state](atom::wake_up, const model::conversation_name& x) { return state.wake_up(x); },
      [&state](atom::wake_up, const model::conversation_name& x, const std::string& origin) {
        return state.wake_home(x, origin);
      },
      [&state](atom::placed, const cluster_view_ptr& x) { state.placed(x); },
      [&state](atom::passivate, const model::conversation_name& x, const conversation_actor& who) {
        state.passivate(x, who);
      },
      [&state](atom::retain) { state.retain(); },
  };
}

} // namespace confab::actors
