// Log lines that strangers can cause are few, and the others are counted.
#include "actors/quiet_log.hpp"

#include <doctest/doctest.h>

using confab::actors::quiet_log;

TEST_CASE("a quiet log writes five lines in ten seconds and counts the others") {
  quiet_log log;
  int written = 0;
  for (std::int64_t ms = 0; ms < 10'000; ++ms)
    written += log.allows(ms) ? 1 : 0;
  CHECK(written == 5);
  CHECK(log.allows(10'000));
  CHECK(log.left_out() == 9'995);
  CHECK(log.left_out() == 0);
}
