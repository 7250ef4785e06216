#include "model/refusals.hpp"

#include <doctest/doctest.h>

using namespace confab::model;

namespace {

batch numbered(const std::string& producer, std::uint64_t number, std::uint32_t epoch = 0) {
  batch x;
  x.producer = producer;
  x.producer_seq = number;
  x.producer_epoch = epoch;
  return x;
}

const error overloaded{code::overloaded, {}};

} // namespace

TEST_CASE("what was sent behind a refused number is told so until that comes again") {
  refusals x{8};
  CHECK(x.empty());
  x.refused(numbered("p", 4), overloaded);
  x.refused(numbered("p", 5), overloaded);
  CHECK(x.before(numbered("p", 6)) == producer_number{0, 4});
  CHECK_FALSE(x.before(numbered("p", 4)));
  CHECK_FALSE(x.before(numbered("q", 6)));
  x.comes(numbered("p", 3)); // a repeat
  CHECK(x.before(numbered("p", 6)));
  x.comes(numbered("p", 4));
  CHECK(x.before(numbered("p", 6)) == producer_number{0, 5});
  x.comes(numbered("p", 5));
  CHECK(x.empty());
}

TEST_CASE("what was taken is not waited for, what was refused behind it is") {
  refusals x{8};
  x.refused(numbered("p", 4), overloaded);
  x.refused(numbered("p", 6), overloaded);
  x.taken("p", {0, 3});
  CHECK(x.before(numbered("p", 9)) == producer_number{0, 4});
  x.taken("p", {0, 4}); // by another node, it turns out
  CHECK(x.before(numbered("p", 9)) == producer_number{0, 5});
  CHECK_FALSE(x.before(numbered("p", 5)));
  x.taken("p", {0, 7});
  CHECK(x.empty());
}

TEST_CASE("a gap says which number is to come, an old number that none is") {
  refusals x{8};
  x.refused(numbered("p", 9), {code::producer_gap, {}, 7});
  CHECK(x.before(numbered("p", 8)) == producer_number{0, 7});
  x.refused(numbered("q", 9), {code::producer_old, {}});
  x.refused(numbered("q", 9), {code::producer_epoch, {}, 3});
  x.refused(numbered("q", 9), {code::idempotency_mismatch, {}});
  CHECK_FALSE(x.before(numbered("q", 10)));
}

TEST_CASE("of several epochs the highest counts, and a higher one waits for nothing") {
  refusals x{8};
  x.refused(numbered("p", 4, 1), overloaded);
  x.refused(numbered("p", 2), overloaded);
  CHECK(x.before(numbered("p", 5, 1)) == producer_number{1, 4});
  CHECK_FALSE(x.before(numbered("p", 5)));
  CHECK_FALSE(x.before(numbered("p", 5, 2)));
  x.refused(numbered("p", 9, 2), overloaded);
  CHECK(x.before(numbered("p", 10, 2)) == producer_number{2, 9});
  x.comes(numbered("p", 1, 3));
  CHECK(x.empty());
}

TEST_CASE("numbers without an order, and those that begin at 0 anyhow, are not noted") {
  refusals x{8};
  x.refused(numbered("~c", 4), overloaded);
  x.refused(numbered("=key", 1), overloaded);
  auto from_zero = numbered("p", 4);
  from_zero.where.numbering = numbering::from_zero;
  x.refused(from_zero, overloaded);
  CHECK(x.empty());
}

TEST_CASE("beyond its bound the producer that was refused longest ago is forgotten") {
  refusals x{2};
  x.refused(numbered("a", 1), overloaded);
  x.refused(numbered("b", 1), overloaded);
  x.refused(numbered("a", 2), overloaded); // again
  x.refused(numbered("c", 1), overloaded);
  CHECK(x.before(numbered("a", 9)));
  CHECK_FALSE(x.before(numbered("b", 9)));
  CHECK(x.before(numbered("c", 9)));
}
