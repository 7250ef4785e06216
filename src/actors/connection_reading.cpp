// What a connection reads besides its subscriptions: lists and cursors.
#include "actors/connection.hpp"

#include "net/hub.hpp"

namespace confab::actors {

void connection_state::handle(const net::list_command& x) {
  // One more than asked for tells whether there is one.
  self->request(reader(), caf::infinite, atom::list::value,
                list_range{x.prefix, x.after, x.limit + 1})
      .then(
          [this, x](const list_read& got) {
            if (!got)
              return tell(net::failed_event{{}, std::nullopt, got.why()});
            net::list_event answer;
            for (const auto& [of_name, head] : *got)
              if (answer.conversations.size() < x.limit)
                answer.conversations.push_back({of_name, head.state, head.settings});
            answer.more = got->size() > x.limit;
            tell(std::move(answer));
          },
          [this](const caf::error&) {
            tell(net::failed_event{
                {}, std::nullopt, {model::code::read_failed, "the log could not be read"}});
          });
}

void connection_state::handle(const net::cursor_command& x) {
  self->request(reader(), caf::infinite, atom::cursor::value,
                store::cursor_key{who.user, x.client, x.name})
      .then(
          [this, x](const cursor_read& saved) {
            if (!saved)
              return fail({}, x.name, saved.why());
            tell(net::cursor_event{x.name, x.client, *saved});
          },
          [this, x](const caf::error&) {
            fail({}, x.name, {model::code::read_failed, "the cursor could not be read"});
          });
}

void connection_state::handle(const net::cursor_move_command& x) {
  store::cursor_move move{{who.user, x.client, x.name}, {}, {}, !x.to};
  if (x.to) {
    move.epoch = x.to->epoch;
    move.at = x.to->at;
  }
  self->request(writer, caf::infinite, atom::cursor::value, move)
      .then(
          [this, x](const model::status& done) {
            if (!done)
              return fail({}, x.name, done.why());
            if (!x.to)
              return tell(net::deleted_event{});
            // What stands there now, which another one may have moved further.
            handle(net::cursor_command{x.name, x.client});
          },
          [this, x](const caf::error&) {
            fail({}, x.name, {model::code::store_failed, "the cursor was not changed"});
          });
}

} // namespace confab::actors
