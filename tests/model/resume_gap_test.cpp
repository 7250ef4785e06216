// A resume by an id whose successors retention has removed.
#include "model/resume.hpp"
#include "model/subscription.hpp"

#include <doctest/doctest.h>

using namespace confab::model;

TEST_CASE("a resume by an id that retention removed announces what is missing") {
  // Entries 1 to 5 are gone; the reader has handled the one with id 30-0, and 4 and 5 came behind
  // it.
  log_state log{.epoch = {"e"}, .first = {6}, .tail = {9}, .tail_id = {90, 0}};
  auto asked = parse_after("30-0");
  REQUIRE(asked);
  sighting seen{log, std::nullopt}; // nothing at or before that id is known any more
  auto start = resolve(*asked, log, &seen);
  feed from{std::make_shared<const conversation_name>(*conversation_name::parse("a")), {}};
  from.announced(log, {});
  subscription sub{log.epoch, start.at, start.reset};
  auto first = sub.next(from);
  CHECK(first.what == step::kind::reset);
  CHECK(first.missing_through == seq{5});
}
