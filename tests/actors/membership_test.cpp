// Who is a member, when a node's own lease holds, and what is told of it: over leases in memory,
// whose time and trouble the tests make.
#include "actors/membership.hpp"

#include "net/wire/link_hello.hpp"
#include "support/deterministic_system.hpp"

#include <caf/send.hpp>

#include <doctest/doctest.h>

#include <map>

using namespace confab;
using namespace confab::test;
using std::chrono::milliseconds;

namespace {

constexpr std::int64_t lease_ms = 3'000;

store::lease lease_of(const std::string& incarnation) {
  store::lease x;
  x.who = {incarnation, "10.0.0.1", 7'000, "0.1.0", net::wire::link_protocol};
  x.cluster = "confab";
  return x;
}

/// What Redis would hold.
struct lease_table {
  struct row {
    store::lease what;
    std::int64_t until_ms = 0;
  };
  std::map<std::string, row> rows;
  bool away = false;
  std::size_t unreadable = 0;
  /// Answers that come late: by then, so much time has passed.
  std::function<void()> on_renew;
  std::size_t renewals = 0;
  std::size_t lists = 0;
};

class table_leases final : public store::lease_source {
public:
  table_leases(lease_table& table, std::function<std::int64_t()> now_ms)
    : table_{table}, now_ms_{std::move(now_ms)} {}

  model::result<std::vector<store::lease>> renew(const store::lease& own) override {
    ++table_.renewals;
    if (table_.away)
      return away();
    table_.rows[own.who.incarnation] = {own, now_ms_() + lease_ms};
    auto all = live();
    if (table_.on_renew)
      table_.on_renew();
    return all;
  }
  model::status release(const std::string& incarnation) override {
    if (table_.away)
      return away();
    table_.rows.erase(incarnation);
    return model::nothing{};
  }
  model::result<std::vector<store::lease>> list() override {
    ++table_.lists;
    if (table_.away)
      return away();
    return live();
  }
  std::size_t unreadable() const override { return table_.unreadable; }

private:
  static model::error away() { return {model::code::store_failed, "Redis is away"}; }
  std::vector<store::lease> live() {
    std::vector<store::lease> all;
    for (const auto& [incarnation, x] : table_.rows)
      if (x.until_ms > now_ms_())
        all.push_back(x.what);
    return all;
  }

  lease_table& table_;
  std::function<std::int64_t()> now_ms_;
};

using listener = actors::members_listener;

listener::behavior_type recorder(listener::pointer, std::vector<std::string>* told) {
  return {[told](actors::atom::members, const actors::member_list& x) {
    std::string all;
    for (const auto& each : x->all)
      all += each.incarnation + ' ';
    told->push_back(all + (x->own ? "own" : "-"));
  }};
}

struct one_node {
  /// Each as `a1 b2 own`: the members, and whether the own lease holds.
  std::vector<std::string> told;
  actors::environment env;
  actors::membership_actor actor;

  explicit one_node(model::byte_budget& cache) : env{{}, cache, "test"} {}
};

struct membership_bed {
  model::byte_budget cache{1 << 20};
  lease_table table;
  std::map<std::string, one_node> nodes;
  deterministic_system system;

  ~membership_bed() {
    for (auto& [name, x] : nodes)
      caf::anon_send_exit(x.actor, caf::exit_reason::kill);
  }

  one_node& begin(const store::lease& own) {
    auto& x = nodes.try_emplace(own.who.incarnation, cache).first->second;
    actors::membership_options how;
    how.own = own;
    how.lease_ms = lease_ms;
    how.leases = std::make_shared<table_leases>(table, [this] { return system.now_ms(); });
    how.seed = static_cast<std::uint32_t>(nodes.size());
    x.actor = system.system.spawn(actors::membership, std::move(how),
                                  system.system.spawn(recorder, &x.told), &x.env);
    system.run();
    return x;
  }
  one_node& begin(const std::string& incarnation) { return begin(lease_of(incarnation)); }
  /// kill -9.
  void kill(const std::string& incarnation) {
    caf::anon_send_exit(nodes.at(incarnation).actor, caf::exit_reason::kill);
    system.run();
  }
  bool leave(one_node& x) {
    caf::scoped_actor self{system.system};
    auto asked = self->request(x.actor, caf::infinite, actors::atom::leave::value);
    system.run();
    bool answer = false;
    asked.receive([&](bool y) { answer = y; }, [](const caf::error&) { FAIL("no answer"); });
    return answer;
  }
  void advance(std::int64_t ms) {
    for (; ms > 0; --ms) {
      system.advance(milliseconds{1});
      system.run();
    }
  }
};

using all_told = std::vector<std::string>;

} // namespace

TEST_CASE_FIXTURE(membership_bed,
                  "nodes that hold leases see each other, and are told changes alone") {
  auto& b = begin("b");
  CHECK(b.told == all_told{"b own"});
  auto& a = begin("a");
  CHECK(a.told == all_told{"a b own"});
  advance(lease_ms);
  CHECK(b.told == all_told{"b own", "a b own"});
  auto before = table.renewals;
  advance(100 * lease_ms);
  CHECK(a.told.size() == 1);
  CHECK(b.told.size() == 2);
  // Each renews every third of its lease, jittered by a quarter of that.
  auto per_lease = (table.renewals - before) / 200;
  CHECK(per_lease >= 3);
  CHECK(per_lease <= 4);
}

TEST_CASE_FIXTURE(membership_bed, "a node that dies is missed when its lease has run out") {
  auto& a = begin("a");
  begin("b");
  advance(lease_ms);
  kill("b");
  auto died = system.now_ms();
  while (a.told.back() != "a own" && system.now_ms() < died + 10 * lease_ms)
    advance(1);
  CHECK(a.told == all_told{"a own", "a b own", "a own"});
  // Its last renewal was a third of a lease ago at most; another third until the next look.
  CHECK(system.now_ms() - died >= lease_ms - lease_ms / 3);
  CHECK(system.now_ms() - died <= lease_ms + lease_ms / 3);
}

TEST_CASE_FIXTURE(
    membership_bed,
    "a node whose renewals fail says at the end of its lease, once, that it is none") {
  auto& a = begin("a");
  auto& b = begin("b");
  advance(2 * lease_ms);
  auto renewed = system.now_ms();
  table.on_renew = [&] { renewed = system.now_ms(); };
  advance(lease_ms);
  table.away = true;
  a.told.clear();
  b.told.clear();
  while (a.told.empty() && system.now_ms() < renewed + 10 * lease_ms)
    advance(1);
  advance(10 * lease_ms);
  CHECK(a.told == all_told{"b -"});
  CHECK(b.told == all_told{"a -"});
  CHECK(a.env.redis_health.trouble() == "Redis is away");
  table.away = false;
  advance(lease_ms);
  CHECK(a.told.back() == "a b own");
  CHECK(b.told.back() == "a b own");
  CHECK(a.env.redis_health.trouble().empty());
}

TEST_CASE_FIXTURE(membership_bed,
                  "the own lease ends exactly lease_ms after the last renewal was sent") {
  auto& a = begin("a");
  std::int64_t sent = 0;
  table.on_renew = [&] { sent = system.now_ms(); };
  advance(2 * lease_ms);
  table.away = true;
  a.told.clear();
  while (a.told.empty() && system.now_ms() < sent + 10 * lease_ms)
    advance(1);
  CHECK(a.told == all_told{"-"});
  CHECK(system.now_ms() - sent == lease_ms);
}

TEST_CASE_FIXTURE(membership_bed, "an answer that comes late counts from when it was asked for") {
  auto& a = begin("a");
  // The only renewal from now on, and its answer takes half a lease.
  std::int64_t sent = 0;
  table.on_renew = [&] {
    sent = system.now_ms();
    system.advance(milliseconds{lease_ms / 2});
    table.away = true;
  };
  a.told.clear();
  while (a.told.empty() && system.now_ms() < 10 * lease_ms)
    advance(1);
  CHECK(a.told == all_told{"-"});
  CHECK(system.now_ms() - sent == lease_ms);
  // One that comes when it is over already is no lease.
  table.away = false;
  table.on_renew = [&] { system.advance(milliseconds{lease_ms + 1}); };
  advance(lease_ms);
  CHECK(a.told == all_told{"-"});
  table.on_renew = {};
  advance(lease_ms);
  CHECK(a.told == all_told{"-", "a own"});
}

TEST_CASE_FIXTURE(membership_bed,
                  "a node that was stopped for longer than its lease says so before it renews") {
  auto& a = begin("a");
  begin("b");
  advance(lease_ms);
  a.told.clear();
  system.advance(milliseconds{10 * lease_ms});
  advance(lease_ms);
  REQUIRE(a.told.size() >= 2);
  CHECK(a.told.front() == "b -");
  CHECK(a.told.back() == "a b own");
}

TEST_CASE_FIXTURE(membership_bed,
                  "a node that begins while Redis is away is told nobody, until it is there") {
  table.away = true;
  auto& a = begin("a");
  advance(10 * lease_ms);
  CHECK(a.told == all_told{"-"});
  CHECK_FALSE(a.env.redis_health.trouble().empty());
  table.away = false;
  advance(lease_ms);
  CHECK(a.told == all_told{"-", "a own"});
}

TEST_CASE_FIXTURE(
    membership_bed,
    "a planned end gives the lease up at once, and goes on looking after the others") {
  auto& a = begin("a");
  auto& b = begin("b");
  advance(lease_ms);
  CHECK(leave(a));
  CHECK(a.told.back() == "b -");
  CHECK(table.rows.count("a") == 0);
  CHECK(leave(a));
  begin("c");
  auto lists = table.lists;
  advance(lease_ms);
  CHECK(a.told.back() == "b c -");
  CHECK(b.told.back() == "b c own");
  CHECK(table.lists > lists);
  CHECK(table.rows.count("a") == 0);
}

TEST_CASE_FIXTURE(membership_bed, "a lease that cannot be given up is not counted on either") {
  auto& a = begin("a");
  table.away = true;
  CHECK_FALSE(leave(a));
  CHECK(a.told == all_told{"a own", "-"});
  table.away = false;
  advance(2 * lease_ms);
  CHECK(a.told == all_told{"a own", "-"});
}

TEST_CASE_FIXTURE(
    membership_bed,
    "nodes of another cluster or protocol are no members; of another version they are") {
  auto& a = begin("a");
  auto stranger = lease_of("s");
  stranger.cluster = "other";
  auto older = lease_of("o");
  older.who.protocol = net::wire::link_protocol + 1;
  auto upgraded = lease_of("u");
  upgraded.who.version = "0.2.0";
  auto& s = begin(stranger);
  auto& o = begin(older);
  auto& u = begin(upgraded);
  advance(lease_ms);
  CHECK(a.told.back() == "a u own");
  CHECK(u.told.back() == "a u own");
  CHECK(s.told.back() == "s own");
  CHECK(o.told.back() == "o own");
  auto& state = state_of<actors::membership_state>(a.actor);
  CHECK(state.left_out == std::set<std::string>{"o", "s"});
  kill("s");
  advance(2 * lease_ms);
  CHECK(state.left_out == std::set<std::string>{"o"});
}

TEST_CASE_FIXTURE(membership_bed,
                  "a node that comes back under another incarnation is another one") {
  auto& a = begin("a");
  begin("b");
  advance(lease_ms);
  kill("b");
  begin("c");
  advance(3 * lease_ms);
  CHECK(a.told == all_told{"a own", "a b own", "a b c own", "a c own"});
}

TEST_CASE_FIXTURE(membership_bed, "the lease says what the node carries") {
  auto& a = begin("a");
  a.env.load.connections = 5;
  a.env.load.conversations = 4;
  a.env.load.homes = 3;
  advance(lease_ms);
  CHECK(table.rows.at("a").what.load == store::node_load{5, 4, 3});
  CHECK(a.told.size() == 1);
}
