#include "model/subscription.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab::model;
using due = step::kind;

namespace {

const auto room = std::make_shared<const conversation_name>(*conversation_name::parse("room"));

std::vector<entry> entries(std::uint64_t first, std::uint64_t last) {
  std::vector<entry> result;
  for (auto at = first; at <= last; ++at) {
    entry x;
    x.at = {at};
    result.push_back(std::move(x));
  }
  return result;
}

log_state state_of(const std::string& of, std::uint64_t first, std::uint64_t tail,
                   lifecycle life = lifecycle::open) {
  return {.epoch = {of}, .first = {first}, .tail = {tail}, .life = life};
}

void announce(feed& to, const log_state& state, std::uint64_t ring_from = 0) {
  std::vector<run_ptr> runs;
  if (ring_from > 0)
    runs.push_back(std::make_shared<const run>(room, state.epoch,
                                               entries(ring_from, state.tail.value), nullptr));
  to.announced(state, runs);
}

feed feed_of(const log_state& state, std::uint64_t ring_from = 0) {
  feed x{room, {}};
  announce(x, state, ring_from);
  return x;
}

subscription behind(std::uint64_t at, const std::string& of = "a") {
  return {epoch{of}, seq{at}, std::nullopt};
}

/// Expects a mark, and tells the subscription that it went out.
void does(subscription& sub, const feed& from, due what) {
  auto x = sub.next(from);
  REQUIRE(x.what == what);
  sub.did(x, from);
}

} // namespace

TEST_CASE("what the ring holds is sent from the ring") {
  auto from = feed_of(state_of("a", 1, 5), 1);
  auto x = behind(3).next(from);
  REQUIRE(x.what == due::ring);
  CHECK((*x.entries)->holds({4}));
}

TEST_CASE("what only the log holds is a page") {
  auto from = feed_of(state_of("a", 1, 5));
  CHECK(behind(3).next(from).what == due::page);
  CHECK(behind(0).next(from).what == due::page);
}

TEST_CASE(
    "what retention removed is a reset that names the missing range, and then goes on at first") {
  auto from = feed_of(state_of("a", 4, 9));
  auto sub = behind(1);
  auto x = sub.next(from);
  REQUIRE(x.what == due::reset);
  CHECK(x.reason == reset_reason::trimmed);
  CHECK(x.missing_from == seq{2});
  CHECK(x.missing_through == seq{3});
  sub.did(x, from);
  CHECK(sub.at() == seq{3});
  CHECK(sub.next(from).what == due::page);
  CHECK(behind(3).next(from).what == due::page);
}

TEST_CASE("a log whose entries were all removed is a reset up to its tail, then live") {
  auto from = feed_of(state_of("a", 10, 9));
  auto sub = behind(4);
  auto x = sub.next(from);
  REQUIRE(x.what == due::reset);
  CHECK(x.missing_through == seq{9});
  sub.did(x, from);
  does(sub, from, due::live);
}

TEST_CASE("at the tail the reader is told live once, and then waits") {
  auto from = feed_of(state_of("a", 1, 5), 1);
  auto sub = behind(5);
  does(sub, from, due::live);
  CHECK(sub.live());
  CHECK(sub.next(from).what == due::wait);
  announce(from, state_of("a", 1, 6), 6);
  CHECK(sub.next(from).what == due::ring);
  sub.sent_through({6}, from);
  CHECK(sub.next(from).what == due::wait);
}

TEST_CASE("a live reader who needed the log is told live again") {
  auto from = feed_of(state_of("a", 1, 5), 1);
  auto sub = behind(5);
  does(sub, from, due::live);
  announce(from, state_of("a", 1, 7));
  CHECK(sub.next(from).what == due::page);
  sub.needs_log();
  CHECK_FALSE(sub.live());
  sub.sent_through({7}, from);
  does(sub, from, due::live);
}

TEST_CASE("closed comes once, behind the last entry and live") {
  auto from = feed_of(state_of("a", 1, 5, lifecycle::closed), 5);
  auto sub = behind(4);
  CHECK(sub.next(from).what == due::ring);
  sub.sent_through({5}, from);
  does(sub, from, due::live);
  CHECK_FALSE(sub.told_closed());
  does(sub, from, due::closed);
  CHECK(sub.told_closed());
  CHECK(sub.next(from).what == due::wait);
  sub.needs_log();
  does(sub, from, due::live);
  CHECK(sub.next(from).what == due::wait);
}

TEST_CASE("a reader ahead of the announced tail waits for the announcement") {
  auto from = feed_of(state_of("a", 1, 5), 1);
  auto sub = behind(7);
  CHECK(sub.next(from).what == due::wait);
  announce(from, state_of("a", 1, 8), 6);
  CHECK(sub.next(from).what == due::ring);
}

TEST_CASE("another epoch is a reset to its beginning, whatever the old position was") {
  for (std::uint64_t at : {0, 3, 5, 9}) {
    CAPTURE(at);
    auto from = feed_of(state_of("a", 1, 9, lifecycle::closed));
    auto sub = behind(at);
    announce(from, state_of("b", 1, 5), 1);
    auto x = sub.next(from);
    REQUIRE(x.what == due::reset);
    CHECK(x.reason == reset_reason::epoch);
    sub.did(x, from);
    CHECK(sub.at() == seq{0});
    CHECK(sub.epoch() == epoch{"b"});
    CHECK(sub.next(from).what == due::ring);
  }
}

