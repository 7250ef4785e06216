#include "model/listeners.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

using namespace confab::model;

namespace {

conversation_name name_of(int i) {
  return *conversation_name::parse("room/" + std::to_string(i));
}

} // namespace

TEST_CASE("a node that has heard no list of nodes takes nothing") {
  listeners one{"a", 100};
  CHECK(one.due(0).empty());
  one.know({"a"}, 0);
  CHECK_FALSE(one.takes(name_of(1)));
  CHECK(one.due(0) == "a");
  CHECK(one.heard("a", 0));
  CHECK(one.takes(name_of(1)));
  // What others have said meanwhile was not heard.
  one.begin_again();
  CHECK_FALSE(one.takes(name_of(1)));
  CHECK(one.due(0) == "a");
}

TEST_CASE("a list is due at once when nodes have come or gone, and again until it was heard") {
  listeners one{"a", 100};
  one.know({"b", "a"}, 1'000);
  CHECK(one.due(1'000) == "a b");
  CHECK(one.due(1'050).empty());
  CHECK(one.due(1'100) == "a b");
  CHECK(one.heard("a b", 1'110));
  CHECK(one.due(9'000).empty());
  one.know({"a"}, 9'000);
  CHECK(one.due(9'000) == "a");
}

TEST_CASE("a node that another one has seen first is waited for before it is left out") {
  listeners one{"a", 100};
  one.know({"a"}, 0);
  CHECK(one.heard("a b", 10));
  CHECK(one.due(50).empty());
  SUBCASE("it is seen here, too") {
    one.know({"a", "b"}, 60);
    CHECK(one.due(500).empty());
  }
  SUBCASE("it is not") {
    CHECK(one.due(110) == "a");
  }
}

TEST_CASE("a node that leaves has left when a list without it was heard") {
  listeners one{"a", 100};
  one.know({"a", "b"}, 0);
  CHECK(one.heard("a b", 0));
  CHECK_FALSE(one.left());
  one.leave(10);
  CHECK_FALSE(one.left());
  CHECK(one.due(10) == "b");
  CHECK(one.heard("b", 11));
  CHECK(one.left());
  // Its lease is still seen.
  one.know({"a", "b"}, 20);
  CHECK(one.due(500).empty());
  CHECK(one.heard("a b", 600));
  CHECK_FALSE(one.left());
  CHECK(one.due(700) == "b");
}

TEST_CASE("the last node that leaves waits for nobody") {
  listeners one{"a", 100};
  one.know({"a"}, 0);
  CHECK(one.heard("a", 0));
  one.leave(0);
  CHECK(one.due(0).empty());
  CHECK(one.left());
}

TEST_CASE("what is no list of nodes changes nothing") {
  listeners one{"a", 100};
  one.know({"a"}, 0);
  CHECK(one.heard("a", 0));
  for (const auto* x : {"", " ", "a ", " a", "a  b", "A", "a,b", "a\nb"})
    CHECK_FALSE(one.heard(x, 0));
  CHECK_FALSE(one.heard(std::string(100'000, 'a'), 0));
  CHECK(one.takes(name_of(1)));
  CHECK(one.due(1'000).empty());
}

TEST_CASE("each message is taken once by those who listen, while nodes come and go") {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::minstd_rand random{seed};
    std::map<std::string, listeners> nodes;
    std::vector<std::string> live;
    std::int64_t now = 0;
    // Whoever subscribes hears all that is published from then on.
    auto publish = [&](const std::string& list) {
      for (auto& [own, x] : nodes)
        REQUIRE(x.heard(list, now));
    };
    auto say = [&] {
      for (auto& [own, x] : nodes)
        if (auto list = x.due(now); !list.empty())
          publish(list);
    };
    for (int step = 0; step < 200; ++step, now += 30) {
      auto what = random() % 6;
      if (what == 0 && live.size() < 4) {
        auto own = "n" + std::to_string(step);
        live.push_back(own);
        nodes.emplace(own, listeners{own, 100});
      } else if (what == 1 && live.size() > 1) {
        auto gone = live.begin() + random() % live.size();
        nodes.erase(*gone);
        live.erase(gone);
      } else if (what == 2 && !live.empty()) {
        nodes.at(live[random() % live.size()]).begin_again();
      } else if (what < 5 && !live.empty()) {
        // One of them learns who is there.
        nodes.at(live[random() % live.size()]).know(live, now);
      }
      if (random() % 2 == 0)
        say();
      for (int i = 0; i < 20; ++i) {
        auto takers = 0;
        for (const auto& [own, x] : nodes)
          takers += x.takes(name_of(i)) ? 1 : 0;
        REQUIRE(takers <= 1);
      }
    }
    for (auto& [own, x] : nodes)
      x.know(live, now);
    now += 1'000;
    say();
    for (int i = 0; i < 20; ++i) {
      auto takers = 0;
      for (const auto& [own, x] : nodes)
        takers += x.takes(name_of(i)) ? 1 : 0;
      REQUIRE(takers == (nodes.empty() ? 0 : 1));
    }
  }
}
