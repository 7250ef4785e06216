// A node's membership on threads of its own, over a real Redis.
#include "actors/membership.hpp"

#include "actors/node.hpp"
#include "net/wire/link_hello.hpp"
#include "store/redis_leases.hpp"
#include "support/redis_server.hpp"

#include <caf/send.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

using namespace confab;
using namespace confab::test;

namespace {

/// What a node on its own threads is told.
struct member_watch {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> told;

  bool await(const std::string& what) {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, std::chrono::seconds{30},
                            [&] { return !told.empty() && told.back() == what; });
  }
};

actors::members_listener::behavior_type watcher(actors::members_listener::pointer,
                                                member_watch* to) {
  return {[to](actors::atom::members, const actors::member_list& x) {
    std::lock_guard lock{to->mutex};
    std::string all;
    for (const auto& each : x->all)
      all += each.incarnation + ' ';
    to->told.push_back(all + (x->own ? "own" : "-"));
    to->changed.notify_all();
  }};
}

} // namespace

TEST_CASE("two nodes find each other through a real Redis, and miss one that is killed or leaves") {
  redis_server redis;
  model::byte_budget cache{1 << 20};
  actors::environment env{{}, cache, "test"};
  member_watch of_a, of_b;
  {
    actors::node_config config;
    caf::actor_system system{config};
    auto begin = [&](const std::string& name, member_watch& to) {
      actors::membership_options how;
      how.own = {.who = {name, "10.0.0.1", 7'000, "0.1.0", net::wire::link_protocol},
                 .cluster = "confab"};
      how.lease_ms = 600;
      how.leases = std::make_shared<store::redis_leases>(redis.options(), how.lease_ms);
      return system.spawn<caf::detached>(actors::membership, std::move(how),
                                         system.spawn(watcher, &to), &env);
    };
    auto a = begin("a", of_a);
    CHECK(of_a.await("a own"));
    auto b = begin("b", of_b);
    CHECK(of_b.await("a b own"));
    CHECK(of_a.await("a b own"));
    caf::anon_send_exit(b, caf::exit_reason::kill);
    CHECK(of_a.await("a own"));
    b = begin("c", of_b);
    CHECK(of_a.await("a c own"));
    redis.pause();
    CHECK(of_a.await("c -"));
    redis.go_on();
    CHECK(of_a.await("a c own"));
    CHECK(of_b.await("a c own"));
    caf::anon_send(b, actors::atom::leave::value);
    CHECK(of_a.await("a own"));
    CHECK(of_b.await("a -"));
    caf::anon_send_exit(a, caf::exit_reason::kill);
    caf::anon_send_exit(b, caf::exit_reason::kill);
  }
}
