#include "actors/load_driver.hpp"

namespace confab::actors {

client_group load_driver_state::spawn(const group_order& x) {
  client_group who{static_cast<std::uint32_t>(groups.size())};
  group into{.name = x.name,
             .first = static_cast<std::uint32_t>(clients.size()),
             .size = static_cast<std::uint32_t>(x.clients.size())};
  into.next = into.first + into.size;
  into.count[static_cast<std::size_t>(client_state::closed)] = into.size;
  into.finished = into.size;
  for (const auto& how : x.clients) {
    auto number = static_cast<std::uint32_t>(clients.size());
    clients.push_back(
        {make(number, how, load_watch_actor{self}), who.id, client_state::closed, how.what.client});
  }
  groups.push_back(std::move(into));
  return who;
}

template <class... Args>
void load_driver_state::tell_all(client_group who, const Args&... args) {
  const auto& x = groups[who.id];
  for (auto i = x.first; i < x.first + x.size; ++i)
    self->send(clients[i].actor, args...);
}

void load_driver_state::open(const open_order& x) {
  auto& to = groups[x.who.id];
  to.next = to.first;
  to.at_once = x.at_once;
  open_more(to);
}

void load_driver_state::open_more(group& x) {
  auto on_their_way = x.count[static_cast<std::size_t>(client_state::connecting)];
  // Their own reports come later: what was just told to open counts already.
  for (; x.next < x.first + x.size && on_their_way < x.at_once; ++x.next, ++on_their_way) {
    auto& who = clients[x.next];
    if (who.state != client_state::closed)
      continue;
    --x.count[static_cast<std::size_t>(client_state::closed)];
    ++x.count[static_cast<std::size_t>(client_state::connecting)];
    who.state = client_state::connecting;
    self->send(who.actor, load_atom::open::value);
  }
}

void load_driver_state::drop(const drop_order& x) {
  auto& of = groups[x.who.id];
  of.next = of.first + of.size;
  tell_all(x.who, load_atom::drop::value, x.abrupt);
}

void load_driver_state::churn(const churn_group_order& x) {
  tell_all(x.who, load_atom::churn::value, x.how);
}

void load_driver_state::pause(const pause_order& x) {
  tell_all(x.who, load_atom::pause::value, x.paused);
}

void load_driver_state::publish(const publish_order& x) {
  auto& to = groups[x.who.id];
  auto n = to.size;
  if (n == 0)
    return;
  for (std::uint32_t i = 0; i < n; ++i) {
    auto plan = x.plan;
    plan.per_s = x.plan.per_s / n;
    plan.entries = x.plan.entries == 0 ? 0 : (x.plan.entries + n - 1 - i) / n;
    // Spread, so that they do not publish at the same moments.
    if (x.plan.per_s > 0)
      plan.begin_ns += static_cast<std::int64_t>(1e9 * x.plan.burst * i / x.plan.per_s);
    auto& who = clients[to.first + i];
    if (plan.entries == 0 && x.plan.entries != 0)
      continue; // more clients than entries
    if (who.plans++ == who.plans_finished)
      --to.finished;
    self->send(who.actor, load_atom::publish::value, plan);
  }
}

void load_driver_state::finish(const finish_order& x) {
  tell_all(x.who, load_atom::finish::value, x.end_ns);
}

void load_driver_state::report(const client_report& x) {
  auto& who = clients[x.number];
  auto& of = groups[who.group];
  --of.count[static_cast<std::size_t>(who.state)];
  ++of.count[static_cast<std::size_t>(x.state)];
  if (who.plans_finished != who.plans && x.plans_finished == who.plans)
    ++of.finished;
  who.state = x.state;
  who.plans_finished = x.plans_finished;
  if (!x.trouble.empty())
    trouble = who.name + ": " + x.trouble;
  if (x.given_up && failure.empty())
    failure = who.name + ": " + x.trouble;
  open_more(of);
}

load_overview load_driver_state::overview() const {
  load_overview result{.groups = {}, .trouble = trouble, .failure = failure};
  for (const auto& x : groups)
    result.groups.push_back({x.name, x.size, x.count, x.finished});
  return result;
}

load_driver_actor::behavior_type load_driver(load_driver_state::self_pointer self,
                                             load_client_factory make) {
  auto& state = self->state;
  state.make = std::move(make);
  // The clients hold the driver and it holds them: this breaks the cycle.
  self->set_exit_handler([&state](const caf::exit_msg& why) {
    for (const auto& x : state.clients)
      state.self->send_exit(x.actor, why.reason);
    state.clients.clear();
    state.self->quit(why.reason);
  });
  return {
      [&state](load_atom::report, const client_report& x) { state.report(x); },
      [&state](load_atom::spawn, const group_order& x) { return state.spawn(x); },
      [&state](load_atom::open, const open_order& x) { state.open(x); },
      [&state](load_atom::drop, const drop_order& x) { state.drop(x); },
      [&state](load_atom::churn, const churn_group_order& x) { state.churn(x); },
      [&state](load_atom::pause, const pause_order& x) { state.pause(x); },
      [&state](load_atom::publish, const publish_order& x) { state.publish(x); },
      [&state](load_atom::finish, const finish_order& x) { state.finish(x); },
      [&state](load_atom::overview) { return state.overview(); },
  };
}

} // namespace confab::actors
