// What a stream's state says about the entries behind the last copied one.
#include "model/copying.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <random>

using namespace confab::model;
using kind = continuation::kind;

TEST_CASE("a stream that still holds the last copied entry goes on whole") {
  CHECK(continue_behind({5, {50, 0}}, {.added = 9, .behind = 4, .holds_last = true}) ==
        continuation{});
}

TEST_CASE("entries that were trimmed before they were copied are counted") {
  // 5 of 20 copied; 6 to 17 are gone.
  stream_facts now{.added = 20, .behind = 3, .first = {180, 0}, .last_generated = {200, 0}};
  CHECK(continue_behind({5, {50, 0}}, now) == continuation{kind::trimmed, 12});
  // A stream of one entry, whose every XADD trims the one before: nothing is missing.
  now = {.added = 6, .behind = 1, .first = {60, 0}, .last_generated = {60, 0}};
  CHECK(continue_behind({5, {50, 0}}, now) == continuation{});
  // Its beginning was trimmed before anybody looked.
  now = {.added = 20, .behind = 3, .first = {180, 0}, .last_generated = {200, 0}};
  CHECK(continue_behind({}, now) == continuation{kind::trimmed, 17});
}

TEST_CASE("a stream that was deleted and filled again to the same length is another one") {
  stream_facts now{.added = 5, .behind = 5, .first = {60, 0}, .last_generated = {64, 0}};
  CHECK(continue_behind({5, {50, 0}}, now).what == kind::lost);
}

TEST_CASE("a stream that holds the last copied id nearer to its beginning is another one") {
  // Deleted and filled again within the millisecond of the last copied entry.
  stream_facts now{.added = 5, .behind = 4, .holds_last = true, .first = {50, 0}};
  CHECK(continue_behind({5, {50, 0}}, now).what == kind::lost);
  // XDEL behind the last copied one leaves it where it was.
  now = {.added = 9, .behind = 2, .holds_last = true, .first = {10, 0}, .deleted = {60, 0}};
  CHECK(continue_behind({5, {50, 0}}, now) == continuation{});
}

TEST_CASE("an older state of a stream is recognised, whether it has gone on or not") {
  stream_facts older{.added = 3, .behind = 0, .first = {10, 0}, .last_generated = {30, 0}};
  CHECK(continue_behind({5, {50, 0}}, older).what == kind::lost);
  // Three new ones behind what the replica had: as many as before, beyond the last copied id.
  stream_facts on{.added = 6, .behind = 3, .first = {10, 0}, .last_generated = {63, 0}};
  CHECK(continue_behind({5, {50, 0}}, on).what == kind::lost);
  stream_facts more{.added = 9, .behind = 4, .first = {10, 0}, .last_generated = {64, 0}};
  CHECK(continue_behind({5, {50, 0}}, more).what == kind::lost);
}

TEST_CASE("the last copied entry may be removed by XDEL without making it another stream") {
  stream_facts now{
      .added = 6, .behind = 1, .first = {10, 0}, .last_generated = {60, 0}, .deleted = {50, 0}};
  CHECK(continue_behind({5, {50, 0}}, now) == continuation{});
}

TEST_CASE("counts that were set by hand do no harm") {
  stream_facts now{.added = 0, .behind = 7, .first = {60, 0}, .last_generated = {66, 0}};
  CHECK(continue_behind({}, now) == continuation{});
  CHECK(continue_behind({5, {50, 0}}, now).what == kind::lost);
  CHECK(place_before(now) == 0);
}

TEST_CASE("whatever is added and trimmed, each entry is copied or counted as missing") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    std::deque<std::uint64_t> stream;
    std::uint64_t added = 0;
    stream_place last;
    std::uint64_t accounted = 0;
    for (int step = 0; step < 60; ++step) {
      auto what = random() % 4;
      if (what < 2)
        stream.push_back(++added * 10);
      else if (what == 2 && !stream.empty())
        stream.erase(stream.begin(), stream.begin() + static_cast<long>(random() % stream.size()));
      else {
        stream_facts now{.added = added, .last_generated = {added * 10, 0}};
        if (!stream.empty())
          now.first = {stream.front(), 0};
        for (auto id : stream) {
          now.behind += id > last.id.ms ? 1 : 0;
          now.holds_last = now.holds_last || id == last.id.ms;
        }
        auto next = continue_behind(last, now);
        REQUIRE(next.what != kind::lost);
        accounted += next.missing;
        // All were trimmed: what comes next is behind the last one.
        if (now.behind == 0 && next.missing > 0)
          last = {added, now.last_generated};
        for (auto id : stream)
          if (id > last.id.ms) {
            ++accounted;
            last = {id / 10, {id, 0}};
          }
        CHECK(accounted == last.place);
      }
    }
  }
}

