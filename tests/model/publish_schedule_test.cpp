#include "model/publish_schedule.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

using confab::model::publish_schedule;

namespace {

constexpr std::int64_t second = 1'000'000'000;

/// Everything that may be sent at `now`.
std::vector<publish_schedule::publish> all_at(publish_schedule& x, std::int64_t now) {
  std::vector<publish_schedule::publish> result;
  while (auto y = x.next(now))
    result.push_back(*y);
  return result;
}

publish_schedule scheduled(const publish_schedule::plan& x, std::uint32_t conversations = 1) {
  publish_schedule result{conversations, true};
  result.start(x);
  return result;
}

} // namespace

TEST_CASE("a publish is due as the rate says, however late it is sent") {
  auto x = scheduled({.per_s = 10, .flight = 100, .begin_ns = second});
  CHECK(x.next_ns(0) == second);
  CHECK(all_at(x, second - 1).empty());
  auto late = all_at(x, second + second / 2);
  REQUIRE(late.size() == 6);
  for (std::size_t i = 0; i < late.size(); ++i) {
    CHECK(late[i].due_ns == second + static_cast<std::int64_t>(i) * second / 10);
    CHECK(late[i].number == i + 1);
    CHECK(late[i].ref == i + 1);
  }
  CHECK(x.next_ns(second + second / 2) == second + 6 * second / 10);
}

TEST_CASE("a full window delays sending and not the due time") {
  auto x = scheduled({.per_s = 10, .flight = 1, .begin_ns = 0});
  REQUIRE(all_at(x, 5 * second).size() == 1);
  CHECK(x.next_ns(5 * second) == publish_schedule::never);
  REQUIRE(x.answered(1));
  auto next = x.next(5 * second);
  REQUIRE(next);
  CHECK(next->due_ns == second / 10);
}

TEST_CASE("a burst is due together, and the rate counts publishes") {
  auto x = scheduled({.per_s = 10, .burst = 5, .flight = 100, .begin_ns = 0});
  CHECK(all_at(x, 0).size() == 5);
  CHECK(all_at(x, second / 2 - 1).empty());
  CHECK(all_at(x, second / 2).size() == 5);
}

TEST_CASE("without a rate the window alone holds publishes back, and they are due when sent") {
  auto x = scheduled({.per_s = 0, .flight = 3, .begin_ns = 0, .end_ns = second});
  CHECK(all_at(x, 7).size() == 3);
  REQUIRE(x.answered(2));
  auto next = all_at(x, 9);
  REQUIRE(next.size() == 1);
  CHECK(next.front().due_ns == 9);
  CHECK(x.next_ns(second) == publish_schedule::never);
  CHECK_FALSE(x.finished(second));
  for (std::uint64_t ref : {1, 3, 4})
    REQUIRE(x.answered(ref));
  CHECK(all_at(x, second).empty());
  CHECK(x.finished(second));
}

TEST_CASE("a plan ends after its entries, and the next one goes on with the numbers") {
  auto x = scheduled({.per_s = 0, .flight = 64, .entries = 3});
  CHECK(all_at(x, 1).size() == 3);
  for (std::uint64_t ref : {1, 2, 3})
    REQUIRE(x.answered(ref));
  CHECK(x.finished(1));
  x.start({.per_s = 0, .flight = 64, .entries = 1});
  CHECK_FALSE(x.finished(1));
  auto next = x.next(2);
  REQUIRE(next);
  CHECK(next->number == 4);
  CHECK(next->ref == 4);
}

TEST_CASE("conversations take turns, each with numbers of its own") {
  auto x = scheduled({.per_s = 0, .flight = 5}, 2);
  std::vector<std::pair<std::uint32_t, std::uint64_t>> seen;
  for (const auto& y : all_at(x, 1))
    seen.emplace_back(y.conversation, y.number);
  CHECK(seen == decltype(seen){{0, 1}, {1, 1}, {0, 2}, {1, 2}, {0, 3}});
}

TEST_CASE("after a lost connection everything unanswered is sent again first, with its numbers") {
  auto x = scheduled({.per_s = 10, .flight = 4, .begin_ns = 0});
  REQUIRE(all_at(x, second).size() == 4);
  REQUIRE(x.answered(2));
  x.disconnected();
  CHECK_FALSE(x.answered(1));
  auto again = all_at(x, 2 * second);
  REQUIRE(again.size() == 4);
  CHECK(again[0].number == 1);
  CHECK(again[1].number == 3);
  CHECK(again[2].number == 4);
  CHECK(again[2].again);
  CHECK(again[2].due_ns == 3 * second / 10);
  CHECK(again[3].number == 5);
  CHECK_FALSE(again[3].again);
  CHECK(again[0].ref == 5);
  CHECK(x.retried() == 3);
}

