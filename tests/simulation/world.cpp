#include "simulation/world.hpp"

#include "actors/cluster.hpp"
#include "actors/connection.hpp"
#include "actors/conversation.hpp"
#include "actors/directory.hpp"
#include "actors/log_reader.hpp"
#include "actors/log_writer.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace confab::test {

namespace {

constexpr std::int64_t passivate_ms = 1500;

model::conversation_name named(const std::string& text) {
  return *model::conversation_name::parse(text);
}

/// The pool as a connection takes it.
template <class Pool>
Pool pool_of(const std::vector<actors::log_reader_actor>& x) {
  if constexpr (std::is_constructible_v<Pool, const std::vector<actors::log_reader_actor>&>)
    return x;
  else
    return std::make_shared<const std::vector<actors::log_reader_actor>>(x);
}

class port final : public net::client_port {
public:
  explicit port(actors::connection_actor to) : to_{std::move(to)} {}
  ~port() override { caf::anon_send(to_, actors::atom::gone::value); }
  void tell(net::command x) override {
    caf::anon_send(to_, actors::atom::command::value, std::move(x));
  }

private:
  actors::connection_actor to_;
};

} // namespace

world::world(std::uint32_t seed, const world_options& how) : how_{how}, random_{seed} {
  truth_.several_nodes = how_.nodes > 1;
  truth_.pick = [this](unsigned n) { return pick(n); };
  build();
}

world::~world() {
  end_all();
}

void world::build() {
  names_ = {"room/a", "room/b"};
  store::options options;
  options.directory = ":memory:";
  if (how_.trims && chance(60))
    options.retention.push_back({.pattern = "room/*", .entries_max = 3 + pick(12)});
  if (how_.store_faults && chance(40))
    truth_.faults = {.append_failed = 30, .append_unknown = 20, .read_failed = 40};
  auto opened = store::open(options);
  store_ = std::move(*opened);

  constexpr std::size_t budgets[] = {0, 4096, 1 << 26};
  cache_ = std::make_unique<model::byte_budget>(budgets[pick(3)]);
  pages_ = std::make_unique<net::pages>(*this, *cache_);
  constexpr std::size_t entries_max[] = {1, 3, 8, 256};
  constexpr std::size_t bytes_max[] = {150, 1000, 1 << 20};
  net::hub_limits limits{
      .ring = {.entries_max = entries_max[pick(4)], .bytes_max = bytes_max[pick(3)]}};
  auto hubs = how_.nodes + pick(2);
  awake_.assign(hubs, 0);
  for (std::size_t i = 0; i < hubs; ++i)
    hubs_.push_back(std::make_unique<net::hub>(limits, *pages_, [this, i] { awake_[i] = 1; }));

  system_ = std::make_unique<deterministic_system>();
  build_nodes();
  for (int i = 0; i < 2; ++i)
    readers_.push_back(system_->system.spawn(
        actors::log_reader,
        std::shared_ptr<store::log_reader>{truth_.watch(std::move(*store_->reader()))},
        pages_.get(), nodes_.front().env.get()));
  if (how_.nodes > 1 && how_.cluster)
    build_cluster();
  for (int i = 0; i < 4; ++i)
    clients_.push_back({.id = "client" + std::to_string(i)});
  for (auto& x : clients_)
    if (chance(60)) {
      x.in_order = true;
      truth_.in_order.insert(x.id);
    }
}

void world::build_nodes() {
  actors::limits bounds;
  bounds.passivate_ms = passivate_ms;
  bounds.gather_us = chance(50) ? 0 : 3000;
  bounds.reconcile_ms = how_.nodes > 1 ? 1000 : 0;
  if (how_.store_faults && chance(40))
    numbers_->loses_answer = [this] { return !truth_.calm && chance(3); };
  truth_.cut_off = how_.nodes > 1 && how_.store_faults && chance(40);
  for (std::size_t i = 0; i < how_.nodes; ++i) {
    auto& x = nodes_.emplace_back();
    x.incarnation = "sim" + std::to_string(i);
    x.env = std::make_unique<actors::environment>(bounds, *cache_, x.incarnation);
    x.env->wall_ms = [this] { return noon_ms + skew_ms_ + (system_ ? system_->now_ms() : 0); };
    auto session = truth_.watch(store_->writer());
    if (how_.nodes > 1)
      session = share(std::move(session), numbers_, x.log_away);
    auto& system = system_->system;
    x.writer = system.spawn(actors::log_writer,
                            std::shared_ptr<store::log_writer>{std::move(session)}, x.env.get());
    x.directory = system.spawn(actors::directory, x.writer, actors::stream_actors{}, x.env.get());
  }
}

