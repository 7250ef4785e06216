// From what the log answers to status, header lines and body.
#include "net/stream_answer.hpp"

#include "support/hub_bed.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace confab;
using namespace confab::net;
using kind = stream_question::kind;

namespace {

const model::settings json{"application/json"};

model::log_state state(std::uint64_t first, std::uint64_t tail,
                       model::lifecycle life = model::lifecycle::open) {
  auto x = test::state_of_log("e.1", first, tail);
  x.life = life;
  return x;
}

/// The field's value; empty: it is not there.
std::string field(const std::string& lines, const std::string& name) {
  auto text = "\r\n" + lines;
  auto at = text.find("\r\n" + name + ": ");
  if (at == std::string::npos)
    return {};
  at += name.size() + 4;
  return text.substr(at, text.find("\r\n", at) - at);
}

stream_answer read(const model::log_state& log, std::uint64_t after, std::uint64_t through,
                   stream_question asked = {.what = kind::read, .at_offset = true},
                   const model::settings& settings = json) {
  stream_reading found{log, settings, {.at = {after}}};
  found.add(test::entries(after + 1, through));
  CHECK_FALSE(found.refusal(asked));
  return found.answer(asked, 0);
}

} // namespace

TEST_CASE("a page says where to go on, and whether it reached the tail") {
  auto part = read(state(1, 9), 2, 4);
  CHECK(part.status == 200);
  CHECK(part.type == "application/json");
  CHECK(part.body == "[0,0]");
  CHECK(field(part.fields, "Stream-Next-Offset") == "0000000000000004_e.1_1000-4");
  CHECK(field(part.fields, "Stream-Up-To-Date").empty());
  auto all = read(state(1, 4), 2, 4);
  CHECK(field(all.fields, "Stream-Up-To-Date") == "true");
  CHECK(field(all.fields, "Stream-Closed").empty());
  auto closed = read(state(1, 4, model::lifecycle::closed), 2, 4);
  CHECK(field(closed.fields, "Stream-Closed") == "true");
  auto not_yet = read(state(1, 5, model::lifecycle::closed), 2, 4);
  CHECK(field(not_yet.fields, "Stream-Closed").empty());
}

TEST_CASE("a read of nothing answers the same place, and an empty array only of JSON") {
  auto x = read(state(1, 4), 4, 4);
  CHECK(x.status == 200);
  CHECK(x.body == "[]");
  CHECK(field(x.fields, "Stream-Next-Offset") == "0000000000000004_e.1_1000-4");
  CHECK(read(state(1, 4), 4, 4, {.what = kind::read}, {"text/plain"}).body.empty());
}

TEST_CASE("an answer may be kept only if nothing can come to be in it") {
  CHECK(read(state(1, 9), 2, 4).cache.starts_with("private, max-age=60"));
  CHECK(read(state(1, 4), 2, 4).cache == "no-cache");
  CHECK(read(state(1, 9), 0, 4, {.what = kind::read}).cache == "no-cache");
  auto now = read(state(1, 4), 4, 4, {.what = kind::read, .from_now = true});
  CHECK(now.cache == "no-store");
  CHECK(field(now.fields, "ETag").empty());
}

TEST_CASE("an unchanged answer is 304, and whatever changes it changes its tag") {
  auto tag = [](const model::log_state& log, std::uint64_t after, std::uint64_t through) {
    return field(read(log, after, through).fields, "ETag");
  };
  auto asked = stream_question{.what = kind::read, .if_none_match = tag(state(1, 4), 2, 4)};
  auto same = read(state(1, 4), 2, 4, asked);
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(field(same.fields, "ETag") == asked.if_none_match);
  CHECK(read(state(1, 5), 2, 5, asked).status == 200);
  std::set<std::string> tags{tag(state(1, 4), 2, 4),
                             tag(state(1, 5), 2, 4),
                             tag(state(1, 5), 2, 5),
                             tag(state(1, 4), 3, 4),
                             tag(state(1, 4, model::lifecycle::closed), 2, 4),
                             tag(test::state_of_log("e.2", 1, 4), 2, 4)};
  CHECK(tags.size() == 6);
}

TEST_CASE("a stream of any type is no page of the server's") {
  auto page = read(state(1, 4), 2, 4, {.what = kind::read}, {"text/html"});
  CHECK(page.type == "text/html");
  CHECK(field(page.fields, "Content-Security-Policy") == "default-src 'none'; sandbox");
}

