// Leases of nodes on a real Redis: its clock, rows that are none, a Redis that does not answer.
#include "store/redis_leases.hpp"

#include "support/redis_server.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <thread>

using namespace confab;
using namespace confab::test;
using model::code;
using store::lease;

namespace {

constexpr std::int64_t long_ms = 20'000;

lease lease_of(const std::string& incarnation, std::uint16_t port = 7'000) {
  lease x;
  x.who = {incarnation, "10.0.0.1", port, "0.1.0", 1};
  x.cluster = "confab";
  x.load = {1, 2, 3};
  x.client_url = "http://10.0.0.1:8080";
  return x;
}

struct leases_bed {
  redis_server redis;
  store::redis_leases leases{quick(), long_ms};

  leases_bed() = default;
  explicit leases_bed(std::vector<std::string> settings) : redis{std::move(settings)} {}

  store::redis_options quick() const {
    auto how = redis.options();
    how.reconnect = {1, 10};
    return how;
  }
  /// The time of Redis.
  std::int64_t now_ms() {
    auto time = redis.ask({"TIME"}).elements;
    return std::stoll(time[0].text) * 1'000 + std::stoll(time[1].text) / 1'000;
  }
  void row(const std::string& node, const std::string& text) {
    redis.ask({"HSET", store::nodes_key, node, text});
  }
  /// A row that runs out in so many ms.
  void row(const std::string& node, std::int64_t left_ms, const std::string& rest) {
    row(node, std::to_string(now_ms() + left_ms) + ' ' + rest);
  }
  std::int64_t fields() { return redis.ask({"HLEN", store::nodes_key}).number; }
};

/// `a b c`, in the order in which they were answered.
std::string names(const model::result<std::vector<lease>>& x) {
  REQUIRE_MESSAGE(x, x.why().detail);
  std::string all;
  for (const auto& each : *x)
    all += (all.empty() ? "" : " ") + each.who.incarnation;
  return all;
}

constexpr const char* whole_row = "10.0.0.2 7001 0.2.0 2 other 4 5 6 http://h:1";

} // namespace

