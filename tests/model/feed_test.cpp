#include "model/feed.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab::model;

namespace {

const auto room = std::make_shared<const conversation_name>(*conversation_name::parse("room"));

run_ptr run_of(const std::string& of, std::uint64_t first, std::uint64_t last) {
  std::vector<entry> entries;
  for (auto at = first; at <= last; ++at) {
    entry x;
    x.at = {at};
    x.id = {1000, at};
    entries.push_back(std::move(x));
  }
  return std::make_shared<const run>(room, epoch{of}, std::move(entries), nullptr);
}

log_state state_of(const std::string& of, std::uint64_t first, std::uint64_t tail) {
  return {.epoch = {of}, .first = {first}, .tail = {tail}, .tail_id = {1000, tail}};
}

/// A feed of entries 1 to 3, all in its ring.
feed three(ring_limits limits = {}) {
  feed x{room, limits};
  auto first = run_of("a", 1, 2), second = run_of("a", 3, 3);
  x.announced(state_of("a", 1, 3), std::vector{first, second});
  return x;
}

void announce(feed& to, const log_state& state, std::vector<run_ptr> runs = {}) {
  to.announced(state, runs);
}

/// Invariant 1, through the public view: what is found is dense and ends at the tail.
std::uint64_t dense_from(const feed& x) {
  const auto& s = x.state();
  auto from = s.tail.value + 1 - x.ring_entries();
  std::size_t bytes = 0;
  for (auto at = from; at <= s.tail.value; ++at) {
    const auto* held = x.find({at});
    REQUIRE(held != nullptr);
    CHECK((*held)->holds({at}));
    CHECK((*held)->epoch() == s.epoch);
    bytes += weight((*held)->entries()[at - (*held)->first().value]);
  }
  CHECK(bytes == x.ring_bytes());
  CHECK(x.find({s.tail.value + 1}) == nullptr);
  if (from > 0)
    CHECK(x.find({from - 1}) == nullptr);
  return from;
}

} // namespace

TEST_CASE("a new feed knows of no log and no entries") {
  feed x{room, {}};
  CHECK(x.state() == log_state{});
  CHECK(x.ring_entries() == 0);
  CHECK(x.find({1}) == nullptr);
}

TEST_CASE("entries right behind the known tail extend the ring") {
  auto x = three();
  announce(x, state_of("a", 1, 5), {run_of("a", 4, 5)});
  CHECK(dense_from(x) == 1);
  CHECK(x.ring_entries() == 5);
  CHECK(x.state() == state_of("a", 1, 5));
}

TEST_CASE("a state without its entries empties the ring and moves the tail") {
  auto x = three();
  announce(x, state_of("a", 1, 5));
  CHECK(x.ring_entries() == 0);
  CHECK(x.ring_bytes() == 0);
  CHECK(x.state().tail == seq{5});
}

TEST_CASE("entries that end before the announced tail are not kept as the newest") {
  auto x = three();
  announce(x, state_of("a", 1, 6), {run_of("a", 4, 5)});
  CHECK(x.ring_entries() == 0);
  CHECK(x.state().tail == seq{6});
}

TEST_CASE("entries beyond the announced tail do not move it") {
  auto x = three();
  announce(x, state_of("a", 1, 3), {run_of("a", 4, 5)});
  CHECK(x.state().tail == seq{3});
  dense_from(x);
}

TEST_CASE("behind a hole the ring holds nothing of what was before it") {
  auto x = three();
  announce(x, state_of("a", 1, 6), {run_of("a", 5, 6)});
  CHECK(dense_from(x) >= 5);
  CHECK(x.state().tail == seq{6});
}

TEST_CASE("a repeated announcement changes nothing") {
  auto x = three();
  auto before = x.find({3})->get();
  announce(x, state_of("a", 1, 3), {run_of("a", 1, 2), run_of("a", 3, 3)});
  CHECK(dense_from(x) == 1);
  CHECK(x.find({3})->get() == before);
}

TEST_CASE("within an epoch a late state takes back neither tail nor first") {
  auto x = three();
  announce(x, state_of("a", 2, 4), {run_of("a", 4, 4)});
  announce(x, state_of("a", 1, 2), {run_of("a", 1, 2)});
  CHECK(x.state() == state_of("a", 2, 4));
  dense_from(x);
}

TEST_CASE("a closed conversation stays closed within its epoch, and its successor is open") {
  auto x = three();
  auto closed = state_of("a", 1, 3);
  closed.life = lifecycle::closed;
  announce(x, closed);
  announce(x, state_of("a", 1, 3));
  CHECK(x.state().life == lifecycle::closed);
  announce(x, state_of("b", 1, 0));
  CHECK(x.state().life == lifecycle::open);
}

TEST_CASE("a state of another epoch replaces state and ring, also by a shorter log") {
  auto x = three();
  announce(x, state_of("b", 1, 1));
  CHECK(x.state() == state_of("b", 1, 1));
  CHECK(x.ring_entries() == 0);
}

