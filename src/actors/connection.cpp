#include "actors/connection.hpp"

#include "net/hub.hpp"

#include <algorithm>

namespace confab::actors {

namespace {

/// Handles of conversations that are neither followed nor waited for; more are forgotten.
constexpr std::size_t known_max = 64;
/// A conversation that moves, or a log that is replaced, while somebody subscribes: so often it is tried again.
constexpr int subscribe_tries_max = 5;
constexpr std::chrono::milliseconds tick_period{250};

constexpr std::string_view handled_elsewhere = "the conversation could not be reached; try again";

} // namespace

connection_state::known_conversation& connection_state::know(const model::conversation_name& of_name) {
  auto i = known.find(of_name);
  if (i != known.end())
    return i->second;
  if (known.size() >= known_max + subscriptions)
    std::erase_if(known, [](const auto& x) {
      const auto& y = x.second;
      return y.subscription == 0 && y.unanswered == 0 && y.waiting.empty();
    });
  auto& x = known[of_name];
  x.producer = ++last_number;
  return x;
}

void connection_state::with(const model::conversation_name& of_name, task x) {
  auto& k = know(of_name);
  if (k.actor && k.waiting.empty())
    return x(k.actor);
  k.waiting.push_back(std::move(x));
  if (k.waiting.size() > 1)
    return;
  self->request(directory, caf::infinite, atom::lookup::value, of_name)
    .then([this, of_name](const conversation_actor& found) {
      auto& y = know(of_name);
      y.actor = found;
      for (auto& due : std::exchange(y.waiting, {}))
        due(found);
    },
    // The directory ends with the process only; deadlines answer what waits.
    [this, of_name](const caf::error&) { know(of_name).waiting.clear(); });
}

void connection_state::forget(const model::conversation_name& of_name) {
  if (auto i = known.find(of_name); i != known.end() && i->second.waiting.empty())
    i->second.actor = nullptr;
}

void connection_state::handle(const net::subscribe_command& x) {
  auto& k = know(x.name);
  if (k.subscription == 0) {
    if (subscriptions >= env->at_most.subscriptions)
      return fail(x.ref, x.name,
                  {model::code::too_many_subscriptions,
                   "this connection follows " + std::to_string(subscriptions) +
                     " conversations, as many as it may (net.subscriptions)"});
    ++subscriptions;
  }
  k.subscription = ++last_number;
  subscribe({x, k.subscription});
}

void connection_state::subscribe(const attempt& x) {
  with(x.what.name, [this, x](const conversation_actor& to) {
    self->request(to, caf::infinite, atom::subscribe::value,
                  subscriber{id, session.hub, who, client_actor{self}})
      .then([this, x](const subscribed& got) { subscribed_to(x, got); },
            [this, x](const caf::error&) {
              subscribed_to(x, model::error{model::code::moved, std::string{handled_elsewhere}});
            });
  });
}

void connection_state::subscribed_to(attempt x, const subscribed& got) {
  if (outdated(x)) {
    if (got)
      with(x.what.name, [this, name = x.what.name](const conversation_actor& to) {
        // A later subscribe keeps the place; without one, nobody needs it.
        if (ended || know(name).subscription == 0)
          self->send(to, atom::unsubscribe::value, id);
      });
    return subscribe_failed(x, {model::code::superseded, "another command for this conversation "
                                                         "came before the answer"});
  }
  if (!got) {
    if (got.why().what == model::code::moved && ++x.tries < subscribe_tries_max) {
      forget(x.what.name);
      return subscribe(x);
    }
    return subscribe_failed(x, got.why());
  }
  const auto own_id = !who.client.starts_with('~');
  auto from = x.what.from;
  if (!from)
    from = model::resume_request{
      .from = {.what = own_id ? model::after::form::saved : model::after::form::now},
      .epoch = std::nullopt,
      .id = std::nullopt};
  if (from->from.what == model::after::form::saved)
    return start_at_cursor(x, *got);
  start_at(x, *got, *from);
}

void connection_state::start_at_cursor(const attempt& x, const subscription_answer& got) {
  self->request(readers[id.value % readers.size()], caf::infinite, atom::cursor::value,
                store::cursor_key{who.user, who.client, x.what.name})
    .then([this, x, got](const cursor_read& saved) {
      if (!saved)
        return subscribe_failed(x, saved.why());
      model::resume_request from{.from = {.what = model::after::form::start},
                                 .epoch = std::nullopt,
                                 .id = std::nullopt};
      if (const auto& at = *saved) {
        from.from = {.what = model::after::form::seq, .at = at->at};
        from.epoch = at->epoch;
        if (at->id != model::entry_id{})
          from.id = at->id;
      }
      start_at(x, got, from);
    },
    [this, x](const caf::error&) {
      subscribe_failed(x, {model::code::read_failed, "the cursor could not be read"});
    });
}

void connection_state::start_at(const attempt& x, const subscription_answer& got,
                                const model::resume_request& from) {
  auto by = model::needed(from, got.state);
  if (by == model::lookup::none)
    return attach(x, got, model::resolve(from, got.state, nullptr));
  self->request(readers[id.value % readers.size()], caf::infinite, atom::locate::value,
                locate_request{x.what.name, by, from.from.at, from.from.id})
    .then([this, x, got, from](const located& seen) {
      if (!seen)
        return subscribe_failed(x, seen.why());
      if (seen->head.state.epoch != got.state.epoch) {
        // The log was created or replaced in between: ask for the state anew.
        auto again = x;
        if (++again.tries < subscribe_tries_max)
          return subscribe(again);
        return subscribe_failed(x, {model::code::read_failed, "the log keeps changing"});
      }
      model::sighting sighting{seen->head.state, seen->found};
      attach(x, got, model::resolve(from, got.state, &sighting));
    },
    [this, x](const caf::error&) {
      subscribe_failed(x, {model::code::read_failed, "the log could not be read"});
    });
}

void connection_state::attach(const attempt& x, const subscription_answer& got,
                              model::start from) {
  if (outdated(x))
    return subscribe_failed(x, {model::code::superseded, "another command for this conversation "
                                                         "came before the answer"});
  tell(net::subscribed_event{x.what.ref, x.what.name, got.feed, got.state, from});
}

void connection_state::subscribe_failed(const attempt& x, const model::error& why) {
  if (!outdated(x)) {
    know(x.what.name).subscription = 0;
    --subscriptions;
    with(x.what.name, [this](const conversation_actor& to) {
      self->send(to, atom::unsubscribe::value, id);
    });
    return tell(net::failed_event{x.what.ref, x.what.name, why, 0, true});
  }
  fail(x.what.ref, x.what.name, why);
}

bool connection_state::outdated(const attempt& x) const {
  auto i = known.find(x.what.name);
  return ended || i == known.end() || i->second.subscription != x.number;
}

void connection_state::handle(const net::unsubscribe_command& x) {
  auto i = known.find(x.name);
  if (i == known.end() || i->second.subscription == 0)
    return fail(x.ref, x.name, {model::code::not_subscribed,
                                "unsubscribe: this connection does not follow " + x.name.text()});
  i->second.subscription = 0;
  --subscriptions;
  with(x.name, [this](const conversation_actor& to) {
    self->send(to, atom::unsubscribe::value, id);
  });
  tell(net::unsubscribed_event{x.ref, x.name});
}

void connection_state::superseded(const model::conversation_name& x) {
  auto i = known.find(x);
  if (i == known.end() || i->second.subscription == 0)
    return;
  i->second.subscription = 0;
  --subscriptions;
  tell(net::unsubscribed_event{{}, x, true});
}

void connection_state::handle(const net::publish_command& x) {
  auto& k = know(x.name);
  auto batch = x.drafts;
  if (batch->producer.empty()) {
    auto numbered = std::make_shared<model::batch>(*batch);
    numbered->producer = '~' + env->incarnation + ':' + std::to_string(id.value) + ':' +
                         std::to_string(k.producer);
    numbered->producer_seq = ++k.drafts;
    batch = std::move(numbered);
  }
  ++k.unanswered;
  auto now = self->clock().now();
  auto request = ++last_number;
  drafts.emplace(request,
                 unanswered{x, std::move(batch),
                            now + std::chrono::milliseconds{env->at_most.publish_deadline_ms},
                            caf::actor_clock::time_point::max()});
  send_draft(request);
  watch_deadlines();
}

void connection_state::send_draft(std::uint64_t request) {
  auto i = drafts.find(request);
  if (i == drafts.end())
    return;
  with(i->second.what.name, [this, request](const conversation_actor& to) {
    auto j = drafts.find(request);
    if (j == drafts.end())
      return; // its deadline came first
    auto& x = j->second;
    x.retry_at = caf::actor_clock::time_point::max();
    self->send(to, atom::append::value,
               publication{request, x.drafts, x.sends++ > 0, client_actor{self}});
  });
}

void connection_state::receipts(const append_answers& x) {
  std::vector<net::event> events;
  for (const auto& [request, got] : x.answers) {
    auto i = drafts.find(request);
    if (i == drafts.end())
      continue; // answered by its deadline
    auto& draft = i->second;
    const auto& of_name = draft.what.name;
    if (!got && got.why().what == model::code::moved) {
      forget(of_name);
      send_draft(request);
      continue;
    }
    if (!got && got.why().what == model::code::append_unknown) {
      draft.retry_at = self->clock().now() + tick_period;
      continue;
    }
    auto bytes = draft.what.drafts->bytes();
    if (got)
      events.emplace_back(net::published_event{draft.what.ref, of_name, *got, bytes});
    else
      events.emplace_back(net::failed_event{draft.what.ref, of_name, got.why(), bytes});
    --know(of_name).unanswered;
    drafts.erase(i);
  }
  if (!events.empty() && !ended)
    session.hub->post(session.id, std::move(events));
}

void connection_state::watch_deadlines() {
  if (ticking || drafts.empty())
    return;
  ticking = true;
  self->delayed_send(self, tick_period, atom::tick::value);
}

void connection_state::tick() {
  ticking = false;
  auto now = self->clock().now();
  std::vector<std::uint64_t> again;
  for (auto i = drafts.begin(); i != drafts.end();) {
    auto& x = i->second;
    if (now >= x.deadline) {
      fail(x.what.ref, x.what.name,
           {model::code::append_unknown,
            "the log did not answer within " + std::to_string(env->at_most.publish_deadline_ms) +
              " ms; whether the entry was appended is unknown" +
              (x.what.drafts->producer.empty()
                 ? std::string{}
                 : std::string{", and publishing it again with the same producer_seq is safe"})},
           x.what.drafts->bytes());
      --know(x.what.name).unanswered;
      i = drafts.erase(i);
      continue;
    }
    if (now >= x.retry_at)
      again.push_back(i->first);
    ++i;
  }
  for (auto request : again)
    send_draft(request);
  watch_deadlines();
}

void connection_state::handle(const net::ack_command& x) {
  self->request(writer, caf::infinite, atom::cursor::value,
                store::cursor_move{{who.user, who.client, x.name}, x.epoch, x.at})
    .then([this, x](const model::status& done) {
      if (!done)
        fail(x.ref, x.name, done.why());
      else if (!x.ref.empty())
        tell(net::acked_event{x.ref, x.name, x.at});
    },
    [this, x](const caf::error&) {
      fail(x.ref, x.name, {model::code::store_failed, "the cursor was not moved"});
    });
}

void connection_state::handle(const net::page_command& x) {
  auto by = x.from.from.what == model::after::form::id ? model::lookup::id : model::lookup::seq;
  self->request(readers[id.value % readers.size()], caf::infinite, atom::locate::value,
                locate_request{x.name, by, x.from.from.at, x.from.from.id})
    .then([this, x](const located& got) { read_page(x, got); },
          [this, x](const caf::error&) {
            fail({}, x.name, {model::code::read_failed, "the log could not be read"});
          });
}

void connection_state::read_page(const net::page_command& x, const located& got) {
  if (!got)
    return fail({}, x.name, got.why());
  const auto& state = got->head.state;
  model::sighting seen{state, got->found};
  auto from = model::resolve(x.from, state, &seen);
  if (from.at >= state.tail)
    return tell(net::page_event{{.state = state, .entries = {}}, from});
  self->request(readers[id.value % readers.size()], caf::infinite, atom::page::value,
                page_range{x.name, from.at.next(), {from.at.value + x.limit}})
    .then([this, x, from](const page_read& page) {
      if (page)
        tell(net::page_event{*page, from});
      else
        fail({}, x.name, page.why());
    },
    [this, x](const caf::error&) {
      fail({}, x.name, {model::code::read_failed, "the log could not be read"});
    });
}

void connection_state::handle(const net::info_command& x) {
  self->request(readers[id.value % readers.size()], caf::infinite, atom::locate::value,
                locate_request{x.name, model::lookup::seq, {}, {}})
    .then([this, x](const located& got) {
      if (!got)
        return fail({}, x.name, got.why());
      if (got->head.state.epoch.empty())
        return fail({}, x.name, {model::code::not_found, x.name.text() + " does not exist"});
      tell(net::info_event{x.name, got->head.state, got->head.content_type});
    },
    [this, x](const caf::error&) {
      fail({}, x.name, {model::code::read_failed, "the log could not be read"});
    });
}

void connection_state::change(const model::conversation_name& of_name, bool removes, bool first_try) {
  with(of_name, [this, of_name, removes, first_try](const conversation_actor& to) {
    auto finish = [this, of_name, removes, first_try](const state_changed& done) {
      if (!done && done.why().what == model::code::moved && first_try) {
        forget(of_name);
        return change(of_name, removes, false);
      }
      if (!done)
        return fail({}, of_name, done.why());
      if (removes)
        tell(net::deleted_event{});
      else
        tell(net::info_event{of_name, *done, "application/json"});
    };
    auto broken = [this, of_name](const caf::error&) {
      fail({}, of_name, {model::code::store_failed, std::string{handled_elsewhere}});
    };
    if (removes)
      self->request(to, caf::infinite, atom::remove::value).then(finish, broken);
    else
      self->request(to, caf::infinite, atom::close::value).then(finish, broken);
  });
}

void connection_state::gone() {
  ended = true;
  for (auto& [of_name, k] : known)
    if (k.subscription != 0 && k.actor)
      self->send(k.actor, atom::unsubscribe::value, id);
  // Drafts on their way are appended all the same; nobody is left to be told.
  self->quit();
}

void connection_state::tell(net::event x) {
  if (!ended)
    session.hub->post(session.id, std::move(x));
}

void connection_state::fail(std::string ref, const model::conversation_name& of_name,
                            model::error why, std::size_t bytes) {
  tell(net::failed_event{std::move(ref), of_name, std::move(why), bytes});
}

connection_actor::behavior_type connection(connection_state::self_pointer self,
                                           connection_place place, net::client_ref session,
                                           net::client_identity who, environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.directory = std::move(place.directory);
  state.writer = std::move(place.writer);
  state.readers = std::move(place.readers);
  state.id = place.id;
  state.session = session;
  state.who = std::move(who);
  return {
    [&state](atom::receipts, const append_answers& x) { state.receipts(x); },
    [&state](atom::superseded, const model::conversation_name& x) { state.superseded(x); },
    [&state](atom::command, const net::command& x) {
      std::visit([&state](const auto& y) { state.handle(y); }, x);
    },
    [&state](atom::tick) { state.tick(); },
    [&state](atom::gone) { state.gone(); },
  };
}

} // namespace confab::actors