TEST_CASE("a reader that waited gets a cursor, and 204 if nothing came") {
  stream_question wait{.what = kind::wait, .at_offset = true, .cursor = 5};
  auto nothing = read(state(1, 4), 4, 4, wait);
  CHECK(nothing.status == 204);
  CHECK(nothing.body.empty());
  CHECK(field(nothing.fields, "Stream-Up-To-Date") == "true");
  CHECK(std::stoull(field(nothing.fields, "Stream-Cursor")) > 5);
  auto some = read(state(1, 4), 3, 4, wait);
  CHECK(some.status == 200);
  CHECK(some.body == "[0]");
  CHECK_FALSE(field(some.fields, "Stream-Cursor").empty());
}

TEST_CASE("a place that is gone is refused, with the first one that is there") {
  stream_question asked{.what = kind::read, .at_offset = true};
  stream_reading trimmed{state(20, 30), json, {.at = {3}}};
  auto why = trimmed.refusal(asked);
  REQUIRE(why);
  CHECK(why->what == model::code::position_gone);
  CHECK(field(trimmed.refusal_fields(*why), "Stream-Next-Offset") == "0000000000000019_e.1_0-0");
  CHECK_FALSE(trimmed.refusal({.what = kind::read}));
  CHECK_FALSE(stream_reading{state(20, 30), json, {.at = {19}}}.refusal(asked));
  stream_reading other{state(1, 4), json, {.at = {}, .reset = model::reset_reason::epoch}};
  CHECK(other.refusal(asked)->what == model::code::position_gone);
  stream_reading none{{}, {}, {}};
  auto missing = none.refusal(asked);
  REQUIRE(missing);
  CHECK(missing->what == model::code::not_found);
  CHECK(none.refusal_fields(*missing).empty());
}

TEST_CASE("an append answers 200 only to a producer's new entries") {
  auto status = [](stream_question asked, bool duplicate) {
    published_event x{.ref = {},
                      .name = *model::conversation_name::parse("s"),
                      .got = {{4}, 1, {1000, 4}, duplicate}};
    x.state = state(1, 4, model::lifecycle::closed);
    x.producer_last = 9;
    auto answer = answer_appended(asked, x);
    CHECK(field(answer.fields, "Stream-Next-Offset") == "0000000000000004_e.1_1000-4");
    CHECK(field(answer.fields, "Stream-Closed") == "true");
    CHECK(field(answer.fields, "Producer-Seq") == (asked.producer ? "9" : ""));
    return answer.status;
  };
  stream_producer p{"p", 0, 9};
  CHECK(status({.what = kind::append}, false) == 204);
  CHECK(status({.what = kind::append, .producer = p}, false) == 200);
  CHECK(status({.what = kind::append, .producer = p}, true) == 204);
  CHECK(status({.what = kind::append, .producer = p, .empty = true}, false) == 204);
}

TEST_CASE("a refused append says what would be taken") {
  stream_question asked{.what = kind::append, .producer = stream_producer{"p", 1, 7}};
  auto fields = [&](model::code what, std::uint64_t expected) {
    failed_event x{.ref = {}, .name = std::nullopt, .why = {what, "", expected}};
    x.state = state(1, 4, model::lifecycle::closed);
    return refusal_fields(asked, x);
  };
  auto gap = fields(model::code::producer_gap, 3);
  CHECK(field(gap, "Producer-Expected-Seq") == "3");
  CHECK(field(gap, "Producer-Received-Seq") == "7");
  CHECK(field(fields(model::code::producer_epoch, 2), "Producer-Epoch") == "2");
  auto closed = fields(model::code::closed, 0);
  CHECK(field(closed, "Stream-Closed") == "true");
  CHECK(field(closed, "Stream-Next-Offset") == "0000000000000004_e.1_1000-4");
  CHECK(fields(model::code::content_type, 0).empty());
}

TEST_CASE("a creation answers what there is, and where only if it is new") {
  created_event x{*model::conversation_name::parse("s"), {state(1, 2), json, false}};
  x.what.settings.lifetime.ttl_s = 60;
  auto fresh = answer_created({.what = kind::create, .location = "http://h/s"}, x);
  CHECK(fresh.status == 201);
  CHECK(field(fresh.fields, "Location") == "http://h/s");
  CHECK(field(fresh.fields, "Stream-TTL") == "60");
  CHECK(field(fresh.fields, "Stream-Next-Offset") == "0000000000000002_e.1_1000-2");
  x.what.existed = true;
  auto old = answer_created({.what = kind::create, .location = "http://h/s"}, x);
  CHECK(old.status == 200);
  CHECK(field(old.fields, "Location").empty());
}
