#include "actors/load_run.hpp"

#include "actors/load_client.hpp"
#include "actors/load_driver.hpp"
#include "actors/node.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <chrono>
#include <future>

namespace confab::actors {

namespace {

constexpr std::chrono::milliseconds poll_interval{5};
constexpr double second_ns = 1e9;

/// Carries a socket's events to its actor.
class actor_port final : public net::load::load_port {
public:
  /// @pre called once, before the socket is opened.
  void connect(const load_client_actor& to) { to_ = caf::actor_cast<caf::actor_addr>(to); }
  void tell(net::load::load_event x) override {
    // Weak, so that sockets do not keep actors alive.
    if (auto to = caf::actor_cast<load_client_actor>(to_))
      caf::anon_send(to, load_atom::event::value, std::move(x));
  }

private:
  caf::actor_addr to_;
};

} // namespace

struct load_run::parts {
  explicit parts(load_run& home)
    : system{config}, self{system},
      driver{system.spawn(load_driver, [&home](std::uint32_t number, net::load::socket_settings how,
                                               load_watch_actor watch) {
        auto& thread = *home.threads_[number % home.threads_.size()];
        auto port = std::make_unique<actor_port>();
        auto line = std::make_shared<net::load::threaded_line>(thread, number);
        auto actor =
            home.parts_->system.spawn(load_client, number, std::move(line), std::move(watch));
        port->connect(actor);
        // The task must be copyable.
        auto shared = std::make_shared<std::unique_ptr<net::load::load_port>>(std::move(port));
        thread.post([number, how = std::move(how), shared](net::load::load_thread& x) {
          x.add(number, how, std::move(*shared));
        });
        return actor;
      })} {}

  load_overview overview() {
    load_overview result;
    self->request(driver, caf::infinite, load_atom::overview::value)
        .receive(
            [&](const load_overview& x) { result = x; },
            [](const caf::error& why) { throw run_ended{"the driver: " + caf::to_string(why)}; });
    return result;
  }