world::node& world::node_of(const net::hub& x) {
  auto i = std::find_if(hubs_.begin(), hubs_.end(), [&](const auto& y) { return y.get() == &x; });
  return nodes_[static_cast<std::size_t>(i - hubs_.begin()) % nodes_.size()];
}

std::unique_ptr<net::client_port> world::connect(net::client_ref session,
                                                 net::client_identity who) {
  using pool = decltype(actors::connection_place::readers);
  auto& on = node_of(*session.hub);
  actors::connection_place place{
      on.directory, on.writer, pool_of<pool>(readers_), {++connections_}};
  return std::make_unique<port>(system_->system.spawn(actors::connection, std::move(place), session,
                                                      std::move(who), on.env.get()));
}

void world::read(net::page_request x) {
  caf::anon_send(readers_[pick(static_cast<unsigned>(readers_.size()))], actors::atom::page::value,
                 std::move(x));
}

std::string world::run() {
  for (unsigned i = 0; i < how_.actions && fault_.empty(); ++i)
    act();
  if (fault_.empty())
    settle();
  // Once more, where the log was away: the first try only finds that it is back.
  for (int i = 0; i < 2 && fault_.empty(); ++i) {
    empty_outboxes();
    settle();
  }
  if (fault_.empty())
    check_outboxes();
  end_all();
  return fault_;
}

