#include "model/producers.hpp"

#include <doctest/doctest.h>

using namespace confab::model;
using said = producer_verdict::kind;

namespace {

batch numbered(const std::string& producer, std::uint64_t number, std::uint32_t epoch = 0,
               std::uint64_t fingerprint = 0) {
  batch x;
  x.producer = producer;
  x.producer_seq = number;
  x.producer_epoch = epoch;
  x.fingerprint = fingerprint;
  return x;
}

receipt at(std::uint64_t first) {
  return {.first = {first}, .id = {1000, first}};
}

const error unread{code::read_failed, "the log is away"};

struct bed {
  producers all;

  said check(const batch& x) { return all.check(x).what; }
  /// The table has nothing of a producer, and it starts.
  void introduce(const batch& x) {
    REQUIRE(check(x) == said::unknown);
    all.started(x);
  }
  void append(const batch& x, std::uint64_t first) {
    all.started(x);
    all.committed(x.producer, x.producer_epoch, x.producer_seq, at(first));
  }
  void append_all(const std::string& producer, std::uint64_t from, std::uint64_t through) {
    for (auto i = from; i <= through; ++i)
      append(numbered(producer, i), i);
  }
};

} // namespace

TEST_CASE("an unknown producer is looked up, and may start at any number") {
  for (std::uint64_t number : {0ull, 1ull, 77ull, 1ull << 52}) {
    CAPTURE(number);
    bed x;
    x.introduce(numbered("p", number));
    CHECK(x.check(numbered("p", number + 1)) == said::accept);
  }
}

TEST_CASE("behind its first number each is the last one plus one") {
  bed x;
  x.introduce(numbered("p", 5));
  auto gap = x.all.check(numbered("p", 7));
  CHECK(gap.what == said::gap);
  CHECK(gap.expected == 6);
  x.all.committed("p", 0, 5, at(1));
  gap = x.all.check(numbered("p", 7));
  CHECK(gap.what == said::gap);
  CHECK(gap.expected == 6);
  CHECK(x.check(numbered("p", 6)) == said::accept);
}

TEST_CASE("a repeat gets the first receipt, marked as a duplicate") {
  bed x;
  x.append_all("p", 1, 3);
  auto again = x.all.check(numbered("p", 2));
  CHECK(again.what == said::duplicate);
  CHECK(again.receipt.first == seq{2});
  CHECK(again.receipt.duplicate);
}

TEST_CASE("a repeat of what is in flight waits for its outcome") {
  bed x;
  x.introduce(numbered("p", 1));
  x.all.started(numbered("p", 2));
  CHECK(x.check(numbered("p", 1)) == said::in_flight);
  CHECK(x.check(numbered("p", 2)) == said::in_flight);
  x.all.committed("p", 0, 1, at(1));
  CHECK(x.check(numbered("p", 1)) == said::duplicate);
  CHECK(x.check(numbered("p", 2)) == said::in_flight);
}

TEST_CASE("a repeat whose receipt was forgotten is known to be older") {
  bed x;
  x.append_all("p", 1, producers::receipts_max + 1);
  CHECK(x.check(numbered("p", 1)) == said::older);
  CHECK(x.check(numbered("p", 2)) == said::duplicate);
}

TEST_CASE("a number below the first one was never a gap") {
  bed x;
  x.append_all("p", 5, 5);
  CHECK(x.check(numbered("p", 4)) == said::older);
}

TEST_CASE("a refused number is not used up, and takes those behind it along") {
  bed x;
  x.append_all("p", 1, 1);
  for (std::uint64_t i : {2, 3, 4})
    x.all.started(numbered("p", i));
  x.all.failed("p", 0, 3);
  CHECK(x.check(numbered("p", 2)) == said::in_flight);
  CHECK(x.check(numbered("p", 4)) == said::gap);
  CHECK(x.check(numbered("p", 3)) == said::accept);
}

