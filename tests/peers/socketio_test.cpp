#include "peers/peers.hpp"

#include "support/dialect_bed.hpp"

using confab::net::load::place;
using confab::net::load::purpose;
using confab::test::accepted;
using confab::test::dialect_bed;
using confab::test::frame_of;
using confab::test::payloads_of;
using lines = std::vector<std::string>;

namespace {

const auto kinds = confab::peers::socketio_kinds();
const auto hello = accepted() + frame_of(R"(0{"sid":"e","upgrades":[],"pingInterval":25000})");
const auto connected = frame_of(R"(40{"sid":"s1","pid":"p1"})");

} // namespace

TEST_CASE("Socket.IO: a reader follows a room and its place names its session") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "socketio", seed};
    bed.connect({.as = purpose::role::reader, .conversation = "a/b"});
    bed.sent();
    bed.hear(hello);
    CHECK(payloads_of(bed.sent()) == "40");
    bed.hear(connected);
    CHECK(payloads_of(bed.sent()) == R"(42["follow","a/b"])");
    bed.hear(frame_of(R"(42["following","o1"])") + frame_of("2") +
             frame_of(R"(42["entry","a/b","x\",\"y","o2.1"])"));
    CHECK(bed.told() == lines{"opened", "following p1/s1/o1", "live", R"(entry a/b 0 "x\",\"y")",
                              "at p1/s1/o2.1"});
    CHECK(payloads_of(bed.sent()) == "3");
  }
}

TEST_CASE("Socket.IO: a recovered session gets what it missed, a lost one says so") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    const purpose what{
        .as = purpose::role::reader, .conversation = "c", .after = place{0, "p1/s1/o2"}};
    dialect_bed bed{kinds, "socketio", seed};
    bed.connect(what);
    bed.sent();
    bed.hear(hello);
    CHECK(payloads_of(bed.sent()) == R"(40{"pid":"p1","offset":"o2"})");
    bed.hear(frame_of(R"(42["entry","c",1,"o3"])") + connected +
             frame_of(R"(42["entry","c",2,"o4"])"));
    CHECK(bed.told() == lines{"opened", "following p1/s1/o2", "live", "entry c 0 1", "at p1/s1/o3",
                              "entry c 0 2", "at p1/s1/o4"});

    bed.connect(what);
    bed.hear(hello + connected);
    CHECK(bed.told() == lines{"opened", "following p1/s1/o2", "live"});

    bed.connect(what);
    bed.hear(hello + frame_of(R"(40{"sid":"s2","pid":"p2"})") +
             frame_of(R"(42["following","o9"])"));
    CHECK(bed.told() == lines{"opened", "missing 0 0 the session was not recovered",
                              "following p2/s2/o9", "live"});
  }
}

TEST_CASE("Socket.IO: acknowledgements are receipts in their order") {
  dialect_bed bed{kinds, "socketio", 1};
  bed.connect({.as = purpose::role::publisher});
  bed.sent();
  bed.hear(hello + connected);
  CHECK(bed.told() == lines{"opened"});
  bed.sent();
  bed.dialect->publish(bed.out, "c", 7, 1, "\"x\"");
  CHECK(payloads_of(bed.sent()) == R"(427["publish","c","x"])");
  bed.dialect->publish(bed.out, "c", 8, 2, "\"x\"");
  bed.hear(frame_of("437[true]") + frame_of("438[false]") + frame_of("439[true]"));
  CHECK(bed.told() ==
        lines{"receipt 7 0", "refused 8 8[false]", "ended an answer to nothing: 9[true]"});
}

TEST_CASE("Socket.IO: what the server must not send ends the connection") {
  auto hears = [](std::string_view text, place after = {}) {
    dialect_bed bed{kinds, "socketio", 3};
    bed.connect({.as = purpose::role::reader, .conversation = "c", .after = after});
    bed.hear(hello + frame_of(text));
    REQUIRE_FALSE(bed.heard.empty());
    return bed.told().back();
  };
  CHECK(hears("41") == "ended the server says 41");
  CHECK(hears(R"(44{"message":"no"})") == R"(ended the server says 44{"message":"no"})");
  CHECK(hears(R"(40{"sid":"a\"b"})") == R"(ended not the answer to a connect: 40{"sid":"a\"b"})");
  CHECK(hears(R"(42["entry","c",1,"o3"])") ==
        R"(ended an entry before the subscription: 42["entry","c",1,"o3"])");
  CHECK(hears(R"(42["entry","o3"])", {0, "p/s/o"}) == R"(ended not an entry: 42["entry","o3"])");
  CHECK(hears(R"(42["entry",1,"o3"])", {0, "p/s/o"}).starts_with("ended not an entry"));
  CHECK(hears(R"(42["entry","c",1])", {0, "p/s/o"}).starts_with("ended not an entry"));

  auto good = hello + connected + frame_of(R"(42["following","o1"])") +
              frame_of(R"(42["entry","c",1,"o3"])");
  confab::test::survive_damage(good, 2000, [](std::uint64_t seed) {
    auto bed = std::make_unique<dialect_bed>(kinds, "socketio", seed);
    bed->connect({.as = purpose::role::reader, .conversation = "c"});
    return bed;
  });
}
