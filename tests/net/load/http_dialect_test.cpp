// What the load clients make of Confab's HTTP, in whatever pieces it comes.
#include "net/load/http_dialect.hpp"

#include "net/load/http_answers.hpp"
#include "support/dialect_bed.hpp"

using namespace confab;
using net::load::purpose;
using test::dialect_bed;
using strings = std::vector<std::string>;

namespace {

std::string answer(const std::string& status, const std::string& body,
                   const std::string& fields = {}) {
  return "HTTP/1.1 " + status + "\r\nServer: confab/x\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string events_head = "HTTP/1.1 200 OK\r\nserver: confab/x\r\nContent-Type: "
                                "text/event-stream\r\n\r\n";

std::shared_ptr<const net::load::server_kind> shared(const net::load::server_kind& x) {
  return {std::shared_ptr<const net::load::server_kind>{}, &x};
}

std::unique_ptr<dialect_bed> bed_of(const net::load::server_kind& kind, std::uint64_t seed,
                                    purpose::role as = purpose::role::reader,
                                    std::optional<net::load::place> after = {}) {
  auto bed = std::make_unique<dialect_bed>(std::vector{shared(kind)}, kind.about().name, seed);
  bed->connect({.as = as, .conversation = "room/1", .after = std::move(after), .client = "p"});
  return bed;
}

const net::load::server_kind& events = net::load::confab_events_server();
const net::load::server_kind& stream = net::load::confab_stream_server();

const std::string some_events =
    events_head +
    "retry: 1500\nid: 0000000000000003_e.1_5-0\n\n:\n\n"
    "id: 0000000000000004_e.1_6-0\ndata: {\"seq\":4,\"id\":\"6-0\",\"time\":7,\"sender\":\"a\","
    "\"kind\":\"message\",\"producer\":\"p\",\"producer_seq\":1,\"payload\":{\"x\":\"}\"}}\n\n"
    "id: 0000000000000004_e.1_6-0\nevent: live\ndata: {\"seq\":4}\n\n";

const std::string some_stream =
    answer("201 Created", "") + events_head +
    "event: data\ndata:[1]\n\nevent: control\ndata:{\"streamNextOffset\":"
    "\"0000000000000004_e.1_6-0\",\"streamCursor\":\"5\"}\n\n:\n\n"
    "event: data\ndata:[\"b\"]\n\nevent: control\ndata:{\"streamNextOffset\":"
    "\"0000000000000005_e.1_7-0\",\"streamCursor\":\"5\",\"upToDate\":true}\n\n";

} // namespace

TEST_CASE("an EventSource reader finds its entries, wherever the bytes are cut") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    auto bed = bed_of(events, seed);
    CHECK(bed->sent() ==
          "GET /v1/conversations/room%2F1/events?after=now HTTP/1.1\r\nHost: confab\r\n\r\n");
    CHECK(bed->hear(some_events).empty());
    auto told = bed->told();
    std::erase_if(told, [](const auto& x) { return x.starts_with("at "); });
    CHECK(told == strings{"server confab/x", "following 0000000000000003_e.1_5-0",
                          "entry room/1 4 {\"x\":\"}\"}", "live"});
  }
}

TEST_CASE("a stream's reader creates it and pairs data with control events") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    auto bed = bed_of(stream, seed, purpose::role::reader, net::load::place{3, ""});
    CHECK(bed->sent() == "PUT /v1/stream/room/1 HTTP/1.1\r\nHost: confab\r\nContent-Type: "
                         "application/json\r\nContent-Length: 2\r\n\r\n[]"
                         "GET /v1/stream/room/1?live=sse&offset=0000000000000003__0-0 HTTP/1.1\r\n"
                         "Host: confab\r\n\r\n");
    CHECK(bed->hear(some_stream).empty());
    auto told = bed->told();
    std::erase_if(told, [](const auto& x) { return x.starts_with("at "); });
    CHECK(told == strings{"server confab/x", "following ", "entry room/1 4 1",
                          "entry room/1 5 \"b\"", "live"});
  }
}

TEST_CASE("a reader that comes back asks behind its last entry") {
  auto bed = bed_of(stream, 1);
  bed->connect({.as = purpose::role::reader,
                .conversation = "c",
                .after = net::load::place{4, "0000000000000004_e.1_6-0"},
                .client = {}});
  CHECK(bed->sent().find("&offset=0000000000000004_e.1_6-0 ") != std::string::npos);
}

TEST_CASE("publishes are answered in order: new, again, refused") {
  auto bed = bed_of(events, 3, purpose::role::publisher);
  bed->sent();
  bed->hear(answer("200 OK", R"({"status":"ok"})"));
  CHECK(bed->told() == strings{"server confab/x", "opened"});
  for (std::uint64_t i = 1; i <= 3; ++i)
    bed->dialect->publish(bed->out, "c", i, i, "{}");
  CHECK(bed->sent().find(R"({"producer":"p","producer_seq":2,"payload":{}})") != std::string::npos);
  bed->hear(answer("201 Created", R"({"seq":7,"id":"1-0","duplicate":false})") +
            answer("200 OK", R"({"seq":7,"id":"1-0","duplicate":true})") +
            answer("503 Service Unavailable", R"({"code":"overloaded","retry":true})"));
  auto told = bed->told();
  REQUIRE(told.size() == 3);
  CHECK(told[0] == "receipt 1 7");
  CHECK(told[1] == "receipt 2 7 again");
  CHECK(told[2].starts_with("refused 3 (retry) overloaded"));
}

TEST_CASE("a stream's publisher creates it once and numbers from zero") {
  auto bed = bed_of(stream, 3, purpose::role::publisher);
  bed->sent();
  bed->hear(answer("200 OK", "{}"));
  bed->told();
  bed->dialect->publish(bed->out, "c", 1, 1, "5");
  bed->dialect->publish(bed->out, "c", 2, 2, "6");
  auto sent = bed->sent();
  CHECK(sent.find("PUT ") == sent.rfind("PUT "));
  CHECK(sent.find("Producer-Seq: 0\r\n") != std::string::npos);
  bed->hear(answer("200 OK", "") +
            answer("200 OK", "", "Stream-Next-Offset: 0000000000000009_e.1_6-0\r\n") +
            "HTTP/1.1 204 No Content\r\nstream-next-offset: 0000000000000009_e.1_6-0\r\n\r\n");
  CHECK(bed->told() == strings{"receipt 1 9", "receipt 2 9 again"});
}

TEST_CASE("what is not an answer ends the connection, and says why") {
  for (const std::string bad :
       {"SSH-2.0-x\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n"}) {
    auto bed = bed_of(events, 5, purpose::role::publisher);
    bed->hear(bad);
    REQUIRE(bed->heard.size() == 1);
    CHECK(bed->heard[0].starts_with("ended "));
  }
  auto bed = bed_of(events, 5);
  bed->hear(answer("404 Not Found", "{}"));
  CHECK(bed->heard.back().starts_with("ended the server says"));
  bed = bed_of(events, 6);
  bed->hear(events_head + "id: 1\ndata: {}\n\n");
  CHECK(bed->heard.back().starts_with("ended the server says"));
}

TEST_CASE("damaged answers are survived") {
  test::survive_damage(some_events, 300, [](auto seed) { return bed_of(events, seed); });
  test::survive_damage(some_stream, 300, [](auto seed) { return bed_of(stream, seed); });
}
