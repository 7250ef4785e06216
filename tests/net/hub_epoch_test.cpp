// Pages that were read from a log which has been replaced meanwhile.
#include "support/hub_bed.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::test;

TEST_CASE("a page of a deleted log is not sent as one of its successor") {
  hub_bed bed;
  auto old = state_of_log("old", 1, 2);
  auto feed = bed.open(old);
  auto& reader = bed.join();
  bed.follow(reader, feed, old, 0);
  bed.pass();
  REQUIRE(bed.reads.size() == 1);
  // The log is read, then replaced; both are told to the hub before its next pass.
  bed.answer(model::page{.state = old, .entries = entries(1, 2, "\"old\"")});
  bed.announce(feed, state_of_log("new", 1, 3));
  bed.pass();
  while (!bed.reads.empty()) {
    bed.answer(
        model::page{.state = state_of_log("new", 1, 3), .entries = entries(1, 3, "\"new\"")});
    bed.pass();
  }
  CHECK(reader.all() == "reset:epoch e1 e2 e3 live@3");
  CHECK(reader.payloads == std::vector<std::string>(3, "\"new\""));
}

TEST_CASE("what retention did to a deleted log is not done to its successor") {
  hub_bed bed;
  auto old = state_of_log("old", 1, 9);
  auto feed = bed.open(old);
  auto& reader = bed.join();
  bed.follow(reader, feed, old, 0);
  bed.pass();
  REQUIRE(bed.reads.size() == 1);
  bed.answer(model::page{.state = state_of_log("old", 8, 9), .entries = entries(8, 9)});
  bed.announce(feed, state_of_log("new", 1, 3));
  bed.pass();
  while (!bed.reads.empty()) {
    bed.answer(
        model::page{.state = state_of_log("new", 1, 3), .entries = entries(1, 3, "\"new\"")});
    bed.pass();
  }
  CHECK(reader.all() == "reset:epoch e1 e2 e3 live@3");
}

TEST_CASE("a ring does not give what the log has trimmed to a reader that starts before it") {
  hub_bed bed;
  auto state = state_of_log("a", 1, 3);
  auto feed = bed.open(state);
  bed.announce(feed, state, {bed.run("a", entries(1, 3))});
  bed.pass();
  auto& known = bed.join();
  bed.follow(known, feed, state, 1);
  auto& late = bed.join();
  // It resumes at an id that the log does not know any more.
  bed.follow(late, feed, state_of_log("a", 3, 3), 0);
  bed.pass();
  REQUIRE(bed.reads.size() == 1);
  bed.answer(model::page{.state = state_of_log("a", 3, 3), .entries = entries(3, 3)});
  bed.pass();
  CHECK(late.all() == "reset:trimmed[1,2] e3 live@3");
  CHECK(known.all() == "reset:trimmed[2,2] e3 live@3");
}