  node_config config;
  caf::actor_system system;
  caf::scoped_actor self;
  load_driver_actor driver;
};

load_run::load_run(net::load::load_board& board, settings how)
  : board_{board}, how_{std::move(how)}, seen_at_ns_{net::load::now_ns()} {
  for (std::size_t i = 0; i < how_.threads; ++i)
    threads_.push_back(std::make_unique<net::load::load_thread>(board_));
  parts_ = std::make_unique<parts>(*this);
}

load_run::~load_run() {
  stop();
}

void load_run::stop() {
  if (!parts_)
    return;
  parts_->self->send_exit(parts_->driver, caf::exit_reason::user_shutdown);
  parts_->self->wait_for(parts_->driver);
  parts_.reset();
  for (auto& x : threads_)
    x->stop();
}

load_run::group load_run::add(std::string name, std::vector<net::load::socket_settings> clients) {
  group result{0, static_cast<std::uint32_t>(clients.size())};
  for (const auto& x : clients)
    readers_ += x.what.as == net::load::purpose::role::reader ? 1 : 0;
  parts_->self
      ->request(parts_->driver, caf::infinite, load_atom::spawn::value,
                group_order{std::move(name), std::move(clients)})
      .receive(
          [&](const client_group& x) { result.id = x.id; },
          [](const caf::error& why) { throw run_ended{"the driver: " + caf::to_string(why)}; });
  return result;
}

void load_run::open(group x, std::uint32_t at_once) {
  parts_->self->send(parts_->driver, load_atom::open::value, open_order{{x.id}, at_once});
}

void load_run::drop(group x, bool abrupt) {
  parts_->self->send(parts_->driver, load_atom::drop::value, drop_order{{x.id}, abrupt});
}

void load_run::churn(group x, std::uint32_t live_ms, std::uint32_t away_ms, std::uint64_t seed) {
  parts_->self->send(parts_->driver, load_atom::churn::value,
                     churn_group_order{{x.id}, {live_ms, away_ms, seed}});
}

void load_run::pause(group x, bool paused) {
  parts_->self->send(parts_->driver, load_atom::pause::value, pause_order{{x.id}, paused});
}

void load_run::publish(group x, const model::publish_schedule::plan& plan) {
  parts_->self->send(parts_->driver, load_atom::publish::value, publish_order{{x.id}, plan});
}

void load_run::finish(group x, std::int64_t end_ns) {
  parts_->self->send(parts_->driver, load_atom::finish::value, finish_order{{x.id}, end_ns});
}

void load_run::run_in_all(const net::load::load_thread::task& x) {
  std::vector<std::future<void>> done;
  for (auto& thread : threads_) {
    auto promise = std::make_shared<std::promise<void>>();
    done.push_back(promise->get_future());
    thread->post([x, promise](net::load::load_thread& home) {
      x(home);
      promise->set_value();
    });
  }
  for (auto& each : done)
    if (each.wait_for(std::chrono::duration<double>{how_.deadline_s}) != std::future_status::ready)
      throw run_ended{"a load thread does not answer"};
}

void load_run::set_goals() {
  if (!board_.server.about().seqs) {
    // A conversation has one publisher there: its last number is the goal.
    for (auto& x : board_.conversations)
      x.goal = 0;
    run_in_all([this](net::load::load_thread& home) {
      for (const auto* x : home.publishers())
        for (std::uint32_t i = 0; i < x->settings().conversations; ++i) {
          auto& of = board_.conversations[x->settings().conversation + i];
          of.publisher = x->settings().publisher;
          of.goal = x->last_number(i);
        }
    });
  } else {
    for (auto& x : board_.conversations)
      x.goal = x.tail.load();
  }
  run_in_all([round = ++goal_round_](net::load::load_thread& x) { x.new_goals(round); });
}

load_totals load_run::totals() const {
  load_totals x;
  for (const auto& thread : threads_) {
    const auto& c = thread->counters();
    x.opened += c.opened;
    x.lost += c.lost;
    x.entries += c.entries;
    x.timed_entries += c.timed_entries;
    x.payload_bytes += c.payload_bytes;
    x.published += c.published;
    x.receipts += c.receipts;
    x.duplicates += c.duplicates;
    x.retried += c.retried;
    x.refused += c.refused;
    x.offences += c.offences;
    x.reached += c.reached;
    x.reached_ns = std::max(x.reached_ns, c.reached_ns.load());
  }
  x.at_ns = net::load::now_ns();
  return x;
}

load_crowd load_run::crowd() {
  load_crowd result;
  if (!parts_)
    return result;
  for (const auto& x : parts_->overview().groups) {
    result.clients += x.size;
    result.live += x.in(client_state::live);
    result.connecting += x.in(client_state::connecting);
    result.waiting += x.in(client_state::waiting);
  }
  return result;
}

void load_run::check_progress(std::int64_t now, bool outstanding, const std::string& what) {
  auto x = totals();
  auto seen = x.opened + x.entries + x.receipts;
  if (seen != seen_ || !outstanding) {
    seen_ = seen;
    seen_at_ns_ = now;
    return;
  }
  if (static_cast<double>(now - seen_at_ns_) < how_.patience_s * second_ns)
    return;
  auto overview = parts_->overview();
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", how_.patience_s);
  throw run_ended{"nothing has come from " + board_.at.text + " for " + seconds + " s while " +
                  what +
                  (overview.trouble.empty() ? std::string{} : "; last: " + overview.trouble)};
}

void load_run::tick(std::int64_t now) {
  if (now < next_tick_ns_)
    return;
  next_tick_ns_ = now + tick_ms * 1'000'000;
  if (how_.on_tick)
    if (auto why = how_.on_tick(); !why.empty())
      throw run_ended{why};
}

void load_run::until(const std::function<bool()>& claim, const std::string& what) {
  const auto begin = net::load::now_ns();
  seen_at_ns_ = begin;
  for (auto now = begin; !claim(); now = net::load::now_ns()) {
    tick(now);
    check_progress(now, true, what);
    if (static_cast<double>(now - begin) > how_.deadline_s * second_ns) {
      auto overview = parts_->overview();
      throw run_ended{"not done in time: " + what +
                      (overview.trouble.empty() ? std::string{} : "; last: " + overview.trouble)};
    }
    std::this_thread::sleep_for(poll_interval);
  }
}

void load_run::until_live(group x) {
  load_overview seen;
  until(
      [&] {
        seen = parts_->overview();
        if (!seen.failure.empty())
          throw run_ended{seen.failure};
        return seen.groups[x.id].in(client_state::live) == x.size;
      },
      "the clients connect");
}

void load_run::until_finished(group x) {
  until(
      [&] {
        auto seen = parts_->overview();
        if (!seen.failure.empty())
          throw run_ended{seen.failure};
        return seen.groups[x.id].finished == x.size;
      },
      "publishes are unanswered");
}

void load_run::until_reached() {
  until([&] { return totals().reached == readers_; }, "readers wait for what was published");
}

void load_run::hold(double seconds) {
  const auto end = net::load::now_ns() + static_cast<std::int64_t>(seconds * second_ns);
  seen_at_ns_ = net::load::now_ns();
  for (auto now = seen_at_ns_; now < end; now = net::load::now_ns()) {
    tick(now);
    auto x = totals();
    auto unanswered = board_.server.about().receipts && x.published > x.receipts;
    auto away = crowd().waiting > 0;
    check_progress(now, unanswered || away,
                   unanswered ? "publishes are unanswered" : "clients come back");
    if (auto seen = parts_->overview(); !seen.failure.empty())
      throw run_ended{seen.failure};
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(
        std::chrono::milliseconds{20},
        std::chrono::nanoseconds{std::max<std::int64_t>(end - now, 0)}));
  }
}

void load_run::open_window() {
  run_in_all([](net::load::load_thread& x) {
    x.deliveries.clear();
    x.receipts.clear();
  });
  board_.window_to_ns = std::numeric_limits<std::int64_t>::max();
  board_.window_from_ns = net::load::now_ns();
}

void load_run::close_window() {
  board_.window_to_ns = net::load::now_ns();
}

load_latencies load_run::take_latencies() {
  load_latencies result;
  std::mutex mutex;
  run_in_all([&](net::load::load_thread& x) {
    std::lock_guard lock{mutex};
    result.deliveries.merge(x.deliveries);
    result.receipts.merge(x.receipts);
  });
  return result;
}

model::histogram load_run::take_lately() {
  model::histogram result;
  std::mutex mutex;
  run_in_all([&](net::load::load_thread& x) {
    std::lock_guard lock{mutex};
    result.merge(x.lately);
    x.lately.clear();
  });
  return result;
}

std::vector<net::load::load_reader*> load_run::all_readers() const {
  std::vector<net::load::load_reader*> result;
  for (const auto& x : threads_)
    result.insert(result.end(), x->readers().begin(), x->readers().end());
  return result;
}

std::vector<net::load::load_publisher*> load_run::all_publishers() const {
  std::vector<net::load::load_publisher*> result;
  for (const auto& x : threads_)
    result.insert(result.end(), x->publishers().begin(), x->publishers().end());
  return result;
}

} // namespace confab::actors