TEST_CASE("if the first number was refused, those that were sent behind it are a gap") {
  bed x;
  x.introduce(numbered("p", 5));
  x.all.started(numbered("p", 6));
  x.all.failed("p", 0, 5);
  x.all.refused(numbered("p", 5), {code::store_failed, {}});
  auto gap = x.all.check(numbered("p", 6));
  CHECK(gap.what == said::gap);
  CHECK(gap.expected == 5);
  CHECK(x.check(numbered("p", 5)) == said::accept);
}

TEST_CASE("a failure that is reported twice or of an unknown number changes nothing") {
  bed x;
  x.append_all("p", 1, 1);
  x.all.started(numbered("p", 2));
  x.all.failed("p", 0, 9);
  CHECK(x.check(numbered("p", 2)) == said::in_flight);
  x.all.failed("p", 0, 2);
  x.all.failed("p", 0, 2);
  CHECK(x.check(numbered("p", 2)) == said::accept);
}

TEST_CASE("whose track was lost is unknown until it is learned, the others are not") {
  bed x;
  x.append_all("p", 1, 2);
  x.append_all("q", 1, 2);
  x.all.started(numbered("p", 3));
  x.all.lose_track();
  for (std::uint64_t i : {1, 2, 3, 4})
    CHECK(x.check(numbered("p", i)) == said::unknown);
  CHECK(x.check(numbered("q", 3)) == said::accept);

  SUBCASE("and it was appended") {
    x.all.learned("p", 0, 3, at(9), 0);
    auto again = x.all.check(numbered("p", 3));
    CHECK(again.what == said::duplicate);
    CHECK(again.receipt.first == seq{9});
    CHECK(x.check(numbered("p", 4)) == said::accept);
    CHECK(x.check(numbered("p", 2)) == said::older);
  }
  SUBCASE("and it was not") {
    x.all.learned("p", 0, 2, at(2), 0);
    CHECK(x.check(numbered("p", 3)) == said::accept);
    CHECK(x.check(numbered("p", 4)) == said::gap);
  }
}

TEST_CASE("a first number that was lost and not appended is the one that would be taken") {
  bed x;
  x.introduce(numbered("p", 5));
  x.all.started(numbered("p", 6));
  x.all.lose_track();
  x.all.refused(numbered("p", 5), {code::append_unknown, {}});
  x.all.learned("p", 0, std::nullopt, {}, 0);
  auto gap = x.all.check(numbered("p", 6));
  CHECK(gap.what == said::gap);
  CHECK(gap.expected == 5);
  CHECK(x.check(numbered("p", 5)) == said::accept);
}

TEST_CASE("a higher epoch fences the lower ones and starts at any number") {
  bed x;
  x.append_all("p", 1, 3);
  CHECK(x.check(numbered("p", 40, 2)) == said::accept);
  x.all.started(numbered("p", 40, 2));
  auto fenced = x.all.check(numbered("p", 4, 1));
  CHECK(fenced.what == said::fenced);
  CHECK(fenced.expected == 2);
  CHECK(x.check(numbered("p", 4)) == said::fenced);
  CHECK(x.check(numbered("p", 41, 2)) == said::accept);
  CHECK(x.check(numbered("p", 3, 2)) == said::older);
}

TEST_CASE("an outcome of a fenced epoch is of no further use") {
  bed x;
  x.introduce(numbered("p", 1));
  x.all.started(numbered("p", 1, 1));
  x.all.committed("p", 0, 1, at(1));
  CHECK(x.check(numbered("p", 1, 1)) == said::in_flight);
  x.all.failed("p", 0, 1);
  CHECK(x.check(numbered("p", 1, 1)) == said::in_flight);
  x.all.committed("p", 1, 1, at(2));
  CHECK(x.all.check(numbered("p", 1, 1)).receipt.first == seq{2});
}