void world::act() {
  // Half of all steps let an actor handle a message, so that commands meet in the middle of one
  // another.
  for (auto n = pick(6); n > 0; --n)
    system_->step([this](std::size_t m) { return pick(static_cast<unsigned>(m)); });
  auto what = pick(100);
  if (what < 30) {
    auto i = pick(static_cast<unsigned>(hubs_.size()));
    if (awake_[i] != 0 || chance(5)) {
      awake_[i] = 0;
      hubs_[i]->pass();
    }
  } else if (what < 40) {
    pass_time(pick(30));
  } else if (what < 42) {
    pass_time(chance(80) ? 300 : chance(80) ? 2 * passivate_ms : 11'000);
  } else if (what < 44) {
    ask_once();
  } else if (what < 48) {
    if (how_.mangles)
      mangle();
  } else if (what < 51 && how_.nodes > 1) {
    cluster_acts();
  } else if (what < 65 && !lines_.empty()) {
    line_acts(lines_[pick(static_cast<unsigned>(lines_.size()))]);
  } else {
    client_acts(clients_[pick(static_cast<unsigned>(clients_.size()))]);
  }
  if (!truth_.defect.empty())
    note(truth_.defect);
  for (const auto& x : lines_)
    if (!x.seen->fault().empty())
      note(x.seen->fault());
}

void world::ask_once() {
  using kind = one_shot::kind;
  auto& hub = some_hub();
  const auto& name = some_name();
  auto what = pick(10);
  auto asks = what == 0 && how_.closes   ? kind::close
              : what < 4 && how_.deletes ? kind::remove
              : what < 6                 ? kind::info
                                         : kind::page;
  auto session = std::make_shared<one_shot>(hub, truth_, asks, name);
  auto id = hub.add(session);
  session->port = connect({&hub, id}, {"anonymous", "~" + std::to_string(connections_)});
  if (asks == kind::close)
    session->port->tell(net::close_command{named(name)});
  else if (asks == kind::remove)
    session->port->tell(net::delete_command{named(name)});
  else if (asks == kind::info)
    session->port->tell(net::info_command{named(name)});
  else
    session->port->tell(
        net::page_command{named(name),
                          {.from = {.what = model::after::form::seq, .at = {pick(10)}},
                           .epoch = std::nullopt,
                           .id = std::nullopt},
                          1 + pick(20)});
  constexpr const char* names[] = {"close", "delete", "info", "page"};
  truth_.tell(std::string{"somebody asks "} + names[static_cast<int>(asks)] + ' ' + name);
  shots_.push_back(std::move(session));
}

void world::mangle() {
  if (lines_.empty())
    return;
  auto& socket = *lines_[pick(static_cast<unsigned>(lines_.size()))].socket;
  const auto& name = some_name();
  auto* f = socket.find(named(name));
  const auto* log = truth_.current(name);
  if (f == nullptr || log == nullptr || f->from->state().epoch.text != log->epoch)
    return;
  // The log's own state, with entries that were lost on the way, come again, or skip some.
  std::vector<model::run_ptr> runs;
  for (auto n = pick(3); n > 0; --n) {
    auto from = pick(static_cast<unsigned>(log->entries.size()));
    auto to = from + 1 + pick(static_cast<unsigned>(log->entries.size()) - from);
    runs.push_back(std::make_shared<model::run>(
        f->from->name(), model::epoch{log->epoch},
        std::vector<model::entry>{log->entries.begin() + from, log->entries.begin() + to},
        cache_.get()));
  }
  auto feed = std::static_pointer_cast<net::hub_feed>(f->from);
  feed->owner().announce(feed, log->state(), runs);
}

void world::pass_time(std::int64_t ms) {
  system_->advance(std::chrono::milliseconds{ms});
  if (chance(10))
    skew_ms_ = -static_cast<std::int64_t>(pick(2000)); // clocks are set back
  for (auto& x : hubs_)
    if (chance(70))
      x->tick(system_->now_ms());
}

void world::settle() {
  truth_.calm = true;
  for (auto& x : nodes_) {
    x.member = true;
    *x.log_away = false;
  }
  if (how_.nodes > 1 && how_.cluster)
    for (const auto& x : nodes_)
      tell_members(x);
  for (int round = 0; round < 14; ++round) {
    for (auto& x : lines_)
      if (!x.socket->is_cut())
        x.socket->refill(fake_socket::unlimited);
    for (bool more = true; more;) {
      more = false;
      while (system_->step([this](std::size_t m) { return pick(static_cast<unsigned>(m)); }))
        more = true;
      for (std::size_t i = 0; i < hubs_.size(); ++i)
        if (std::exchange(awake_[i], 0) != 0) {
          hubs_[i]->pass();
          more = true;
        }
    }
    system_->advance(std::chrono::milliseconds{300});
    for (auto& x : hubs_)
      x->tick(system_->now_ms());
  }
  for (auto& x : lines_) {
    if (!x.socket->is_cut()) {
      x.seen->quiet();
      if (!x.socket->well_formed() || x.socket->pending() > 0)
        note("bytes that are no frame");
    }
    if (!x.seen->fault().empty())
      note(x.seen->fault());
    entries_seen_ += x.seen->entries();
  }
  for (auto& x : shots_)
    if (auto why = x->fault(true); !why.empty())
      note(why);
  check_payloads();
  if (!fault_.empty())
    tell_conversations();
}

void world::check_payloads() {
  std::map<std::string, int> times;
  for (const auto& name : names_)
    for (const auto& log : truth_.all(name)) {
      // A deletion takes the numbers along: of a draft whose answer was lost on its way between
      // nodes nobody knows any more that it was in the log before.
      if (nodes_.size() > 1 && log.deleted_at != 0)
        continue;
      for (const auto& e : log.entries) {
        auto own = e.payload.starts_with("\"u");
        if (own && ++times[e.payload] > 1)
          note(name + ": " + e.payload + " was appended twice");
        if (auto i = ledger_.only_refused.find(e.payload);
            i == ledger_.only_refused.end() || i->second)
          note(name + ": " + e.payload +
               " is in the log, though all that its publisher got is a refusal");
      }
    }
  if (!truth_.defect.empty())
    note(truth_.defect);
}

void world::end_all() {
  if (nodes_.empty())
    return;
  for (auto& x : lines_)
    x.socket->cut();
  for (auto& x : shots_)
    x->cut();
  truth_.calm = true;
  // A home waits for its followers.
  for (std::size_t i = 0; i < 4 * nodes_.size(); ++i) {
    system_->run();
    system_->advance(std::chrono::milliseconds{passivate_ms + 100});
  }
  system_->run();
  for (const auto& x : nodes_) {
    const auto& left = state_of<actors::directory_state>(x.directory).active;
    if (!left.empty())
      tell_conversations();
    if (!left.empty())
      note(left.begin()->first.text() + ": nobody is there, but its actor does not passivate");
    if (x.env->appends.used() != 0)
      note("the budget of drafts was not given back");
  }
  for (auto& x : hubs_)
    x->pass();
  for (const auto& x : nodes_) {
    if (x.cluster)
      caf::anon_send_exit(x.cluster, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(x.directory, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(x.writer, caf::exit_reason::user_shutdown);
  }
  for (auto& x : readers_)
    caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
  while (!wires_.empty())
    cut_wire(0);
  for (auto& x : nodes_) {
    x.writer = nullptr;
    x.directory = nullptr;
    x.cluster = nullptr;
  }
  readers_.clear();
  lines_.clear();
  shots_.clear();
  system_.reset();
  nodes_.clear();
  hubs_.clear();
  pages_.reset();
  if (cache_->used() != 0)
    note("the budget of rings and pages was not given back");
}

} // namespace confab::test
