#include "model/producers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace confab::model;
using said = producer_verdict::kind;

namespace {

batch numbered(const std::string& producer, std::uint64_t number) {
  batch x;
  x.producer = producer;
  x.producer_seq = number;
  return x;
}

receipt at(std::uint64_t first) {
  return {.first = {first}, .id = {1000, first}};
}

} // namespace

TEST_CASE(
    "with failures, retries and lost tracks each number is appended at most once and in order") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto pick = [&](std::uint64_t n) { return random() % n; };
    producers all;
    std::vector<std::uint64_t> table; // what the log holds, in order
    std::deque<std::uint64_t> in_flight;
    std::uint64_t highest = 1;
    for (int i = 0; i < 300; ++i) {
      auto number = 1 + pick(highest + 1);
      auto x = numbered("p", number);
      auto got = all.check(x);
      if (got.what == said::unknown) {
        if (table.empty())
          all.learned("p", 0, std::nullopt, {}, 0);
        else
          all.learned("p", 0, table.back(), at(table.size()), 0);
        got = all.check(x);
        REQUIRE(got.what != said::unknown);
      }
      if (got.what == said::accept) {
        all.started(x);
        in_flight.push_back(number);
        highest = std::max(highest, number);
      } else if (got.what == said::duplicate) {
        auto first = got.receipt.first.value;
        REQUIRE(first >= 1);
        REQUIRE(first <= table.size());
        CHECK(table[first - 1] == number);
      } else if (got.what == said::in_flight) {
        CHECK(std::find(in_flight.begin(), in_flight.end(), number) != in_flight.end());
      }
      auto commit = [&] {
        table.push_back(in_flight.front());
        in_flight.pop_front();
      };
      switch (pick(6)) {
      case 0:
      case 1:
        if (in_flight.empty())
          break;
        commit();
        all.committed("p", 0, table.back(), at(table.size()));
        break;
      case 2:
        if (in_flight.empty() || pick(3) != 0)
          break;
        all.failed("p", 0, in_flight.front());
        in_flight.clear();
        break;
      case 3:
        if (pick(4) != 0)
          break;
        for (auto n = pick(in_flight.size() + 1); n > 0; --n)
          commit();
        in_flight.clear();
        all.lose_track();
        break;
      default:
        break;
      }
      for (std::size_t k = 1; k < table.size(); ++k)
        REQUIRE(table[k] == table[k - 1] + 1);
    }
    CHECK(table.size() > 3);
  }
}