TEST_CASE("an idempotency key with another body is a mismatch, unless the first one was refused") {
  bed x;
  x.introduce(numbered("=key", 1, 0, 111));
  CHECK(x.check(numbered("=key", 1, 0, 222)) == said::mismatch);
  CHECK(x.check(numbered("=key", 1, 0, 111)) == said::in_flight);
  SUBCASE("appended") {
    x.all.committed("=key", 0, 1, at(1));
    CHECK(x.check(numbered("=key", 1, 0, 222)) == said::mismatch);
    CHECK(x.check(numbered("=key", 1, 0, 111)) == said::duplicate);
  }
  SUBCASE("refused") {
    x.all.failed("=key", 0, 1);
    CHECK(x.check(numbered("=key", 1, 0, 222)) == said::accept);
  }
  SUBCASE("learned") {
    x.all.lose_track();
    x.all.learned("=key", 0, 1, at(1), 111);
    CHECK(x.check(numbered("=key", 1, 0, 222)) == said::mismatch);
    CHECK(x.check(numbered("=key", 1, 0, 111)) == said::duplicate);
  }
}

TEST_CASE("internal numbers may leave some out, and the refusal of one takes no other along") {
  bed x;
  x.introduce(numbered("~c", 3));
  CHECK(x.check(numbered("~c", 9)) == said::accept);
  x.all.started(numbered("~c", 9));
  x.all.started(numbered("~c", 12));
  x.all.failed("~c", 0, 9);
  CHECK(x.check(numbered("~c", 12)) == said::in_flight);
  x.all.committed("~c", 0, 3, at(1));
  x.all.committed("~c", 0, 12, at(2));
  CHECK(x.check(numbered("~c", 12)) == said::duplicate);
  CHECK(x.check(numbered("~c", 9)) == said::older); // perhaps: the log knows
}

TEST_CASE("internal numbers that overtake each other keep their receipts and the highest last") {
  bed x;
  x.introduce(numbered("~c", 5));
  x.all.started(numbered("~c", 4)); // the log said that it was not appended
  x.all.committed("~c", 0, 5, at(1));
  x.all.committed("~c", 0, 4, at(2));
  CHECK(x.all.check(numbered("~c", 5)).receipt.first == seq{1});
  CHECK(x.all.check(numbered("~c", 4)).receipt.first == seq{2});
  CHECK(x.check(numbered("~c", 6)) == said::accept);
  CHECK(x.check(numbered("~c", 3)) == said::older);
}

TEST_CASE("beyond the bound the least recently used producer is forgotten") {
  bed x;
  auto name = [](std::size_t i) { return "p" + std::to_string(i); };
  for (std::size_t i = 0; i < producers::producers_max; ++i)
    x.append_all(name(i), 1, 1);
  CHECK(x.check(numbered(name(0), 1)) == said::duplicate); // used again
  x.append_all("new", 1, 1);
  CHECK(x.all.size() == producers::producers_max);
  CHECK(x.check(numbered(name(0), 1)) == said::duplicate);
  CHECK(x.check(numbered(name(1), 1)) == said::unknown);
  CHECK(x.check(numbered("new", 1)) == said::duplicate);
}

TEST_CASE("a producer with something in flight is not forgotten") {
  bed x;
  x.introduce(numbered("busy", 1));
  for (std::size_t i = 0; i < 2 * producers::producers_max; ++i)
    x.append_all("p" + std::to_string(i), 1, 1);
  CHECK(x.all.size() <= producers::producers_max);
  CHECK(x.check(numbered("busy", 1)) == said::in_flight);
  x.all.committed("busy", 0, 1, at(1));
  for (std::size_t i = 0; i < producers::producers_max; ++i)
    x.append_all("q" + std::to_string(i), 1, 1);
  CHECK(x.check(numbered("busy", 1)) == said::unknown);
}

