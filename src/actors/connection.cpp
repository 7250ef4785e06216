#include "actors/connection.hpp"

#include "net/hub.hpp"

namespace confab::actors {

namespace {

/// Handles of conversations that are neither followed nor waited for; more are forgotten.
constexpr std::size_t known_max = 64;
/// A conversation that is passivated while it is closed or deleted: so often it is tried again.
constexpr int change_tries_max = 5;

} // namespace

connection_state::known_conversation&
connection_state::know(const model::conversation_name& of_name) {
  auto i = known.find(of_name);
  if (i != known.end())
    return i->second;
  if (known.size() >= known_max + subscriptions)
    std::erase_if(known, [](const auto& x) {
      const auto& y = x.second;
      return y.subscription == 0 && !y.followed && y.unanswered == 0 && y.waiting.empty();
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
      .then(
          [this, of_name](const conversation_actor& found) {
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

void connection_state::handle(const net::ack_command& x) {
  if (who.passing())
    return fail(x.ref, x.name,
                {model::code::bad_ack, "ack: a cursor belongs to a client with an id; "
                                       "connect with ?client=ID"});
  self->request(writer, caf::infinite, atom::cursor::value,
                store::cursor_move{{who.user, who.client, x.name}, x.epoch, x.at})
      .then(
          [this, x](const model::status& done) {
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
  self->request(reader(), caf::infinite, atom::locate::value,
                locate_request{x.name, by, x.from.from.at, x.from.from.id})
      .then([this, x](const located& got) { read_page(x, got); },
            [this, x](const caf::error&) {
              fail({}, x.name, {model::code::read_failed, "the log could not be read"});
            });
}

void connection_state::read_page(const net::page_command& x, const located& got) {
  if (!got)
    return fail({}, x.name, got.why());
  if (got->head.gone)
    return fail({}, x.name, {model::code::gone, x.name.text() + " was deleted"});
  const auto& state = got->head.state;
  const auto& settings = got->head.settings;
  if (settings.lifetime.ttl_s)
    with(x.name, [this](const conversation_actor& to) { self->send(to, atom::touch::value); });
  model::sighting seen{state, got->found, got->head.ancestors};
  auto from = model::resolve(x.from, state, &seen);
  if (from.at >= state.tail)
    return tell(net::page_event{
        std::make_shared<const model::page>(model::page{.state = state, .entries = {}}), from,
        settings});
  self->request(reader(), caf::infinite, atom::page::value,
                page_range{x.name, from.at.next(), {from.at.value + x.limit}})
      .then(
          [this, x, from, settings](const page_read& page) {
            if (page)
              tell(net::page_event{*page, from, settings});
            else
              fail({}, x.name, page.why());
          },
          [this, x](const caf::error&) {
            fail({}, x.name, {model::code::read_failed, "the log could not be read"});
          });
}

void connection_state::handle(const net::info_command& x) {
  self->request(reader(), caf::infinite, atom::locate::value,
                locate_request{x.name, model::lookup::seq, {}, {}})
      .then(
          [this, x](const located& got) {
            if (!got)
              return fail({}, x.name, got.why());
            if (got->head.gone)
              return fail({}, x.name, {model::code::gone, x.name.text() + " was deleted"});
            if (got->head.state.epoch.empty())
              return fail({}, x.name, {model::code::not_found, x.name.text() + " does not exist"});
            tell(net::info_event{x.name, got->head.state, got->head.settings});
          },
          [this, x](const caf::error&) {
            fail({}, x.name, {model::code::read_failed, "the log could not be read"});
          });
}

void connection_state::change(const model::conversation_name& of_name, bool removes, int tries) {
  with(of_name, [this, of_name, removes, tries](const conversation_actor& to) {
    auto finish = [this, of_name, removes, tries](const state_changed& done) {
      if (!done && done.why().what == model::code::moved) {
        if (tries + 1 == change_tries_max)
          return fail({}, of_name, {model::code::overloaded, "the conversation keeps moving"});
        forget(of_name);
        return change(of_name, removes, tries + 1);
      }
      if (!done)
        return fail({}, of_name, done.why());
      if (removes)
        tell(net::deleted_event{});
      else
        tell_closed(of_name, *done);
    };
    auto broken = [this, of_name](const caf::error&) {
      fail({}, of_name,
           {model::code::store_failed, "the conversation could not be reached; try again"});
    };
    if (removes)
      self->request(to, caf::infinite, atom::remove::value).then(finish, broken);
    else
      self->request(to, caf::infinite, atom::close::value).then(finish, broken);
  });
}

void connection_state::tell_closed(const model::conversation_name& of_name,
                                   const model::log_state& state) {
  // The log may have been deleted since: then nothing is known of it but that it was closed.
  auto tell_with = [this, of_name, state](model::settings x) {
    tell(net::info_event{of_name, state, std::move(x)});
  };
  self->request(reader(), caf::infinite, atom::locate::value,
                locate_request{of_name, model::lookup::seq, {}, {}})
      .then(
          [tell_with, state](const located& got) {
            auto same = got && got->head.state.epoch == state.epoch;
            tell_with(same ? got->head.settings : model::settings{});
          },
          [tell_with](const caf::error&) { tell_with({}); });
}

void connection_state::create(const net::create_command& x, int tries) {
  with(x.name, [this, x, tries](const conversation_actor& to) {
    self->request(to, caf::infinite, atom::create::value, x.what)
        .then(
            [this, x, tries](const creation_done& done) {
              if (done)
                return tell(net::created_event{x.name, *done});
              if (done.why().what != model::code::moved)
                return fail({}, x.name, done.why());
              if (tries + 1 == change_tries_max)
                return fail({}, x.name, {model::code::overloaded, "the conversation keeps moving"});
              forget(x.name);
              create(x, tries + 1);
            },
            [this, x](const caf::error&) {
              fail({}, x.name,
                   {model::code::store_failed, "the conversation could not be reached; try again"});
            });
  });
}

void connection_state::gone() {
  ended = true;
  for (auto& [of_name, k] : known)
    if (k.followed)
      self->send(k.followed, atom::unsubscribe::value, id);
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
