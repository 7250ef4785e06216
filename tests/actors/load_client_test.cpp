#include "actors/load_client.hpp"
#include "actors/load_driver.hpp"
#include "support/deterministic_system.hpp"

#include <caf/send.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

using namespace confab;
using namespace confab::actors;
using net::load::load_event;
using test::deterministic_system;

namespace {

/// A socket that writes down what it is told.
struct recorded_line final : net::load::load_line {
  void open() override { told.push_back("open"); }
  void drop(bool abrupt) override { told.push_back(abrupt ? "cut" : "close"); }
  void pause(bool paused) override { told.push_back(paused ? "pause" : "go on"); }
  void start(const model::publish_schedule::plan& x) override {
    told.push_back("publish " + std::to_string(x.entries));
  }
  void stop(std::int64_t end_ns) override { told.push_back("stop " + std::to_string(end_ns)); }

  std::vector<std::string> told;
};

using reports = std::vector<client_report>;

load_watch_actor::behavior_type watcher(load_watch_actor::pointer, reports* out) {
  return {[out](load_atom::report, const client_report& x) { out->push_back(x); }};
}

struct client_bed {
  client_bed() {
    watch = system.system.spawn(watcher, &seen);
    client = system.system.spawn(load_client, 3U, line, watch);
  }
  ~client_bed() { caf::anon_send_exit(client, caf::exit_reason::user_shutdown); }

  template <class... Args>
  void tell(Args... args) {
    caf::anon_send(client, args...);
    system.run();
  }
  void event(load_event::what x, std::string why = {}) {
    tell(load_atom::event::value, load_event{x, std::move(why)});
  }
  [[nodiscard]] std::size_t opens() const {
    return static_cast<std::size_t>(std::count(line->told.begin(), line->told.end(), "open"));
  }
  /// Lets time pass in small steps.
  void pass(std::int64_t ms) {
    for (; ms > 0; --ms) {
      system.advance(std::chrono::milliseconds{1});
      system.run();
    }
  }

  reports seen;
  std::shared_ptr<recorded_line> line = std::make_shared<recorded_line>();
  deterministic_system system;
  load_watch_actor watch;
  load_client_actor client;
};

} // namespace

TEST_CASE("a load client that is opened connects once and tells when it is live") {
  client_bed x;
  x.tell(load_atom::open::value);
  x.tell(load_atom::open::value);
  CHECK(x.opens() == 1);
  x.event(load_event::what::live);
  REQUIRE(x.seen.size() == 2);
  CHECK(x.seen[0].state == client_state::connecting);
  CHECK(x.seen[1].state == client_state::live);
  CHECK(x.seen[1].number == 3);
  CHECK(x.seen[1].trouble.empty());
}

TEST_CASE("a load client comes back after a loss, later and later") {
  client_bed x;
  x.tell(load_atom::open::value);
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 12; ++i) {
    x.event(load_event::what::lost, "connect: refused");
    CHECK(x.seen.back().state == client_state::waiting);
    CHECK(x.seen.back().trouble == "connect: refused");
    auto opens = x.opens();
    std::int64_t waited = 0;
    for (; x.opens() == opens && waited < 10'000; ++waited)
      x.pass(1);
    waits.push_back(waited);
  }
  for (std::size_t i = 0; i < waits.size(); ++i) {
    auto mean = std::min(load_client_state::backoff_ms_min << i, load_client_state::backoff_ms_max);
    CHECK(waits[i] >= mean / 2);
    CHECK(waits[i] <= mean / 2 + mean);
  }
  // Once it was live, it begins with a short pause again.
  x.event(load_event::what::live);
  x.event(load_event::what::lost, "recv");
  auto opens = x.opens();
  x.pass(2 * load_client_state::backoff_ms_min);
  CHECK(x.opens() == opens + 1);
}

TEST_CASE("a load client that was told to drop stays away, whatever its socket still says") {
  client_bed x;
  x.tell(load_atom::open::value);
  x.event(load_event::what::live);
  x.tell(load_atom::drop::value, true);
  CHECK(x.line->told.back() == "cut");
  CHECK(x.seen.back().state == client_state::closed);
  x.event(load_event::what::lost, "late");
  x.event(load_event::what::live);
  x.pass(5000);
  CHECK(x.opens() == 1);
  CHECK(x.seen.back().state == client_state::closed);
  x.tell(load_atom::open::value);
  CHECK(x.opens() == 2);
}

