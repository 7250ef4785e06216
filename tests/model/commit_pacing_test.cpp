#include "model/commit_pacing.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace confab::model;

namespace {

/// A publisher who waits for each receipt. @returns the waits of so many commits.
std::vector<std::int64_t> alone(commit_pacing& x, int commits) {
  std::vector<std::int64_t> waits;
  for (int i = 0; i < commits; ++i) {
    waits.push_back(x.begin(1));
    if (waits.back() > 0)
      CHECK(x.go_on(1) == 0);
    x.committed(1);
  }
  return waits;
}

/// Five drafts come together, the first one a moment before the rest. @returns the sizes of the
/// commits.
std::vector<std::size_t> burst_of_five(commit_pacing& x) {
  if (x.begin(1) == 0) {
    x.committed(1);
    if (x.begin(1) > 0)
      CHECK(x.go_on(4) >= 0);
    x.committed(4);
    return {1, 4};
  }
  while (x.go_on(5) > 0)
    ;
  x.committed(5);
  return {5};
}

} // namespace

TEST_CASE("a lone publisher never waits but for probes, which are one commit in so many") {
  commit_pacing x{800};
  auto waits = alone(x, 1000);
  std::size_t probes = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if (waits[i] == 0)
      continue;
    CHECK(waits[i] == 800 / commit_pacing::slices);
    if (probes++ > 0)
      CHECK(i - last == commit_pacing::probe_interval);
    last = i;
  }
  CHECK(probes == 1000 / commit_pacing::probe_interval);
}

TEST_CASE("two publishers who take turns do not wait either") {
  commit_pacing x{800};
  std::size_t waits = 0;
  for (int i = 0; i < 640; ++i) {
    waits += x.begin(1) > 0 ? 1 : 0;
    x.committed(1 + static_cast<std::size_t>(i) % 2);
  }
  CHECK(waits == 10);
}

TEST_CASE("bursts of five soon become one commit each, and stay so") {
  commit_pacing x{800};
  for (int i = 0; i < 8; ++i)
    burst_of_five(x);
  for (int i = 0; i < 1000; ++i)
    CHECK(burst_of_five(x) == std::vector<std::size_t>{5});
}

TEST_CASE("once the bursts are over, the waits end too") {
  commit_pacing x{800};
  for (int i = 0; i < 100; ++i)
    burst_of_five(x);
  alone(x, 30);
  std::size_t waits = 0;
  for (auto us : alone(x, 64))
    waits += us > 0 ? 1 : 0;
  CHECK(waits == 1);
}

TEST_CASE("a wait ends in silence, also one that begins behind a long wait") {
  commit_pacing x{100 * commit_pacing::slices};
  for (int i = 0; i < 20; ++i)
    x.committed(10);
  CHECK(x.begin(1) == 100);
  CHECK(x.go_on(1) == 0);
  CHECK(x.begin(1) == 100);
  CHECK(x.go_on(2) == 100);
  CHECK(x.go_on(3) == 100);
  CHECK(x.go_on(3) == 0);
}

TEST_CASE("a wait ends at gather_us, however many come") {
  for (std::int64_t gather_us : {1, 7, 8, 9, 100, 2000}) {
    CAPTURE(gather_us);
    commit_pacing x{gather_us};
    for (int i = 0; i < 20; ++i)
      x.committed(10);
    auto slice = x.begin(1);
    CHECK(slice > 0);
    auto waited = slice;
    std::size_t queued = 1;
    while (auto more = x.go_on(++queued)) {
      waited += more;
      REQUIRE(queued <= static_cast<std::size_t>(commit_pacing::slices));
    }
    CHECK(waited >= gather_us);
    CHECK(waited < gather_us + slice); // slices are rounded up
  }
}

TEST_CASE("a wait ends with enough drafts") {
  commit_pacing x{800};
  for (int i = 0; i < 20; ++i)
    x.committed(10);
  CHECK(x.begin(1) > 0);
  CHECK(x.go_on(commit_pacing::drafts_max - 1) > 0);
  CHECK(x.go_on(commit_pacing::drafts_max) == 0);
}

TEST_CASE("without a gathering time nobody waits") {
  commit_pacing x{0};
  for (int i = 0; i < 300; ++i) {
    CHECK(x.begin(1) == 0);
    x.committed(10);
  }
}

TEST_CASE("what has come while the last commit ran does not wait when it is enough") {
  commit_pacing x{1000};
  x.committed(64);
  CHECK(x.begin(1) > 0);
  CHECK(x.begin(commit_pacing::drafts_max) == 0);
}