TEST_CASE("what a look shows is copied from right behind the last handled entry, at its place") {
  stream_facts now{.added = 9, .behind = 4, .holds_last = true, .first = {10, 0}};
  auto step = next_step({.stored = stream_place{5, {50, 0}}, .at = {5, {50, 0}}}, now, true, false);
  CHECK_FALSE(step.begins_anew);
  CHECK_FALSE(step.gap);
  CHECK(step.at == stream_place{5, {50, 0}});
}

TEST_CASE("a gap stands where entries were trimmed, and the next one has its own place") {
  copy_progress known{.stored = stream_place{5, {50, 0}}, .at = {5, {50, 0}}};
  stream_facts now{.added = 20, .behind = 3, .first = {180, 0}, .last_generated = {200, 0}};
  auto step = next_step(known, now, true, false);
  REQUIRE(step.gap);
  CHECK(step.gap->payload == R"({"missing":12,"reason":"trimmed","after":"50-0"})");
  CHECK(step.at == stream_place{17, {50, 0}});
  // All of them are gone: it goes on at the stream's end.
  now = {.added = 20, .behind = 0, .first = {}, .last_generated = {200, 0}};
  step = next_step(known, now, false, false);
  REQUIRE(step.gap);
  CHECK(step.gap->payload == R"({"missing":15,"reason":"trimmed","after":"50-0"})");
  CHECK(step.at == stream_place{20, {200, 0}});
}

TEST_CASE("of a stream that is met for the first time, only what was wanted of it can be missing") {
  copy_progress met{.stored = std::nullopt, .at = {0, {99, 0}}};
  // Older entries are still there: nothing since then was trimmed.
  stream_facts now{.added = 9, .behind = 2, .first = {90, 0}, .last_generated = {101, 0}};
  auto step = next_step(met, now, true, false);
  CHECK_FALSE(step.gap);
  CHECK(step.at == stream_place{7, {99, 0}});
  // The first one came later, so some may have been trimmed, and nobody knows how many.
  now.first = {100, 0};
  step = next_step(met, now, true, false);
  REQUIRE(step.gap);
  CHECK(step.gap->payload == R"({"missing":null,"reason":"trimmed"})");
  // All of it is wanted.
  step = next_step({.stored = std::nullopt, .at = {}}, now, true, true);
  REQUIRE(step.gap);
  CHECK(step.gap->payload == R"({"missing":7,"reason":"trimmed"})");
}

TEST_CASE("another stream is read from its beginning, behind the gap of a loss") {
  copy_progress known{.stored = stream_place{5, {50, 0}}, .at = {5, {50, 0}}};
  stream_facts now{.added = 2, .behind = 2, .first = {60, 0}, .last_generated = {61, 0}};
  CHECK(next_step(known, now, true, false).begins_anew);
  known.at = {};
  known.restarts = true;
  auto step = next_step(known, now, true, false);
  CHECK_FALSE(step.begins_anew);
  REQUIRE(step.gap);
  CHECK(step.gap->payload == R"({"missing":null,"reason":"lost","after":"50-0"})");
  CHECK(step.at == stream_place{0, {}});
  // While it is owed, a look that shows nothing more ends at the stream's end.
  known.restarts = false;
  known.owes_gap = true;
  known.at = {2, {61, 0}};
  now = {.added = 2, .behind = 0, .holds_last = true, .last_generated = {61, 0}};
  step = next_step(known, now, false, false);
  CHECK_FALSE(step.gap);
  CHECK(step.at == stream_place{2, {61, 0}});
}

TEST_CASE("a gap says how many are missing, behind which id, and why") {
  auto trimmed = gap_draft(gap_reason::trimmed, 12, {50, 1});
  CHECK(trimmed.kind == "gap");
  CHECK(trimmed.payload == R"({"missing":12,"reason":"trimmed","after":"50-1"})");
  CHECK(gap_draft(gap_reason::lost, std::nullopt, {50, 1}).payload ==
        R"({"missing":null,"reason":"lost","after":"50-1"})");
  CHECK(gap_draft(gap_reason::too_large, 1, {}).payload == R"({"missing":1,"reason":"too_large"})");
}
