#include "peers/peers.hpp"

#include "support/dialect_bed.hpp"

using confab::net::load::place;
using confab::net::load::purpose;
using confab::test::dialect_bed;
using lines = std::vector<std::string>;

namespace {

const auto kinds = confab::peers::redis_kinds();

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string{text} + "\r\n";
}

std::string entry(std::string_view id, std::string_view payload) {
  return "*2\r\n" + bulk(id) + "*2\r\n" + bulk("payload") + bulk(payload);
}

const std::string ask_after = "*7\r\n$5\r\nXREAD\r\n$5\r\nCOUNT\r\n$4\r\n1000\r\n$5\r\nBLOCK\r\n"
                              "$1\r\n0\r\n$7\r\nSTREAMS\r\n$1\r\nc\r\n";

} // namespace

TEST_CASE("Redis Pub/Sub: a reader hears what is published once it is subscribed") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "redis-pubsub", seed};
    bed.connect({.as = purpose::role::reader, .conversation = "c"});
    CHECK(bed.sent() == "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n");
    bed.hear("*3\r\n" + bulk("subscribe") + bulk("c") + ":1\r\n*3\r\n" + bulk("message") +
             bulk("c") + bulk("\"a\r\nb\""));
    CHECK(bed.told() == lines{"opened", "following ", "live", "entry c 0 \"a\r\nb\""});
    bed.hear("-NOPERM\r\n");
    CHECK(bed.told() == lines{"ended the server says NOPERM"});
  }
}

TEST_CASE("Redis streams: a reader asks again behind the last entry it got") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "redis-streams", seed};
    bed.connect({.as = purpose::role::reader, .conversation = "c", .after = place{0, "5-0"}});
    CHECK(bed.sent() == "*6\r\n$9\r\nXREVRANGE\r\n$1\r\nc\r\n$1\r\n+\r\n$1\r\n-\r\n$5\r\nCOUNT\r\n"
                        "$1\r\n1\r\n");
    bed.hear("*1\r\n" + entry("7-1", "\"z\""));
    CHECK(bed.told() == lines{"opened", "following 5-0"});
    CHECK(bed.sent().ends_with("$1\r\nc\r\n$3\r\n5-0\r\n"));
    bed.hear("*1\r\n*2\r\n" + bulk("c") + "*2\r\n" + entry("6-0", "\"y\"") + entry("7-1", "\"z\""));
    CHECK(bed.told() == lines{"entry c 0 \"y\"", "at 6-0", "entry c 0 \"z\"", "at 7-1", "live"});
    CHECK(bed.sent().ends_with("$1\r\nc\r\n$3\r\n7-1\r\n"));
  }
}

TEST_CASE("Redis streams: without a place a reader begins where the stream ends") {
  dialect_bed bed{kinds, "redis-streams", 1};
  bed.connect({.as = purpose::role::reader, .conversation = "c"});
  bed.sent();
  bed.hear("*0\r\n");
  CHECK(bed.told() == lines{"opened", "following 0-0", "live"});
  CHECK(bed.sent().ends_with("$1\r\nc\r\n$3\r\n0-0\r\n"));
}

TEST_CASE("Redis: replies to pipelined publishes are receipts in their order") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    for (std::string name : {"redis-streams", "redis-pubsub"}) {
      dialect_bed bed{kinds, name, seed};
      auto good = name == "redis-streams" ? bulk("9-0") : std::string{":3\r\n"};
      bed.connect({.as = purpose::role::publisher});
      bed.hear("+PONG\r\n");
      CHECK(bed.told() == lines{"opened"});
      for (std::uint64_t ref : {4, 5, 6})
        bed.dialect->publish(bed.out, "c", ref, ref, "1");
      bed.hear(good + "-OOM command not allowed\r\n" + good + good);
      CHECK(bed.told().size() == 4);
    }
  }
}

TEST_CASE("Redis: what is no reply of Redis ends the connection") {
  auto hears = [](std::string_view bytes) {
    dialect_bed bed{kinds, "redis-streams", 3};
    bed.connect({.as = purpose::role::reader, .conversation = "c"});
    bed.hear(bytes);
    REQUIRE_FALSE(bed.heard.empty());
    return bed.told().back();
  };
  CHECK(hears("HTTP/1.1 400\r\n") == "ended no Redis reply: HTTP/1.1 400");
  CHECK(hears("*99999999999\r\n") == "ended a reply has no usable length: 99999999999");
  CHECK(hears("*-2\r\n") == "ended a reply has no usable length: -2");
  CHECK(hears("*0\r\n$3\r\nabcd\r\n") == "ended a reply's string is longer than it says");
  CHECK(hears("*0\r\n*1\r\n*1\r\n$1\r\nc\r\n").starts_with("ended not a reply to XREAD"));
  CHECK(hears("*0\r\n*1\r\n*2\r\n$1\r\nc\r\n*1\r\n" + entry("x", "1"))
            .starts_with("ended an entry has another shape"));
  CHECK(hears(std::string(70'000, '+')) == "ended a line of a reply is too long");

  auto good = "*0\r\n*1\r\n*2\r\n" + bulk("c") + "*2\r\n" + entry("6-0", "1") + entry("7-0", "1");
  confab::test::survive_damage(good, 2000, [](std::uint64_t seed) {
    auto bed = std::make_unique<dialect_bed>(kinds, "redis-streams", seed);
    bed->connect({.as = purpose::role::reader, .conversation = "c"});
    return bed;
  });
}
