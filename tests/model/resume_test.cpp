#include "model/resume.hpp"

#include <doctest/doctest.h>

using namespace confab::model;
using form = after::form;

namespace {

/// Entries 4 to 9 of 9; the one at seq n has id `n0-0`.
const log_state log_e{.epoch = {"e"}, .first = {4}, .tail = {9}, .tail_id = {90, 0}};

resume_request asked(std::string_view text) {
  auto x = parse_after(text);
  REQUIRE(x);
  return *x;
}

/// As the text asks, when nothing of the log had to be read.
start unread(std::string_view text, const log_state& known = log_e) {
  auto x = asked(text);
  REQUIRE(needed(x, known) == lookup::none);
  return resolve(x, known, nullptr);
}

void starts(const start& x, std::uint64_t at, std::optional<reset_reason> reset = std::nullopt) {
  CHECK(x.at == seq{at});
  CHECK(x.reset == reset);
}

sighting found(std::uint64_t at, entry_id id) {
  return {log_e, position{epoch{"e"}, {at}, id}};
}

} // namespace

TEST_CASE("after has six forms and a position text") {
  CHECK(asked("start").from.what == form::start);
  CHECK(asked("now").from.what == form::now);
  CHECK(asked("saved").from.what == form::saved);
  CHECK(asked("last:50").from.what == form::last);
  CHECK(asked("last:50").from.count == 50);
  CHECK(asked("41").from.what == form::seq);
  CHECK(asked("41").from.at == seq{41});
  CHECK(asked("9007199254740991").from.at == seq_max);
  CHECK(asked("1698249600123-7").from.what == form::id);
  CHECK(asked("1698249600123-7").from.id == entry_id{1698249600123, 7});
  auto x = asked("0000000000000042_k3.1_9-1");
  CHECK(x.from.what == form::seq);
  CHECK(x.from.at == seq{42});
  CHECK(x.epoch == epoch{"k3.1"});
  CHECK(x.id == entry_id{9, 1});
}

TEST_CASE("a position without epoch or id asks for no check of them") {
  auto x = asked("0000000000000000__0-0");
  CHECK(x.from.at == seq{0});
  CHECK_FALSE(x.epoch);
  CHECK_FALSE(x.id);
}

TEST_CASE("any other text is bad_after") {
  for (const char* text : {"",
                           " ",
                           "-1",
                           "+1",
                           "1 ",
                           " 1",
                           "1.0",
                           "1e3",
                           "0x1",
                           "9007199254740992",
                           "18446744073709551616",
                           "last",
                           "last:",
                           "last:-1",
                           "last:x",
                           "last:9007199254740992",
                           "LAST:1",
                           "Start",
                           "now ",
                           "start\n",
                           "1-",
                           "-",
                           "1-1-1",
                           "null",
                           "true",
                           "000000000000042_e_1-1",
                           "9007199254740992_e_1-1",
                           "0000000000000042_E_1-1"}) {
    CAPTURE(text);
    auto x = parse_after(text);
    REQUIRE_FALSE(x);
    CHECK(x.why().what == code::bad_after);
    CHECK(x.why().detail.starts_with("after: "));
  }
  CHECK_FALSE(parse_after(std::string_view{"1\0", 2}));
  CHECK_FALSE(parse_after(std::string(100'000, '9')));
}

TEST_CASE("start is before the first entry that is held, now behind the last") {
  starts(unread("start"), 3);
  starts(unread("now"), 9);
  starts(unread("start", {}), 0);
  starts(unread("now", {}), 0);
}

TEST_CASE("last:N starts N entries back, as far as the log is held") {
  starts(unread("last:0"), 9);
  starts(unread("last:2"), 7);
  starts(unread("last:6"), 3);
  starts(unread("last:7"), 3);
  starts(unread("last:9007199254740991"), 3);
  starts(unread("last:5", {}), 0);
  starts(unread("last:5", {.epoch = {"e"}, .first = {10}, .tail = {9}}), 9);
}

TEST_CASE("a seq of the known log is taken without reading") {
  starts(unread("0"), 0);
  starts(unread("2"), 2); // its missing range is the subscription's reset
  starts(unread("7"), 7);
  starts(unread("9"), 9);
  starts(unread("0000000000000009_e_90-0"), 9);
  starts(unread("0000000000000002_e_20-0"), 2);
}

TEST_CASE("a position of another epoch starts over, and says so") {
  for (const auto* text : {"0000000000000007_old_70-0", "0000000000000099_old_70-0"}) {
    auto x = asked(text);
    REQUIRE(needed(x, log_e) == lookup::seq); // the log may be a fork of that one
    sighting seen{log_e, position{{"e"}, {7}, {70, 0}}};
    starts(resolve(x, log_e, &seen), 0, reset_reason::epoch);
  }
  starts(unread("0000000000000000_old_0-0"), 0); // nothing was handled yet
}

TEST_CASE("a position in a fork's source is one in the fork, as far as they are the same") {
  sighting seen{log_e, position{{"e"}, {7}, {70, 0}}, {{{"older"}, {5}}, {{"old"}, {7}}}};
  starts(resolve(asked("0000000000000007_old_70-0"), log_e, &seen), 7);
  starts(resolve(asked("0000000000000007_old_70-1"), log_e, &seen), 0, reset_reason::epoch);
  starts(resolve(asked("0000000000000008_old_80-0"), log_e, &seen), 0, reset_reason::epoch);
  starts(resolve(asked("0000000000000007_older_70-0"), log_e, &seen), 0, reset_reason::epoch);
}

TEST_CASE("a position in a log that does not exist starts over, and says so") {
  starts(unread("7", {}), 0, reset_reason::epoch);
  starts(unread("0000000000000007_e_70-0", {}), 0, reset_reason::epoch);
  starts(unread("0", {}), 0);
  starts(unread("70-0", {}), 0);
}

TEST_CASE("a position beyond the known tail is a reset only if the log itself confirms it") {
  auto x = asked("12");
  REQUIRE(needed(x, log_e) == lookup::seq);
  sighting same{log_e, std::nullopt};
  starts(resolve(x, log_e, &same), 0, reset_reason::epoch);
  auto grown = log_e;
  grown.tail = {12};
  sighting later{grown, std::nullopt};
  starts(resolve(x, log_e, &later), 12);
}

TEST_CASE("an id that the log still holds must be the same") {
  for (const char* text : {"0000000000000007_e_70-0", "0000000000000009_e_91-0"}) {
    CAPTURE(text);
    CHECK(needed(asked(text), log_e) == lookup::seq);
  }
  auto x = asked("0000000000000007_e_70-0");
  auto same = found(7, {70, 0}), other = found(7, {70, 1});
  sighting removed{log_e, std::nullopt};
  starts(resolve(x, log_e, &same), 7);
  starts(resolve(x, log_e, &other), 0, reset_reason::epoch);
  starts(resolve(x, log_e, &removed), 7);
}

TEST_CASE("an id starts behind the last entry at or before it") {
  auto x = asked("75-0");
  REQUIRE(needed(x, log_e) == lookup::id);
  auto seen = found(7, {70, 0});
  starts(resolve(x, log_e, &seen), 7);
}

TEST_CASE("forms without a position need no reading") {
  for (const char* text : {"start", "now", "last:3", "0"})
    CHECK(needed(asked(text), log_e) == lookup::none);
}
