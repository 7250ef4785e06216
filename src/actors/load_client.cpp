#include "actors/load_client.hpp"

#include <algorithm>

namespace confab::actors {

void load_client_state::become(client_state x, std::string trouble) {
  state = x;
  self->send(watch, load_atom::report::value,
             client_report{number, x, plans_finished, given_up, std::move(trouble)});
}

std::int64_t load_client_state::around(std::int64_t mean_ms) {
  return std::uniform_int_distribution<std::int64_t>{1, std::max<std::int64_t>(2 * mean_ms, 1)}(
      random);
}

void load_client_state::wake_in(std::int64_t ms) {
  self->delayed_send(self, std::chrono::milliseconds{ms}, load_atom::tick::value, ++ticks);
}

void load_client_state::open() {
  if (state == client_state::connecting || state == client_state::live)
    return;
  ++ticks;
  become(client_state::connecting);
  line->open();
}

void load_client_state::drop(bool abrupt) {
  ++ticks;
  comes_and_goes.live_ms = 0;
  line->drop(abrupt);
  if (state != client_state::closed)
    become(client_state::closed);
}

void load_client_state::churn(const churn_order& x) {
  comes_and_goes = x;
  random.seed(x.seed + number);
  if (x.live_ms == 0)
    return;
  if (state == client_state::live)
    wake_in(around(x.live_ms));
  else
    open();
}

void load_client_state::pause(bool paused) {
  line->pause(paused);
}

void load_client_state::publish(const model::publish_schedule::plan& x) {
  ++plans;
  line->start(x);
}

void load_client_state::handle(const net::load::load_event& x) {
  using what = net::load::load_event::what;
  switch (x.is) {
  case what::opened:
  case what::live:
    // Else it was on its way when the client was told to leave.
    if (state != client_state::connecting)
      return;
    failures = 0;
    become(client_state::live);
    if (comes_and_goes.live_ms > 0)
      wake_in(around(comes_and_goes.live_ms));
    return;
  case what::lost: {
    if (state != client_state::connecting && state != client_state::live)
      return;
    auto mean = std::min(backoff_ms_min << std::min(failures++, 16U), backoff_ms_max);
    become(client_state::waiting, x.why.empty() ? "lost" : x.why);
    wake_in(mean / 2 + around(mean / 2));
    return;
  }
  case what::finished:
    plans_finished = plans;
    return become(state);
  case what::given_up:
    given_up = true;
    return become(state, x.why);
  }
}

void load_client_state::tick(std::uint64_t which) {
  if (which != ticks)
    return;
  if (state == client_state::waiting)
    return open();
  if (state != client_state::live || comes_and_goes.live_ms == 0)
    return;
  // As a lost network half of the time, in order otherwise.
  line->drop(random() % 2 == 0);
  become(client_state::waiting);
  wake_in(around(comes_and_goes.away_ms));
}

load_client_actor::behavior_type load_client(load_client_state::self_pointer self,
                                             std::uint32_t number,
                                             std::shared_ptr<net::load::load_line> line,
                                             load_watch_actor watch) {
  auto& state = self->state;
  state.number = number;
  state.line = std::move(line);
  state.watch = std::move(watch);
  state.random.seed(number);
  return {
      [&state](load_atom::open) { state.open(); },
      [&state](load_atom::drop, bool abrupt) { state.drop(abrupt); },
      [&state](load_atom::churn, const churn_order& x) { state.churn(x); },
      [&state](load_atom::pause, bool paused) { state.pause(paused); },
      [&state](load_atom::publish, const model::publish_schedule::plan& x) { state.publish(x); },
      [&state](load_atom::finish, std::int64_t end_ns) { state.line->stop(end_ns); },
      [&state](load_atom::event, const net::load::load_event& x) { state.handle(x); },
      [&state](load_atom::tick, std::uint64_t which) { state.tick(which); },
  };
}

} // namespace confab::actors
