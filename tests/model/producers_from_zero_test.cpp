#include "model/producers.hpp"

#include <doctest/doctest.h>

using namespace confab::model;
using said = producer_verdict::kind;

namespace {

batch numbered(std::uint32_t epoch, std::uint64_t number) {
  batch x;
  x.producer = "p";
  x.producer_epoch = epoch;
  x.producer_seq = number;
  x.where.numbering = numbering::from_zero;
  return x;
}

/// A number that was accepted becomes durable.
void take(producers& all, std::uint32_t epoch, std::uint64_t number) {
  auto x = numbered(epoch, number);
  REQUIRE(all.check(x).what == said::accept);
  all.started(x);
  all.committed("p", epoch, number, {.first = {number + 1}, .count = 1, .id = {1, number}});
}

producers nobody_yet() {
  producers all;
  all.learned("p", 0, std::nullopt, {}, 0);
  return all;
}

} // namespace

TEST_CASE(
    "from zero: an unknown producer starts with 0 in any epoch, and everything else is a gap") {
  auto all = nobody_yet();
  for (auto epoch : {0U, 3U}) {
    auto late = all.check(numbered(epoch, 2));
    CHECK(late.what == said::gap);
    CHECK(late.expected == 0);
    CHECK(all.check(numbered(epoch, 0)).what == said::accept);
  }
  CHECK_FALSE(all.last_of("p"));
}

TEST_CASE("from zero: a new epoch begins with 0, else it is no beginning; an old one is fenced") {
  auto all = nobody_yet();
  take(all, 1, 0);
  take(all, 1, 1);
  CHECK(all.last_of("p") == 1U);
  CHECK(all.check(numbered(2, 5)).what == said::bad_start);
  auto old = all.check(numbered(0, 0));
  CHECK(old.what == said::fenced);
  CHECK(old.expected == 1);
  take(all, 2, 0);
  CHECK(all.check(numbered(1, 2)).what == said::fenced);
  CHECK(all.last_of("p") == 0U);
}

TEST_CASE("from zero: a repeat is a duplicate, a gap names the next number") {
  auto all = nobody_yet();
  for (std::uint64_t number : {0, 1, 2})
    take(all, 0, number);
  CHECK(all.check(numbered(0, 1)).what == said::duplicate);
  CHECK(all.last_of("p") == 2U);
  auto gap = all.check(numbered(0, 4));
  CHECK(gap.what == said::gap);
  CHECK(gap.expected == 3);
}

TEST_CASE("from zero: a first number that failed is still to come") {
  auto all = nobody_yet();
  auto first = numbered(0, 0);
  all.started(first);
  all.failed("p", 0, 0);
  CHECK(all.check(numbered(0, 1)).what == said::gap);
  CHECK(all.check(first).what == said::accept);
}
