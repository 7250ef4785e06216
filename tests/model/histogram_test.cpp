#include "model/histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

using namespace confab::model;

namespace {

/// Times as they occur: mostly short, a long tail.
std::int64_t any_time(std::mt19937_64& random) {
  std::lognormal_distribution<double> times{13, 3};
  return static_cast<std::int64_t>(std::min(times(random), 4e12));
}

/// The smallest recorded value at or below which `percent` of them lie.
std::int64_t exact(const std::vector<std::int64_t>& sorted, double percent) {
  auto wanted = std::max(1.0, std::ceil(percent / 100 * static_cast<double>(sorted.size()) - 1e-6));
  return sorted[static_cast<std::size_t>(wanted) - 1];
}

} // namespace

TEST_CASE("a percentile is never below the exact one, and at most 1/1024 above") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    histogram x;
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < 1 + seed * 500; ++i) {
      all.push_back(any_time(random));
      x.record(all.back());
    }
    std::sort(all.begin(), all.end());
    for (double percent : {0.0, 1.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
      CAPTURE(percent);
      auto want = exact(all, percent);
      auto got = x.percentile(percent);
      CHECK(got >= want);
      CHECK(got <= want + want / 1024);
    }
    CHECK(x.min() == all.front());
    CHECK(x.max() == all.back());
    CHECK(x.count() == all.size());
    double sum = 0;
    for (auto value : all)
      sum += static_cast<double>(value);
    CHECK(x.mean() == doctest::Approx(sum / static_cast<double>(all.size())));
  }
}

TEST_CASE("half of two values are one of them: percentiles do not slip by rounding") {
  histogram x;
  for (std::int64_t value = 1; value <= 1000; ++value)
    x.record(value);
  CHECK(x.percentile(50) == 500);
  CHECK(x.percentile(99.9) == 999);
  CHECK(x.percentile(99.91) == 1000);
  CHECK(x.percentile(0.1) == 1);
  CHECK(x.percentile(0.11) == 2);
}

TEST_CASE("merged histograms are what one would have recorded") {
  std::mt19937_64 random{3};
  histogram one, left, right;
  for (int i = 0; i < 10'000; ++i) {
    auto value = any_time(random);
    one.record(value);
    (i % 3 == 0 ? left : right).record(value);
  }
  left.merge(right);
  left.merge(histogram{});
  CHECK(left.count() == one.count());
  CHECK(left.min() == one.min());
  CHECK(left.max() == one.max());
  CHECK(left.mean() == doctest::Approx(one.mean()));
  for (double percent = 0; percent <= 100; percent += 0.25)
    CHECK(left.percentile(percent) == one.percentile(percent));
  histogram empty;
  empty.merge(one);
  CHECK(empty.min() == one.min());
}

TEST_CASE("buckets follow each other without overlap, each holds what it says, and none is coarser "
          "than 1/1024") {
  histogram x;
  std::vector<std::int64_t> values;
  for (int power = 0; power < 42; ++power)
    for (std::int64_t off : {-1, 0, 1})
      values.push_back((std::int64_t{1} << power) + off);
  values.push_back(histogram::value_max);
  for (auto value : values)
    x.record(value);
  std::int64_t through = -1;
  std::uint64_t count = 0;
  x.each([&](const histogram::bucket& b) {
    CHECK(b.from > through);
    CHECK(b.through >= b.from);
    CHECK((b.through - b.from) * 1024 <= b.from);
    auto inside = std::count_if(values.begin(), values.end(), [&](std::int64_t value) {
      return b.from <= value && value <= b.through;
    });
    CHECK(b.count == static_cast<std::uint64_t>(inside));
    through = b.through;
    count += b.count;
  });
  CHECK(count == values.size());
  CHECK(through == histogram::value_max);
}

TEST_CASE("values outside of the range are counted at its ends, and the largest is known") {
  histogram x;
  x.record(-5);
  x.record(histogram::value_max * 4, 3);
  x.record(1, 0);
  CHECK(x.count() == 4);
  CHECK(x.min() == 0);
  CHECK(x.max() == histogram::value_max * 4);
  CHECK(x.percentile(25) == 0);
  CHECK(x.percentile(50) == histogram::value_max * 4);
}

TEST_CASE("a histogram without values answers with zeros, also after it was cleared") {
  histogram x;
  x.record(17);
  x.clear();
  CHECK(x.count() == 0);
  CHECK(x.min() == 0);
  CHECK(x.max() == 0);
  CHECK(x.mean() == 0);
  CHECK(x.percentile(99) == 0);
  x.each([](const histogram::bucket&) { FAIL("a bucket of nothing"); });
}
