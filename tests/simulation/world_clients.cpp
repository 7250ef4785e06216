// What the clients of the simulated world do.
#include "simulation/world.hpp"

namespace confab::test {

namespace {

model::conversation_name named(const std::string& text) {
  return *model::conversation_name::parse(text);
}

} // namespace

void world::line_acts(line& x) {
  auto& socket = *x.socket;
  if (socket.is_cut())
    return;
  switch (pick(8)) {
  case 0:
    return socket.ping();
  case 1:
    if (chance(10))
      socket.break_down();
    return;
  case 2:
    return socket.refill(1 + pick(20));
  case 3:
    return socket.refill(chance(50) ? fake_socket::unlimited : 1000);
  default:
    return socket.refill(50 + pick(300));
  }
}

void world::client_acts(client& x) {
  if (!connected(x)) {
    if (chance(50))
      dial(x);
    return;
  }
  auto what = pick(100);
  if (what < 50)
    publish(x);
  else if (what < 78)
    subscribe(x);
  else if (what < 84)
    acknowledge(x);
  else if (what < 92)
    give_up(x);
  else {
    auto& on = lines_[static_cast<std::size_t>(x.line)];
    const auto& name = some_name();
    auto ref = next_ref();
    on.seen->unsubscribes(ref, name);
    on.socket->port->tell(net::unsubscribe_command{ref, named(name)});
  }
}

void world::dial(client& x) {
  auto who = x.id + "#" + std::to_string(lines_.size());
  auto seen = std::make_unique<witness>(truth_, ledger_, who);
  auto& hub = some_hub();
  auto socket = std::make_shared<fake_socket>(
      hub, [this, w = seen.get(), s = x.id](int op, std::string_view text) {
        if (op == 1)
          w->told(text);
        else if (op != 9 || text != "are you there")
          note(s + ": a control frame that nobody sent");
      });
  if (chance(60))
    socket->refill(fake_socket::unlimited);
  auto id = hub.add(socket);
  socket->port = connect({&hub, id}, {"anonymous", x.id});
  socket->on_cut = [w = seen.get()] { w->ended(); };
  x.line = static_cast<int>(lines_.size());
  seen->answers = [this, &x, line = x.line](const std::string& name, const model::batch& what,
                                            bool taken) {
    auto& out = x.outboxes[name];
    if (taken)
      out.open.erase(what.producer_seq);
    else if (x.line == line)
      out.refused = true;
  };
  lines_.push_back({std::move(socket), std::move(seen)});
}

void world::give_up(client& x) {
  auto& on = lines_[static_cast<std::size_t>(x.line)];
  for (const auto& [name, v] : on.seen->views())
    x.seen[name] = v;
  x.line = -1;
  // Sometimes the server does not know for long that nobody reads there any more.
  if (!chance(20))
    on.socket->cut();
}

model::resume_request world::some_start(client& x, const std::string& name) {
  using form = model::after::form;
  model::resume_request from{.from = {}, .epoch = std::nullopt, .id = std::nullopt};
  const auto* log = truth_.current(name);
  auto tail = log == nullptr ? 0 : log->tail().value;
  auto& seen = x.seen[name];
  switch (pick(10)) {
  case 0:
    from.from = {.what = form::start};
    break;
  case 1:
    from.from = {.what = form::now};
    break;
  case 2:
    from.from = {.what = form::last, .count = pick(6)};
    break;
  case 3:
    from.from = {.what = form::saved};
    break;
  case 4: {
    // An id of an entry, or between two.
    model::entry_id id{.ms = static_cast<std::uint64_t>(noon_ms) + pick(2000), .n = pick(3)};
    if (tail > 0 && chance(70))
      id = log->entries[pick(static_cast<unsigned>(tail))].id;
    from.from = {.what = form::id, .id = id};
    break;
  }
  case 5:
    // Beyond the tail, perhaps only for the moment.
    from.from = {.what = form::seq, .at = {tail + pick(3)}};
    break;
  default:
    from.from = {.what = form::seq, .at = seen.at};
    if (!seen.epoch.empty() && chance(60))
      from.epoch = model::epoch{seen.epoch};
    if (seen.id != model::entry_id{} && chance(60))
      from.id = seen.id;
    break;
  }
  return from;
}

void world::subscribe(client& x) {
  auto& on = lines_[static_cast<std::size_t>(x.line)];
  const auto& name = some_name();
  if (auto v = on.seen->views().find(name); v != on.seen->views().end())
    x.seen[name] = v->second;
  auto from = some_start(x, name);
  auto ref = next_ref();
  on.seen->subscribes(ref, name, from, x.cursors[name]);
  on.socket->port->tell(net::subscribe_command{ref, named(name), from});
}

void world::publish(client& x) {
  const auto& name = some_name();
  if (chance(50))
    return publish_numbered(x, name);
  send_drafts(x, name, std::make_shared<model::batch>(), 'u' + std::to_string(++payloads_),
              chance(80) ? 1 : 1 + pick(3));
}

void world::publish_numbered(client& x, const std::string& name) {
  auto& out = x.outboxes[name];
  if (x.in_order && (out.line != x.line || (out.refused && chance(60))))
    send_open(x, name);
  if (x.in_order && out.refused)
    return;
  if (out.last > 0 && chance(40)) {
    auto number = out.last - std::min<std::uint64_t>(pick(4), out.last - 1);
    // Of several that are open the first one would have to come first.
    if (!x.in_order || !out.open.contains(number))
      send_number(x, name, number);
    return;
  }
  out.open.insert(++out.last);
  send_number(x, name, out.last);
}

void world::send_open(client& x, const std::string& name) {
  auto& out = x.outboxes[name];
  out.line = x.line;
  out.refused = false;
  for (auto number : std::set{out.open})
    send_number(x, name, number);
}

bool world::connected(const client& x) const {
  return x.line >= 0 && !lines_[static_cast<std::size_t>(x.line)].socket->is_cut();
}

void world::empty_outboxes() {
  for (auto& x : clients_)
    if (x.in_order && connected(x))
      for (const auto& name : names_)
        send_open(x, name);
}

void world::check_outboxes() {
  for (const auto& x : clients_)
    for (const auto& [name, out] : x.outboxes) {
      // Where a log was deleted, a repeat of what it held may come first; that is the client's doing.
      const auto& logs = truth_.all(name);
      auto takes = logs.empty() || (logs.size() == 1 && !logs.back().closed &&
                                    logs.back().deleted_at == 0);
      if (x.in_order && connected(x) && !out.open.empty() && takes)
        note(name + ": number " + std::to_string(*out.open.begin()) + " of " + x.id +
             " is not taken, however often it is sent");
    }
}

void world::send_number(client& x, const std::string& name, std::uint64_t number) {
  auto drafts = std::make_shared<model::batch>();
  drafts->producer = x.id;
  drafts->producer_seq = number;
  // The same number always has the same payload, whenever it is tried again.
  send_drafts(x, name, std::move(drafts), x.id + '.' + name + '.' + std::to_string(number),
              1 + static_cast<unsigned>(number % 3 == 0));
}

void world::send_drafts(client& x, const std::string& name, std::shared_ptr<model::batch> drafts,
                        const std::string& stem, unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    drafts->drafts.push_back({.sender = x.id,
                              .kind = "message",
                              .payload = '"' + stem + '.' + std::to_string(i) + '"',
                              .message = {},
                              .source_id = {}});
  auto& on = lines_[static_cast<std::size_t>(x.line)];
  auto ref = next_ref();
  on.seen->publishes(ref, name, *drafts);
  on.socket->port->tell(net::publish_command{ref, named(name), std::move(drafts)});
}

void world::acknowledge(client& x) {
  auto& on = lines_[static_cast<std::size_t>(x.line)];
  const auto& name = some_name();
  const auto* f = on.socket->find(named(name));
  auto v = on.seen->views().find(name);
  if (f == nullptr || v == on.seen->views().end() || !v->second.active || v->second.epoch.empty() ||
      v->second.reset_due || f->sub.epoch().text != v->second.epoch || v->second.at == model::seq{})
    return;
  auto ref = next_ref();
  on.seen->acks(ref, name, v->second.at.value, x.cursors[name]);
  on.socket->port->tell(net::ack_command{ref, named(name), f->sub.epoch(), v->second.at});
}

} // namespace confab::test