TEST_CASE("entries of another epoch than the state's never enter the ring") {
  auto x = three();
  announce(x, state_of("a", 1, 5), {run_of("b", 4, 5)});
  CHECK(x.ring_entries() == 0);
  announce(x, state_of("b", 1, 5), {run_of("a", 1, 5)});
  CHECK(x.ring_entries() == 0);
}

TEST_CASE("the first entries of a new epoch fill the ring, wherever its log begins") {
  auto x = three();
  announce(x, state_of("b", 7, 9), {run_of("b", 7, 9)});
  CHECK(dense_from(x) == 7);
}

TEST_CASE("the ring forgets its oldest runs beyond either limit") {
  auto x = three({.entries_max = 3});
  announce(x, state_of("a", 1, 4), {run_of("a", 4, 4)});
  CHECK(dense_from(x) == 3);
  auto y = three({.bytes_max = 3 * weight(entry{})});
  announce(y, state_of("a", 1, 4), {run_of("a", 4, 4)});
  CHECK(dense_from(y) == 3);
}

TEST_CASE("a run beyond the limits leaves an empty ring and a known tail") {
  auto x = three({.entries_max = 4});
  announce(x, state_of("a", 1, 8), {run_of("a", 4, 8)});
  CHECK(x.ring_entries() == 0);
  CHECK(x.state().tail == seq{8});
}

TEST_CASE("what retention removed leaves the ring, and first never goes back") {
  auto x = three();
  x.trimmed({3});
  CHECK(x.find({2}) == nullptr);
  CHECK(x.find({3}) != nullptr);
  x.trimmed({2});
  CHECK(x.state().first == seq{3});
  dense_from(x);
}

TEST_CASE("a page begins the ring only where it stays dense, of this epoch and within the limits") {
  feed x{room, {.entries_max = 4}};
  announce(x, state_of("a", 1, 6));
  CHECK_FALSE(x.offer_page(run_of("a", 3, 5)));
  CHECK_FALSE(x.offer_page(run_of("b", 5, 6)));
  CHECK_FALSE(x.offer_page(run_of("a", 2, 6)));
  CHECK(x.offer_page(run_of("a", 5, 6)));
  CHECK_FALSE(x.offer_page(run_of("a", 5, 6)));
  CHECK_FALSE(x.offer_page(run_of("a", 2, 3)));
  CHECK_FALSE(x.offer_page(run_of("a", 2, 4)));
  CHECK(x.offer_page(run_of("a", 3, 4)));
  CHECK(dense_from(x) == 3);
}

TEST_CASE("a dropped ring loses no knowledge of the log, and can grow again") {
  auto x = three();
  x.drop_ring();
  CHECK(x.state() == state_of("a", 1, 3));
  CHECK(x.ring_bytes() == 0);
  announce(x, state_of("a", 1, 4), {run_of("a", 4, 4)});
  CHECK(dense_from(x) == 4);
}

TEST_CASE(
    "whatever is lost, repeated or late, the ring is dense up to the tail and nothing goes back") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto pick = [&](std::uint64_t n) { return random() % n; };
    std::string of = "a";
    std::uint64_t first = 1, tail = 0, kept = 0;
    feed x{room, {.entries_max = 4 + pick(12)}};
    std::vector<std::pair<log_state, std::vector<run_ptr>>> sent;
    log_state most = state_of(of, 1, 0);
    announce(x, most);
    for (int i = 0; i < 200; ++i) {
      auto begin = tail + 1;
      tail += pick(4);
      first = std::max(first, tail > 20 ? tail - 20 + pick(5) : 1);
      std::vector<run_ptr> runs;
      for (auto at = begin; at <= tail;) {
        auto last = std::min(tail, at + pick(3));
        if (pick(5) != 0) // else lost on the way
          runs.push_back(run_of(of, at, last));
        at = last + 1;
      }
      if (!runs.empty() && pick(6) == 0)
        runs.push_back(runs[pick(runs.size())]);
      sent.emplace_back(state_of(of, first, tail), runs);
      // The newest one, or an earlier one of this epoch again.
      const auto& [state, newest] = pick(3) != 0 ? sent.back() : sent[pick(sent.size())];
      x.announced(state, newest);
      most.first = std::max(most.first, state.first);
      if (state.tail >= most.tail) {
        most.tail = state.tail;
        most.tail_id = state.tail_id;
      }
      switch (pick(8)) {
      case 0:
        x.drop_ring();
        break;
      case 1: {
        if (most.tail < most.first)
          break;
        auto last = x.ring_entries() == 0 ? most.tail.value : most.tail.value - x.ring_entries();
        if (last >= most.first.value)
          x.offer_page(run_of(of, std::max(most.first.value, last > 2 ? last - 2 : 1), last));
        break;
      }
      case 2:
        if (pick(10) == 0) {
          of = of == "a" ? "b" : "a";
          first = 1;
          tail = pick(3);
          sent.clear();
          most = state_of(of, 1, tail);
          announce(x, most);
        }
        break;
      default:
        break;
      }
      CHECK(x.state() == most);
      if (x.ring_entries() > 0)
        CHECK(dense_from(x) >= most.first.value);
      kept += x.ring_entries();
    }
    CHECK(kept > 0); // the rings of this run were not all empty
  }
}
