// How a connection subscribes: ask the conversation, find out where to start, tell the session.
#include "actors/connection.hpp"

#include "net/hub.hpp"

#include <algorithm>

namespace confab::actors {

namespace {

/// A conversation that moves, or a log that is replaced, while somebody subscribes: so often it is
/// tried again.
constexpr int subscribe_tries_max = 5;

const model::error overtaken{model::code::superseded,
                             "another command for this conversation came before the answer"};

} // namespace

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
    if (outdated(x))
      return subscribe_failed(x, overtaken);
    know(x.what.name).followed = to;
    self->request(
            to, caf::infinite, atom::subscribe::value,
            subscriber{id, session.hub, who, client_actor{self}, know(x.what.name).superseded})
        .then([this, x](const subscribed& got) { subscribed_to(x, got); },
              [this, x](const caf::error&) {
                subscribed_to(x, model::error{model::code::moved,
                                              "the conversation could not be reached; try again"});
              });
  });
}

void connection_state::subscribed_to(attempt x, const subscribed& got) {
  if (outdated(x)) {
    // A later subscribe keeps the place; without one, nobody needs it.
    auto& k = know(x.what.name);
    if (got && k.subscription == 0 && k.followed)
      self->send(std::exchange(k.followed, nullptr), atom::unsubscribe::value, id);
    return subscribe_failed(x, overtaken);
  }
  if (!got) {
    if (got.why().what == model::code::moved && ++x.tries < subscribe_tries_max) {
      forget(x.what.name);
      return subscribe(x);
    }
    return subscribe_failed(x, got.why());
  }
  if (got->state.epoch.empty() && x.what.must_exist)
    return subscribe_to_nothing(x);
  auto from = x.what.from;
  if (!from)
    from = model::resume_request{
        .from = {.what = who.passing() ? model::after::form::now : model::after::form::saved},
        .epoch = std::nullopt,
        .id = std::nullopt};
  if (from->from.what == model::after::form::saved)
    return start_at_cursor(x, *got);
  start_at(x, *got, *from);
}

void connection_state::subscribe_to_nothing(const attempt& x) {
  // Only the log knows whether its name is kept for forks.
  self->request(reader(), caf::infinite, atom::locate::value,
                locate_request{x.what.name, model::lookup::seq, {}, {}})
      .then(
          [this, x](const located& seen) {
            if (!seen)
              return subscribe_failed(x, seen.why());
            auto gone = seen->head.gone;
            subscribe_failed(x, {gone ? model::code::gone : model::code::not_found,
                                 x.what.name.text() + (gone ? " was deleted" : " does not exist")});
          },
          [this, x](const caf::error&) {
            subscribe_failed(x, {model::code::read_failed, "the log could not be read"});
          });
}

void connection_state::start_at_cursor(const attempt& x, const subscription_answer& got) {
  self->request(reader(), caf::infinite, atom::cursor::value,
                store::cursor_key{who.user, who.client, x.what.name})
      .then(
          [this, x, got](const cursor_read& saved) {
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
  self->request(reader(), caf::infinite, atom::locate::value,
                locate_request{x.what.name, by, from.from.at, from.from.id})
      .then(
          [this, x, got, from](const located& seen) {
            if (!seen)
              return subscribe_failed(x, seen.why());
            if (seen->head.state.epoch != got.state.epoch) {
              // The log was created or replaced in between: ask for the state anew.
              auto again = x;
              if (++again.tries < subscribe_tries_max)
                return subscribe(again);
              return subscribe_failed(x, {model::code::read_failed, "the log keeps changing"});
            }
            model::sighting sighting{seen->head.state, seen->found, seen->head.ancestors};
            auto start = model::resolve(from, got.state, &sighting);
            // What the log does not hold any more, a ring may; it must not be taken for new.
            auto seen_later = got;
            seen_later.state.first = std::max(got.state.first, seen->head.state.first);
            attach(x, seen_later, start);
          },
          [this, x](const caf::error&) {
            subscribe_failed(x, {model::code::read_failed, "the log could not be read"});
          });
}

void connection_state::attach(const attempt& x, const subscription_answer& got, model::start from) {
  if (outdated(x))
    return subscribe_failed(x, overtaken);
  tell(net::subscribed_event{x.what.ref, x.what.name, got.feed, got.state, from, x.number,
                             got.settings});
}

void connection_state::subscribe_failed(const attempt& x, const model::error& why) {
  if (!outdated(x)) {
    end_subscription(know(x.what.name));
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
    return fail(x.ref, x.name,
                {model::code::not_subscribed,
                 "unsubscribe: this connection does not follow " + x.name.text()});
  end_subscription(i->second);
  tell(net::unsubscribed_event{x.ref, x.name});
}

void connection_state::handle(const net::drop_command& x) {
  // A later subscribe of the same name has another number, and goes on.
  auto i = known.find(x.name);
  if (i != known.end() && i->second.subscription == x.subscription)
    end_subscription(i->second);
}

void connection_state::end_subscription(known_conversation& x) {
  x.subscription = 0;
  --subscriptions;
  if (x.followed)
    self->send(std::exchange(x.followed, nullptr), atom::unsubscribe::value, id);
}

void connection_state::superseded(const model::conversation_name& x) {
  auto i = known.find(x);
  if (i == known.end() || i->second.subscription == 0)
    return;
  i->second.subscription = 0;
  i->second.superseded = true;
  --subscriptions;
  tell(net::unsubscribed_event{{}, x, true});
}

} // namespace confab::actors