TEST_CASE("what was sent behind a number that was refused unread is a gap") {
  producers testee;
  CHECK(testee.check(numbered("p", 1)).what == said::unknown);
  // The stored table cannot be read.
  testee.refused(numbered("p", 1), unread);
  testee.refused(numbered("p", 2), unread);
  CHECK(testee.check(numbered("p", 2)).what == said::unknown);
  testee.learned("p", 0, std::nullopt, {}, 0);
  auto second = testee.check(numbered("p", 2));
  CHECK(second.what == said::gap);
  CHECK(second.expected == 1);
  CHECK(testee.check(numbered("p", 1)).what == said::accept);
}

TEST_CASE("whatever a beginning is refused for, it is still to come") {
  for (auto why : {code::overloaded, code::closed, code::content_type, code::append_unknown}) {
    CAPTURE(to_string(why));
    producers testee;
    testee.learned("p", 0, std::nullopt, {}, 0);
    CHECK(testee.check(numbered("p", 4)).what == said::accept);
    testee.refused(numbered("p", 4), {why, {}});
    CHECK(testee.check(numbered("p", 5)).what == said::gap);
    CHECK(testee.check(numbered("p", 4)).what == said::accept);
  }
}

TEST_CASE("the beginning of a higher epoch is waited for, too, and its predecessor is not") {
  bed x;
  x.append_all("p", 1, 3);
  x.all.refused(numbered("p", 20, 1), {code::overloaded, {}});
  auto behind = x.all.check(numbered("p", 21, 1));
  CHECK(behind.what == said::gap);
  CHECK(behind.expected == 20);
  CHECK(x.check(numbered("p", 4)) == said::accept);
  CHECK(x.check(numbered("p", 21, 2)) == said::accept);
  CHECK(x.check(numbered("p", 20, 1)) == said::accept);
  x.append(numbered("p", 20, 1), 9);
  CHECK(x.check(numbered("p", 21, 1)) == said::accept);
  x.all.refused(numbered("p", 4), {code::overloaded, {}});
  x.append(numbered("p", 1, 2), 10);
  CHECK(x.check(numbered("p", 2, 2)) == said::accept);
}

TEST_CASE("what was refused is waited for in a log that was begun anew, what was taken is not") {
  bed x;
  x.append_all("p", 1, 2);
  x.append_all("q", 1, 2);
  x.all.refused(numbered("p", 3), {code::closed, {}});
  x.all.refused(numbered("q", 3), {code::overloaded, {}});
  x.append(numbered("q", 3), 3);
  x.all.begin_anew();
  CHECK(x.all.size() == 0);
  CHECK(x.check(numbered("q", 4)) == said::unknown);
  CHECK(x.check(numbered("p", 4)) == said::unknown);
  x.all.learned("p", 0, std::nullopt, {}, 0);
  auto behind = x.all.check(numbered("p", 4));
  CHECK(behind.what == said::gap);
  CHECK(behind.expected == 3);
  CHECK(x.check(numbered("p", 3)) == said::accept);
}

TEST_CASE("what the stored row holds is not waited for") {
  producers testee;
  testee.refused(numbered("p", 3), unread);
  testee.learned("p", 0, 4, at(4), 0);
  CHECK(testee.check(numbered("p", 5)).what == said::accept);
  CHECK_FALSE(testee.awaited(numbered("p", 9)));
}

TEST_CASE("a draft whose producer is judged elsewhere waits for the one that was refused here") {
  producers testee;
  CHECK_FALSE(testee.awaited(numbered("p", 3)));
  testee.refused(numbered("p", 3), unread);
  CHECK(testee.awaited(numbered("p", 4)) == producer_number{0, 3});
  testee.comes(numbered("p", 2)); // a repeat
  CHECK(testee.awaited(numbered("p", 4)));
  testee.comes(numbered("p", 3));
  CHECK_FALSE(testee.awaited(numbered("p", 4)));
  testee.await("p", {0, 3}); // so somebody else says
  CHECK(testee.awaited(numbered("p", 4)));
  testee.learned("p", 0, 3, at(1), 0);
  CHECK_FALSE(testee.awaited(numbered("p", 4)));
  testee.await("p", {0, 3});
  CHECK_FALSE(testee.awaited(numbered("p", 4)));
}