TEST_CASE(
    "a refused publish waits for every answer and for its backoff, and nothing overtakes it") {
  auto x = scheduled({.per_s = 0, .flight = 3});
  REQUIRE(all_at(x, 1).size() == 3);
  REQUIRE(x.refused(2, true, 1));
  REQUIRE(x.refused(3, true, 1)); // its gap
  CHECK(x.next_ns(2) == publish_schedule::never);
  CHECK(all_at(x, 2).empty());
  REQUIRE(x.answered(1));
  auto retry_at = x.next_ns(2);
  CHECK(retry_at >= publish_schedule::retry_ns_min);
  CHECK(all_at(x, retry_at - 1).empty());
  auto again = all_at(x, retry_at);
  REQUIRE(again.size() == 3);
  CHECK(again[0].number == 2);
  CHECK(again[1].number == 3);
  CHECK(again[2].number == 4);
}

TEST_CASE("a publish that is refused for good, or too often, is given up") {
  auto x = scheduled({.per_s = 0, .flight = 1});
  REQUIRE(x.next(1));
  REQUIRE(x.refused(1, false, 1));
  CHECK(x.given_up());
  CHECK_FALSE(x.next(second));

  auto y = scheduled({.per_s = 0, .flight = 1});
  std::int64_t now = 1;
  std::uint64_t tries = 0;
  while (auto sent = y.next(now)) {
    ++tries;
    CHECK(sent->number == 1);
    REQUIRE(y.refused(sent->ref, true, now));
    now += publish_schedule::retry_ns_max;
  }
  CHECK(y.given_up());
  CHECK(tries == publish_schedule::tries_max);
}

TEST_CASE("an answer that was not asked for is told, whatever its ref") {
  auto x = scheduled({.per_s = 0, .flight = 2});
  REQUIRE(all_at(x, 1).size() == 2);
  for (std::uint64_t ref : {std::uint64_t{0}, std::uint64_t{3}, ~std::uint64_t{0}}) {
    CHECK_FALSE(x.answered(ref));
    CHECK_FALSE(x.refused(ref, true, 1));
  }
  REQUIRE(x.answered(1));
  CHECK_FALSE(x.answered(1));
  CHECK(x.unanswered() == 1);
}

TEST_CASE("without receipts a publish is over when it is sent") {
  publish_schedule x{1, false};
  x.start({.per_s = 0, .flight = 2, .entries = 5});
  CHECK(all_at(x, 1).size() == 5);
  CHECK(x.finished(1));
  x.disconnected();
  CHECK_FALSE(x.next(2));
}

TEST_CASE(
    "whatever is refused or lost, every number reaches the server in order and once is answered") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto conversations = static_cast<std::uint32_t>(random() % 3 + 1);
    auto x = scheduled({.per_s = 1000,
                        .burst = static_cast<std::uint32_t>(random() % 4 + 1),
                        .flight = static_cast<std::uint32_t>(random() % 8 + 1),
                        .begin_ns = 0,
                        .entries = 100},
                       conversations);
    // The server takes last + 1 and repeats; everything else is a gap.
    std::map<std::uint32_t, std::uint64_t> taken;
    std::vector<publish_schedule::publish> wire;
    std::int64_t now = 0;
    std::size_t answered = 0;
    for (int turn = 0; turn < 100'000 && !x.finished(now); ++turn) {
      now += 1'000'000;
      for (const auto& y : all_at(x, now))
        wire.push_back(y);
      if (random() % 50 == 0) {
        wire.clear();
        x.disconnected();
        continue;
      }
      while (!wire.empty() && random() % 4 != 0) {
        auto y = wire.front();
        wire.erase(wire.begin());
        auto& last = taken[y.conversation];
        auto overloaded = random() % 10 == 0;
        if (overloaded || y.number > last + 1) {
          REQUIRE(x.refused(y.ref, true, now));
          continue;
        }
        last = std::max(last, y.number);
        REQUIRE(x.answered(y.ref));
        ++answered;
      }
    }
    REQUIRE_FALSE(x.given_up());
    REQUIRE(x.finished(now));
    CHECK(answered == 100);
    CHECK(x.published() == 100);
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < conversations; ++i) {
      CHECK(taken[i] == x.last_number(i));
      sum += taken[i];
    }
    CHECK(sum == 100);
  }
}
