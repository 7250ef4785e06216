#include "peers/peers.hpp"

#include "support/dialect_bed.hpp"

using confab::net::load::place;
using confab::net::load::purpose;
using confab::test::accepted;
using confab::test::dialect_bed;
using confab::test::frame_of;
using lines = std::vector<std::string>;

namespace {

const auto kinds = confab::peers::nchan_kinds();
const std::string ready = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const std::string created = "HTTP/1.1 201 Created\r\nServer: x\r\nContent-Length: 7\r\n"
                            "Connection: keep-alive\r\n\r\nqueued\n";

} // namespace

TEST_CASE("nchan: a reader hears entries with their ids, and resumes behind the last") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "nchan", seed};
    bed.connect({.as = purpose::role::reader, .conversation = "a/b"});
    CHECK(bed.sent().starts_with("GET /sub?id=a/b HTTP/1.1\r\n"));
    bed.hear(accepted("ws+meta.nchan") + frame_of("id: 17:0\ncontent-type: text/x\n\n\"one\"") +
             frame_of("id: 17:1\n\n\"tw\n\no\""));
    CHECK(bed.told() == lines{"opened", "following ", "live", "entry a/b 0 \"one\"", "at 17:0",
                              "entry a/b 0 \"tw\n\no\"", "at 17:1"});
    bed.connect({.as = purpose::role::reader, .conversation = "a/b", .after = place{0, "17:1"}});
    CHECK(bed.sent().starts_with("GET /sub?id=a/b&last_event_id=17:1 HTTP/1.1\r\n"));
    bed.connect({.as = purpose::role::reader, .conversation = "a/b", .after = place{}});
    CHECK(bed.sent().starts_with("GET /all?id=a/b HTTP/1.1\r\n"));
  }
}

TEST_CASE("nchan: answers to pipelined publishes are receipts in their order") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    dialect_bed bed{kinds, "nchan-redis", seed};
    bed.connect({.as = purpose::role::publisher});
    CHECK(bed.sent() == "GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
    bed.hear(ready);
    CHECK(bed.told() == lines{"opened"});
    bed.dialect->publish(bed.out, "c", 8, 1, "\"x\"");
    CHECK(bed.sent() == "POST /pub?id=c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
                        "\"x\"");
    for (std::uint64_t ref : {9, 10, 11})
      bed.dialect->publish(bed.out, "c", ref, ref, "1");
    bed.hear(created + "HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n" +
             "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" + created);
    CHECK(bed.told() == lines{"receipt 8 0", "refused 9 (retry) HTTP/1.1 507 Insufficient Storage",
                              "refused 10 HTTP/1.1 413 Too Large",
                              "ended the server closes the connection: HTTP/1.1 413 Too Large"});
  }
}

TEST_CASE("nchan: what is no answer of nchan ends the connection") {
  auto reader_hears = [](std::string_view text) {
    dialect_bed bed{kinds, "nchan", 5};
    bed.connect({.as = purpose::role::reader, .conversation = "c"});
    bed.hear(accepted("ws+meta.nchan") + frame_of(text));
    return bed.told().back();
  };
  CHECK(reader_hears("\"bare\"") ==
        "ended a message has no empty line behind its fields: \"bare\"");
  CHECK(reader_hears("id: 1\r\nEvil: 1\n\n1") ==
        "ended a message has no usable id: id: 1??Evil: 1??1");
  CHECK(reader_hears("x: y\n\n1") == "ended a message has no usable id: x: y??1");
  auto publisher_hears = [](std::string_view text) {
    dialect_bed bed{kinds, "nchan", 5};
    bed.connect({.as = purpose::role::publisher});
    bed.hear(text);
    REQUIRE_FALSE(bed.heard.empty());
    return bed.told().back();
  };
  CHECK(publisher_hears("SSH-2.0-x\r\n\r\n") == "ended an answer is not HTTP/1.1: SSH-2.0-x");
  CHECK(publisher_hears("HTTP/1.1\r\n\r\n") == "ended an answer is not HTTP/1.1: HTTP/1.1");
  CHECK(publisher_hears("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n") ==
        "ended the server is not ready: HTTP/1.1 404 No");
  CHECK(publisher_hears("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        "ended an answer has no usable length: HTTP/1.1 200 OK");
  CHECK(publisher_hears(ready + created) == "ended an answer to nothing: HTTP/1.1 201 Created");
  CHECK(publisher_hears(std::string(9000, 'x')) == "ended the head of an answer is too long");

  confab::test::survive_damage(ready + created + created, 500, [](std::uint64_t seed) {
    auto bed = std::make_unique<dialect_bed>(kinds, "nchan", seed);
    bed->connect({.as = purpose::role::publisher});
    bed->dialect->publish(bed->out, "c", 1, 1, "1");
    bed->dialect->publish(bed->out, "c", 2, 2, "1");
    return bed;
  });
}
