#include "model/draft_order.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <random>

using namespace confab::model;
using numbers = std::vector<std::uint64_t>;

TEST_CASE("drafts go to one place as they come") {
  draft_order<char> x;
  CHECK(x.idle());
  x.add(1);
  x.add(2);
  CHECK(x.ready());
  CHECK(x.due('a') == numbers{1, 2});
  x.add(3);
  CHECK_FALSE(x.ready()); // but at the same place
  CHECK(x.due('a') == numbers{3});
  for (auto i : {1, 2, 3}) {
    CHECK_FALSE(x.idle());
    x.back(static_cast<std::uint64_t>(i), false);
  }
  CHECK(x.idle());
  x.add(4);
  CHECK(x.due('b') == numbers{4});
}

TEST_CASE("what comes while others are elsewhere waits for them, and behind those that moved") {
  draft_order<char> x;
  x.add(1);
  x.add(2);
  CHECK(x.due('a').size() == 2);
  x.add(3);
  CHECK(x.due('b').empty());
  x.back(1, true);
  x.add(4);
  CHECK(x.due('a').empty());
  x.back(2, true);
  CHECK(x.ready());
  CHECK(x.due('b') == numbers{1, 2, 3, 4});
}

TEST_CASE("one that was answered is not sent again") {
  draft_order<char> x;
  x.add(1);
  x.add(2);
  CHECK(x.due('a').size() == 2);
  x.back(1, true);
  x.back(2, false);
  CHECK(x.due('b') == numbers{1});
}

TEST_CASE("wherever a conversation moves, its drafts are handled in order") {
  for (std::uint32_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    draft_order<int> testee;
    // Each place handles what it gets in order; one that is left answers that it has moved.
    std::map<int, std::deque<std::uint64_t>> places;
    int place = 1, known = 1;
    numbers handled;
    std::uint64_t last = 0;
    // The handle is looked up, which takes a while; several may ask.
    unsigned asking = 0;
    auto found = [&] {
      if (asking == 0)
        return;
      --asking;
      for (auto x : testee.due(known))
        places[known].push_back(x);
    };
    auto answer = [&](int from) {
      auto& its = places[from];
      if (its.empty())
        return;
      auto x = its.front();
      its.pop_front();
      auto moved = from != place;
      if (moved)
        known = place;
      else
        handled.push_back(x);
      testee.back(x, moved);
      if (testee.ready())
        ++asking;
    };
    for (int i = 0; i < 200; ++i)
      switch (random() % 5) {
      case 0:
        testee.add(++last);
        ++asking;
        break;
      case 4:
        found();
        break;
      case 1:
        if (random() % 5 == 0)
          ++place;
        break;
      case 2:
        if (random() % 3 == 0)
          known = place; // heard of otherwise
        break;
      default:
        answer(1 + static_cast<int>(random() % static_cast<unsigned>(place)));
      }
    while (!testee.idle()) {
      found();
      for (int i = 1; i <= place; ++i)
        answer(i);
    }
    REQUIRE(handled.size() == last);
    for (std::size_t i = 0; i < last; ++i)
      REQUIRE(handled[i] == i + 1);
  }
}