TEST_CASE("a load client that churns leaves and comes back until it is told to stay") {
  client_bed x;
  x.tell(load_atom::open::value);
  x.event(load_event::what::live);
  x.tell(load_atom::churn::value, churn_order{.live_ms = 50, .away_ms = 10, .seed = 7});
  for (int i = 0; i < 20; ++i) {
    x.pass(100); // 2 × the mean: it has left
    x.pass(20);
    REQUIRE(x.seen.back().state == client_state::connecting);
    x.event(load_event::what::live);
  }
  CHECK(x.opens() == 21);
  auto drops = [&](std::string_view how) {
    return std::count(x.line->told.begin(), x.line->told.end(), how);
  };
  CHECK(drops("cut") + drops("close") == 20);
  CHECK(drops("cut") > 0);
  CHECK(drops("close") > 0);
  x.tell(load_atom::churn::value, churn_order{.live_ms = 0});
  x.pass(1000);
  CHECK(x.opens() == 21);
  CHECK(x.seen.back().state == client_state::live);
}

TEST_CASE("a load client passes plans on and tells how many have ended") {
  client_bed x;
  x.tell(load_atom::publish::value, model::publish_schedule::plan{.entries = 5});
  x.tell(load_atom::finish::value, std::int64_t{9});
  CHECK(x.line->told == std::vector<std::string>{"publish 5", "stop 9"});
  CHECK(x.seen.empty());
  x.event(load_event::what::finished);
  REQUIRE(x.seen.size() == 1);
  CHECK(x.seen[0].plans_finished == 1);
  x.tell(load_atom::publish::value, model::publish_schedule::plan{.entries = 6});
  x.event(load_event::what::given_up, "refused");
  CHECK(x.seen.back().plans_finished == 1);
  CHECK(x.seen.back().given_up);
  CHECK(x.seen.back().trouble == "refused");
}

TEST_CASE("the driver opens a few clients at a time and shares a plan out") {
  deterministic_system system;
  std::map<std::uint32_t, std::shared_ptr<recorded_line>> lines;
  std::vector<load_client_actor> clients;
  auto driver = system.system.spawn(
      load_driver, [&](std::uint32_t number, net::load::socket_settings, load_watch_actor watch) {
        lines[number] = std::make_shared<recorded_line>();
        clients.push_back(system.system.spawn(load_client, number, lines[number], watch));
        return clients.back();
      });
  caf::scoped_actor self{system.system};
  auto overview = [&] {
    auto asked = self->request(driver, caf::infinite, load_atom::overview::value);
    system.run();
    load_overview result;
    asked.receive([&](const load_overview& x) { result = x; }, [](const caf::error&) {});
    return result;
  };
  group_order order{.name = "readers", .clients = std::vector<net::load::socket_settings>(5)};
  auto spawned = self->request(driver, caf::infinite, load_atom::spawn::value, order);
  system.run();
  client_group who;
  spawned.receive([&](const client_group& x) { who = x; }, [](const caf::error&) {});
  REQUIRE(overview().groups.size() == 1);
  CHECK(overview().groups[0].in(client_state::closed) == 5);

  auto opened = [&] {
    return std::count_if(lines.begin(), lines.end(),
                         [](const auto& x) { return !x.second->told.empty(); });
  };
  caf::anon_send(driver, load_atom::open::value, open_order{who, 2});
  system.run();
  CHECK(opened() == 2);
  for (std::size_t i = 0; i < 5; ++i) {
    caf::anon_send(clients[i], load_atom::event::value, load_event{load_event::what::live, {}});
    system.run();
    CHECK(opened() == std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(i) + 3, 5));
  }
  CHECK(overview().groups[0].in(client_state::live) == 5);

  // 7 entries among 5; a plan has ended when each says so, not before.
  caf::anon_send(driver, load_atom::publish::value,
                 publish_order{who, model::publish_schedule::plan{.entries = 7}});
  system.run();
  std::uint64_t shared = 0;
  for (const auto& [number, line] : lines)
    shared += std::stoull(line->told.back().substr(8));
  CHECK(shared == 7);
  CHECK(overview().groups[0].finished == 0);
  for (const auto& x : clients)
    caf::anon_send(x, load_atom::event::value, load_event{load_event::what::finished, {}});
  system.run();
  CHECK(overview().groups[0].finished == 5);

  caf::anon_send(clients[2], load_atom::event::value, load_event{load_event::what::lost, "gone"});
  system.run();
  CHECK(overview().groups[0].in(client_state::waiting) == 1);
  CHECK(overview().trouble.ends_with(": gone"));
  caf::anon_send_exit(driver, caf::exit_reason::user_shutdown);
  system.run();
}