TEST_CASE("a deleted log is a reset, and what comes next follows from its first entry") {
  auto from = feed_of(state_of("a", 1, 5, lifecycle::closed), 1);
  auto sub = behind(5);
  does(sub, from, due::live);
  does(sub, from, due::closed);
  announce(from, {.life = lifecycle::deleted});
  auto x = sub.next(from);
  REQUIRE(x.what == due::reset);
  CHECK(x.reason == reset_reason::deleted);
  sub.did(x, from);
  does(sub, from, due::live);
  CHECK(sub.next(from).what == due::wait);
  announce(from, state_of("b", 1, 2, lifecycle::closed), 1);
  CHECK(sub.next(from).what == due::ring);
  sub.sent_through({2}, from);
  CHECK(sub.epoch() == epoch{"b"});
  does(sub, from, due::live);
  does(sub, from, due::closed);
}

TEST_CASE("the first epoch of a conversation without a log takes nothing back") {
  feed from{room, {}};
  subscription sub{epoch{}, seq{0}, std::nullopt};
  does(sub, from, due::live);
  announce(from, state_of("a", 1, 1), 1);
  CHECK(sub.next(from).what == due::ring);
  sub.sent_through({1}, from);
  does(sub, from, due::live); // tells the epoch
}

TEST_CASE("a reader whose position was of another log is told so first, once") {
  auto from = feed_of(state_of("a", 3, 5));
  subscription sub{epoch{"a"}, seq{0}, reset_reason::epoch};
  auto x = sub.next(from);
  REQUIRE(x.what == due::reset);
  CHECK(x.reason == reset_reason::epoch);
  sub.did(x, from);
  CHECK(sub.at() == seq{0});
  x = sub.next(from);
  CHECK(x.what == due::reset);
  CHECK(x.reason == reset_reason::trimmed);
  CHECK(x.missing_from == seq{1});
  CHECK(x.missing_through == seq{2});
}

TEST_CASE("a page is good, trimmed, stale, of another epoch or damaged") {
  auto verdict = [](const log_state& state, std::vector<entry> held) {
    return check({.state = state, .entries = std::move(held)}, epoch{"a"}, {3}, {5});
  };
  using enum page_verdict;
  CHECK(verdict(state_of("a", 1, 5), entries(3, 5)) == good);
  CHECK(verdict(state_of("a", 3, 7), entries(3, 4)) == good);
  CHECK(verdict(state_of("a", 4, 5), entries(4, 5)) == trimmed);
  CHECK(verdict(state_of("a", 8, 7), {}) == trimmed);
  CHECK(verdict(state_of("a", 1, 4), entries(3, 4)) == stale);
  CHECK(verdict(state_of("b", 1, 5), entries(3, 5)) == other_epoch);
  CHECK(verdict(state_of("b", 1, 4), entries(3, 4)) == other_epoch);
  CHECK(verdict(state_of("a", 1, 5), {}) == damaged);
  CHECK(verdict(state_of("a", 1, 5), entries(4, 5)) == damaged);
  CHECK(verdict(state_of("a", 1, 5), entries(2, 5)) == damaged);
  CHECK(verdict(state_of("a", 4, 5), entries(3, 5)) == damaged);
  auto hole = entries(3, 5);
  hole.erase(hole.begin() + 1);
  CHECK(verdict(state_of("a", 1, 5), hole) == damaged);
}

TEST_CASE("with lost and repeated announcements each entry is sent once or named as missing") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto pick = [&](std::uint64_t n) { return random() % n; };
    feed from{room, {.entries_max = 6}};
    auto known = state_of("a", 1, 0); // the log itself
    announce(from, known);
    auto sub = behind(0);
    std::uint64_t accounted = 0; // sent or named as missing
    auto read = [&](std::uint64_t turns) {
      for (; turns > 0; --turns) {
        auto x = sub.next(from);
        if (x.what == due::wait)
          return;
        if (x.what == due::ring) {
          REQUIRE((*x.entries)->holds({accounted + 1}));
          accounted = (*x.entries)->last().value;
          sub.sent_through({accounted}, from);
        } else if (x.what == due::page) {
          sub.needs_log();
          auto first = std::max(known.first.value, accounted + 1);
          auto last = std::min(known.tail.value, first + pick(4));
          page got{.state = known, .entries = entries(first, last)};
          auto verdict = check(got, sub.epoch(), {accounted + 1}, from.state().tail);
          if (verdict == page_verdict::trimmed) {
            CHECK(first > accounted + 1);
            from.trimmed(known.first);
          } else {
            REQUIRE(verdict == page_verdict::good);
            accounted = last;
            sub.sent_through({last}, from);
          }
        } else if (x.what == due::reset) {
          CHECK(x.reason == reset_reason::trimmed);
          CHECK(x.missing_from.value == accounted + 1);
          CHECK(x.missing_through.value < known.first.value);
          accounted = x.missing_through.value;
          sub.did(x, from);
        } else {
          CHECK(x.what == due::live);
          CHECK(accounted == from.state().tail.value);
          sub.did(x, from);
        }
        CHECK(sub.at().value == accounted);
      }
    };
    for (int i = 0; i < 150; ++i) {
      auto before = known;
      known.tail.value += pick(4);
      if (pick(5) == 0)
        known.first.value += pick(known.tail.value + 2 - known.first.value);
      auto with_entries = pick(3) != 0 && known.tail > before.tail;
      if (pick(4) != 0)
        announce(from, known, with_entries ? before.tail.value + 1 : 0);
      if (pick(4) == 0)
        announce(from, before);
      read(pick(6));
    }
    announce(from, known);
    read(~std::uint64_t{0});
    CHECK(accounted == known.tail.value);
    CHECK(sub.live());
  }
}