TEST_CASE_FIXTURE(leases_bed, "a lease that was taken is read by all as it was written") {
  auto own = lease_of("b2");
  auto others = lease_of("a1", 7'001);
  others.client_url.clear();
  others.load = {};
  store::redis_leases second{quick(), long_ms};
  CHECK(names(leases.renew(own)) == "b2");
  auto both = second.renew(others);
  CHECK(names(both) == "a1 b2");
  CHECK(names(leases.list()) == "a1 b2");
  for (auto* x : {&own, &others}) {
    auto& got = (*both)[x == &own ? 1 : 0];
    CHECK(got.left_ms > long_ms - 5'000);
    CHECK(got.left_ms <= long_ms);
    x->left_ms = got.left_ms;
    CHECK(got == *x);
  }
  CHECK(leases.unreadable() == 0);
}

TEST_CASE_FIXTURE(leases_bed, "a lease that is renewed begins anew, with what its node says now") {
  auto own = lease_of("a1");
  store::redis_leases brief{quick(), 1'000};
  CHECK(brief.renew(own));
  own.load.homes = 40;
  auto renewed = leases.renew(own);
  CHECK(names(renewed) == "a1");
  CHECK(renewed->front().load.homes == 40);
  CHECK(renewed->front().left_ms > 1'000);
}

TEST_CASE_FIXTURE(leases_bed, "a lease that ran out is in no answer, and whoever renews drops it") {
  row("gone", -1, whole_row);
  row("live", 5'000, whole_row);
  CHECK(names(leases.list()) == "live");
  CHECK(fields() == 2);
  CHECK(names(leases.renew(lease_of("own"))) == "live own");
  CHECK(fields() == 2);
  CHECK(redis.ask({"HEXISTS", store::nodes_key, "gone"}).number == 0);
}

TEST_CASE_FIXTURE(leases_bed, "a lease runs out by Redis's clock when nobody renews it") {
  store::redis_leases brief{quick(), 50};
  CHECK(brief.renew(lease_of("a1")));
  while (names(leases.list()) == "a1")
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  CHECK(names(leases.list()).empty());
  CHECK(names(brief.renew(lease_of("a1"))) == "a1");
}

TEST_CASE_FIXTURE(leases_bed, "a lease that is given up is gone at once, again is no error") {
  CHECK(leases.renew(lease_of("a1")));
  CHECK(leases.renew(lease_of("b2")));
  CHECK(leases.release("a1"));
  CHECK(leases.release("a1"));
  CHECK(names(leases.list()) == "b2");
}

TEST_CASE_FIXTURE(leases_bed, "a row of a later version, with more behind it, is a lease") {
  row("later", 5'000, std::string{whole_row} + " eu-west 17 {} \xff");
  auto all = leases.list();
  REQUIRE(names(all) == "later");
  auto& x = all->front();
  CHECK(x.who == model::member{"later", "10.0.0.2", 7'001, "0.2.0", 2});
  CHECK(x.cluster == "other");
  CHECK(x.load == store::node_load{4, 5, 6});
  CHECK(x.client_url == "http://h:1");
  CHECK(leases.unreadable() == 0);
}

TEST_CASE_FIXTURE(leases_bed, "a row that is no lease is left out, counted, and stays") {
  CHECK(leases.renew(lease_of("own")));
  const std::string rest[] = {
      "",
      "10.0.0.2",
      "10.0.0.2 7001 0.2.0 2 other 4 5 6",                          // too few
      "10.0.0.2 0 0.2.0 2 other 4 5 6 -",                           // a port that nobody has
      "10.0.0.2 65536 0.2.0 2 other 4 5 6 -",                       // out of range
      "10.0.0.2 7001 0.2.0 4294967296 other 4 5 6 -",               // out of range
      "10.0.0.2 7001 0.2.0 -2 other 4 5 6 -",                       // out of range
      "10.0.0.2 7001 0.2.0 2 other 4 5 18446744073709551616 -",     // out of range
      "10.0.0.2 7001 0.2.0 2 other 4 5x 6 -",                       // not a number
      "10.0.0.2  7001 0.2.0 2 other 4 5 6 -",                       // an empty text
      "10.0.\x1b[31m2 7001 0.2.0 2 other 4 5 6 -",                  // not printable
      "10.0.0.\xc3\xa4 7001 0.2.0 2 other 4 5 6 -",                 // not ASCII
      std::string(256, 'a') + " 7001 0.2.0 2 other 4 5 6 -",        // too long
      std::string{whole_row} + ' ' + std::string(3'000, 'x'),       // too long
      "10.0.0.2 7001 0.2.0 2 other 4 5 6 " + std::string(513, 'u'), // too long
  };
  std::size_t count = 0;
  for (const auto& each : rest)
    row("bad" + std::to_string(count++), 5'000, each);
  for (const auto* text :
       {"", "garbage", "-5 10.0.0.2 7001 0.2.0 2 other 4 5 6 -", "0x10 h 1", "12", "\xff\xfe"})
    row("bad" + std::to_string(count++), text);
  for (const auto* node : {"", "Upper", "a b", "\x01", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}) {
    row(node, 5'000, whole_row);
    ++count;
  }
  CHECK(names(leases.renew(lease_of("own"))) == "own");
  CHECK(leases.unreadable() == count);
  CHECK(names(leases.list()) == "own");
  CHECK(leases.unreadable() == count);
  CHECK(fields() == static_cast<std::int64_t>(count) + 1);
}

TEST_CASE_FIXTURE(leases_bed, "a row of its own that is none is written anew, and not counted") {
  row("own", "garbage");
  CHECK(names(leases.renew(lease_of("own"))) == "own");
  CHECK(leases.unreadable() == 0);
}

TEST_CASE_FIXTURE(leases_bed, "no lease is longer than any can be: Redis's clock was set back") {
  row("future", store::lease_ms_max + 5'000, whole_row);
  row("never", "99999999999999999999999999 " + std::string{whole_row});
  CHECK(names(leases.list()).empty());
  CHECK(names(leases.renew(lease_of("own"))) == "own");
  CHECK(fields() == 1);
}

TEST_CASE_FIXTURE(leases_bed, "a key of another type is an error, and is left as it is") {
  redis.ask({"SET", store::nodes_key, "a string"});
  for (auto got : {leases.renew(lease_of("a1")), leases.list()}) {
    REQUIRE_FALSE(got);
    CHECK(got.why().what == code::store_failed);
    CHECK(got.why().detail.find("WRONGTYPE") != std::string::npos);
  }
  CHECK_FALSE(leases.release("a1"));
  CHECK(redis.ask({"GET", store::nodes_key}).text == "a string");
}

TEST_CASE_FIXTURE(leases_bed, "so many nodes and no more: those that are there go on") {
  auto until = std::to_string(now_ms() + 50'000) + ' ';
  auto fill = [&](std::size_t n, const std::string& prefix, const std::string& text) {
    std::vector<std::string> words{"HSET", store::nodes_key};
    for (std::size_t i = 0; i < n; ++i) {
      words.push_back(prefix + std::to_string(i));
      words.push_back(text);
    }
    redis.ask(words);
  };
  fill(store::nodes_max, "n", until + whole_row);
  auto refused = leases.renew(lease_of("late"));
  REQUIRE_FALSE(refused);
  CHECK(refused.why().what == code::overloaded);
  CHECK(refused.why().detail.find("1024 nodes") != std::string::npos);
  auto held = leases.renew(lease_of("n7"));
  REQUIRE(held);
  CHECK(held->size() == store::nodes_max);
  // Those that have run out take no place.
  fill(store::nodes_max, "n", "1 " + std::string{whole_row});
  CHECK(names(leases.renew(lease_of("late"))) == "late");
  // Whatever that is, it is not read.
  fill(4 * store::nodes_max, "x", "y");
  auto flooded = leases.renew(lease_of("late"));
  REQUIRE_FALSE(flooded);
  CHECK(flooded.why().detail.find("too many fields") != std::string::npos);
}

TEST_CASE_FIXTURE(leases_bed, "a lease that would not be read as it was written is refused") {
  for (auto spoil : std::initializer_list<void (*)(lease&)>{
           [](lease& x) { x.cluster = "my cluster"; }, [](lease& x) { x.cluster.clear(); },
           [](lease& x) { x.who.port = 0; }, [](lease& x) { x.who.address = "a\nb"; },
           [](lease& x) { x.who.incarnation = "A"; }, [](lease& x) { x.client_url = "-"; },
           [](lease& x) { x.who.version = std::string(65, '1'); }}) {
    auto x = lease_of("a1");
    spoil(x);
    auto refused = leases.renew(x);
    REQUIRE_FALSE(refused);
    CHECK(refused.why().what == code::bad_request);
  }
  CHECK(fields() == 0);
}

TEST_CASE_FIXTURE(leases_bed, "a Redis that forgot everything, scripts too, gets the lease anew") {
  CHECK(leases.renew(lease_of("a1")));
  redis.ask({"FLUSHALL"});
  redis.ask({"SCRIPT", "FLUSH"});
  CHECK(names(leases.list()).empty());
  redis.ask({"SCRIPT", "FLUSH"});
  CHECK(names(leases.renew(lease_of("a1"))) == "a1");
}

TEST_CASE("a Redis that is full refuses appends, and renews leases") {
  leases_bed b{{"maxmemory 100kb", "maxmemory-policy noeviction"}};
  store::redis_connection other{b.redis.options()};
  auto refused = other.send({"SET", {"x", "y"}});
  REQUIRE_FALSE(refused);
  CHECK(refused.why().detail.find("OOM") != std::string::npos);
  CHECK(names(b.leases.renew(lease_of("a1"))) == "a1");
  CHECK(names(b.leases.list()) == "a1");
}

TEST_CASE_FIXTURE(leases_bed, "a Redis that hangs costs a part of the lease, and then it goes on") {
  store::redis_leases brief{quick(), 900};
  CHECK(brief.renew(lease_of("a1")));
  redis.pause();
  auto begin = std::chrono::steady_clock::now();
  auto failed = brief.renew(lease_of("a1"));
  auto took = std::chrono::steady_clock::now() - begin;
  redis.go_on();
  REQUIRE_FALSE(failed);
  CHECK(failed.why().what == code::append_unknown);
  CHECK(took < std::chrono::milliseconds{450});
  for (;;) {
    auto again = brief.renew(lease_of("a1"));
    if (again)
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  redis.kill();
  CHECK_FALSE(brief.renew(lease_of("a1")));
  CHECK_FALSE(brief.list());
  CHECK_FALSE(brief.release("a1"));
}

TEST_CASE_FIXTURE(leases_bed, "whatever bytes stand in rows, own and other leases are answered") {
  auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  row("other", 50'000, whole_row);
  for (int round = 0; round < 200; ++round) {
    auto text = std::to_string(now_ms() + 5'000) + ' ' + whole_row;
    for (auto changes = 1 + random() % 4; changes > 0; --changes) {
      auto at = random() % text.size();
      switch (random() % 3) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, random() % 8);
        break;
      default:
        text.insert(at, random() % 8, static_cast<char>(random()));
      }
      text += ' ';
    }
    row("x", text);
    auto all = leases.renew(lease_of("own"));
    REQUIRE_MESSAGE(all, all.why().detail);
    auto has = [&](const std::string& node) {
      return std::count_if(all->begin(), all->end(),
                           [&](const lease& x) { return x.who.incarnation == node; }) == 1;
    };
    CHECK(has("own"));
    CHECK(has("other"));
    CHECK(all->size() <= 3);
  }
}
