// The witness of the race test must catch what earlier systems got wrong, and soon.
#include "simulation/naive_follower.hpp"

#include <doctest/doctest.h>

using namespace confab;
using test::defect;

namespace {

constexpr std::uint32_t seeds_max = 50;

/// The first seed whose run the witness objects to; 0: none. `why` is what it says.
std::uint32_t caught_at(defect planted, std::string& why) {
  for (std::uint32_t seed = 1; seed <= seeds_max; ++seed) {
    why = test::naive_follower{seed, planted}.run();
    if (!why.empty())
      return seed;
  }
  return 0;
}

void must_be_caught(defect planted, std::string_view with) {
  std::string why;
  auto seed = caught_at(planted, why);
  CHECK(seed > 0);
  INFO("seed ", seed, ": ", why);
  CHECK(why.find(with) != std::string::npos);
  MESSAGE("caught at seed ", seed, ": ", why);
}

} // namespace

TEST_CASE("a naive follower without a mistake satisfies the witness") {
  for (std::uint32_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    auto why = test::naive_follower{seed, defect::none}.run();
    REQUIRE_MESSAGE(why.empty(), why);
  }
}

TEST_CASE("mutant: the page is read before registering") {
  must_be_caught(defect::history_then_subscribe, "entry");
}

TEST_CASE("mutant: announced entries are pushed without checking the position") {
  must_be_caught(defect::subscribe_then_history, "after");
}

TEST_CASE("mutant: the ring ignores holes") {
  must_be_caught(defect::ring_ignores_holes, "after");
}

TEST_CASE("mutant: a full socket moves the position to the tail") {
  must_be_caught(defect::skips_when_full, "after");
}
