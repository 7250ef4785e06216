#include "model/backoff.hpp"

#include <doctest/doctest.h>

using confab::model::backoff;

TEST_CASE("a wait lies between a half and the whole of a step that doubles up to its bound") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    backoff waits{{50, 300}, seed};
    for (std::int64_t step : {50, 100, 200, 300, 300}) {
      auto wait = waits.failed();
      CHECK(wait >= step / 2);
      CHECK(wait <= step);
    }
    waits.succeeded();
    CHECK(waits.failed() <= 50);
  }
}

TEST_CASE("those who failed together do not come back together") {
  backoff one{{1000, 1000}, 1}, other{{1000, 1000}, 2}, same{{1000, 1000}, 1};
  auto wait = one.failed();
  CHECK(wait != other.failed());
  CHECK(wait == same.failed());
}
