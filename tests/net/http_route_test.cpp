#include "net/http_route.hpp"

#include "net/wire/formats.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::net;
using boost::beast::http::field;
using boost::beast::http::verb;
using model::code;

namespace {

http_request request(verb method, std::string_view target, std::string body = {}) {
  http_request x{method, {target.data(), target.size()}, 11};
  x.set(field::host, "here:8080");
  x.body() = std::move(body);
  return x;
}

http_request handshake(std::string_view target) {
  auto x = request(verb::get, target);
  x.set(field::connection, "upgrade");
  x.set(field::upgrade, "websocket");
  x.set(field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
  x.set(field::sec_websocket_version, "13");
  return x;
}

template <class T>
T as(const http_request& x, const session_limits& limits = {}) {
  auto got = route_of(x, limits);
  REQUIRE(std::holds_alternative<T>(got));
  return std::get<T>(std::move(got));
}

template <class T>
T command_of(const http_request& x) {
  auto got = as<ask_backend>(x);
  REQUIRE(std::holds_alternative<T>(got.what));
  return std::get<T>(std::move(got.what));
}

/// Expects a refusal with this status, whose text begins with the part that is wrong.
refuse_request refused(const http_request& x, unsigned status, std::string_view begin,
                       const session_limits& limits = {}) {
  CAPTURE(std::string{x.target()});
  auto got = as<refuse_request>(x, limits);
  CAPTURE(got.why.detail);
  CHECK((got.status != 0 ? got.status : wire::status_of(got.why.what)) == status);
  CHECK(got.why.detail.starts_with(begin));
  return got;
}

const std::string room = "/v1/conversations/room%2F1";

} // namespace

TEST_CASE("the page and the probes are at their paths, for GET and HEAD") {
  for (auto method : {verb::get, verb::head}) {
    as<answer_page>(request(method, "/"));
    as<answer_page>(request(method, "/?x=1"));
    as<answer_health>(request(method, "/healthz"));
    as<answer_readiness>(request(method, "/readyz"));
    as<answer_metrics>(request(method, "/metrics"));
  }
  for (const char* path : {"/", "/healthz", "/readyz", "/metrics"})
    CHECK(refused(request(verb::post, path), 405, "method").allow == "GET, HEAD, OPTIONS");
}

TEST_CASE("a conversation is asked for, closed and deleted under its encoded name") {
  CHECK(command_of<info_command>(request(verb::get, room)).name.text() == "room/1");
  CHECK(command_of<info_command>(request(verb::head, room)).name.text() == "room/1");
  CHECK(command_of<delete_command>(request(verb::delete_, room)).name.text() == "room/1");
  CHECK(command_of<close_command>(request(verb::patch, room, R"({"closed":true})")).name.text() ==
        "room/1");
}

TEST_CASE("a conversation can be closed but not opened") {
  for (const char* body : {"{}", R"({"closed":false})", R"({"closed":null})", R"({"closed":1})",
                           R"({"closed":"true"})"})
    refused(request(verb::patch, room, body), 400, "closed");
  for (const char* body : {"", "true", "[]"})
    refused(request(verb::patch, room, body), 400, "body");
}

TEST_CASE("entries are read from the start in pages of 100 if nothing else is said") {
  auto x = command_of<page_command>(request(verb::get, room + "/entries"));
  CHECK(x.from.from.what == model::after::form::start);
  CHECK(x.limit == 100);
  x = command_of<page_command>(request(verb::get, room + "/entries?after=41&limit=1000"));
  CHECK(x.from.from.at == model::seq{41});
  CHECK(x.limit == 1000);
}

TEST_CASE("a page's bounds are refused by their names") {
  for (const char* limit : {"", "0", "1001", "-1", "x", "1x", "99999999999999999999999"})
    refused(request(verb::get, room + "/entries?limit=" + limit), 400, "limit");
  for (const char* after : {"", "x", "-1", "saved"})
    refused(request(verb::get, room + "/entries?after=" + after), 400, "after");
}

TEST_CASE("posted drafts are published, and an array is answered with one") {
  auto one = as<ask_backend>(request(verb::post, room + "/entries", R"({"payload":1})"));
  CHECK_FALSE(one.array);
  auto many =
      as<ask_backend>(request(verb::post, room + "/entries", R"([{"payload":1},{"payload":2}])"));
  CHECK(many.array);
  CHECK(std::get<publish_command>(many.what).drafts->drafts.size() == 2);
}

TEST_CASE("a body must be JSON, by its content and by its type if that is told") {
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8",
                           "application/x-www-form-urlencoded"}) {
    auto x = request(verb::post, room + "/entries", R"({"payload":1})");
    x.set(field::content_type, type);
    as<ask_backend>(x);
  }
  for (const char* type : {"text/plain", "multipart/form-data", "application/jsonx"}) {
    auto x = request(verb::post, room + "/entries", R"({"payload":1})");
    x.set(field::content_type, type);
    refused(x, 415, "Content-Type");
  }
  refused(request(verb::post, room + "/entries", "a=b"), 400, "body");
  refused(request(verb::post, room + "/entries", "{}"), 400, "payload");
  refused(request(verb::post, room + "/entries", "[]"), 413, "body");
  session_limits small;
  small.wire.payload_bytes = 3;
  refused(request(verb::post, room + "/entries", R"({"payload":1234})"), 413, "payload", small);
}

TEST_CASE("an idempotency key is a producer whose fingerprint tells bodies apart") {
  auto keyed = [](std::string key, std::string body) {
    auto x = request(verb::post, room + "/entries", std::move(body));
    x.set("Idempotency-Key", key);
    return x;
  };
  auto a = command_of<publish_command>(keyed("k", R"({"payload":1})"));
  CHECK(a.drafts->producer == "=k");
  CHECK(a.drafts->producer_seq == 1);
  CHECK(command_of<publish_command>(keyed("k", R"({"payload":1})")).drafts->fingerprint ==
        a.drafts->fingerprint);
  CHECK(command_of<publish_command>(keyed("k", R"({"payload":2})")).drafts->fingerprint !=
        a.drafts->fingerprint);
  command_of<publish_command>(keyed(std::string(120, 'k'), R"({"payload":1})"));
  refused(keyed(std::string(121, 'k'), R"({"payload":1})"), 400, "Idempotency-Key");
  refused(keyed("k", R"({"payload":1,"producer":"p","producer_seq":1})"), 400, "Idempotency-Key");
}

TEST_CASE(
    "events begin now, after the query's position, or after the one that the browser remembers") {
  auto x = request(verb::get, room + "/events");
  CHECK(as<follow_as_events>(x).from.from.what == model::after::form::now);
  x = request(verb::get, room + "/events?after=3");
  CHECK(as<follow_as_events>(x).from.from.at == model::seq{3});
  x.set("Last-Event-ID", "0000000000000042_e_9-1");
  auto got = as<follow_as_events>(x);
  CHECK(got.from.from.at == model::seq{42});
  CHECK(got.from.epoch == model::epoch{"e"});
  x.set("Last-Event-ID", "nonsense");
  refused(x, 400, "after");
  refused(request(verb::get, room + "/events?after=saved"), 400, "after");
}

TEST_CASE("another method is refused with those that are taken") {
  CHECK(refused(request(verb::put, room), 405, "method").allow ==
        "GET, HEAD, PATCH, DELETE, OPTIONS");
  CHECK(refused(request(verb::delete_, room + "/entries"), 405, "method").allow ==
        "GET, HEAD, POST, OPTIONS");
  CHECK(refused(request(verb::post, room + "/events"), 405, "method").allow ==
        "GET, HEAD, OPTIONS");
}

TEST_CASE("conversations are listed behind a name, with a prefix") {
  auto x = command_of<list_command>(
      request(verb::get, "/v1/conversations?prefix=room%2F&after=room%2F1&limit=7"));
  CHECK(x.prefix == "room/");
  CHECK(x.after == "room/1");
  CHECK(x.limit == 7);
  refused(request(verb::get, "/v1/conversations?limit=0"), 400, "limit");
  refused(request(verb::get, "/v1/conversations?prefix=%ff"), 400, "prefix");
  CHECK(refused(request(verb::post, "/v1/conversations"), 405, "method").allow ==
        "GET, HEAD, OPTIONS");
}

TEST_CASE("a client's cursor is read, moved and removed under its name") {
  const auto path = room + "/cursors/phone%201";
  CHECK(command_of<cursor_command>(request(verb::get, path)).client == "phone 1");
  auto moved =
      command_of<cursor_move_command>(request(verb::put, path, R"({"seq":5,"epoch":"e.1"})"));
  REQUIRE(moved.to);
  CHECK(moved.to->at == model::seq{5});
  CHECK(moved.to->epoch == model::epoch{"e.1"});
  CHECK_FALSE(command_of<cursor_move_command>(request(verb::delete_, path)).to);
  for (const char* body : {"", "{}", R"({"seq":5})", R"({"epoch":"e.1"})"})
    refused(request(verb::put, path, body), 400, "");
  refused(request(verb::put, path, R"({"seq":-1,"epoch":"e.1"})"), 400, "seq");
  refused(request(verb::put, path, R"({"seq":5,"epoch":"E!"})"), 400, "epoch");
  refused(request(verb::get, room + "/cursors/~x"), 400, "client");
}

TEST_CASE("OPTIONS names the methods of a path, and of the server") {
  CHECK(as<answer_options>(request(verb::options, room)).allow ==
        "GET, HEAD, PATCH, DELETE, OPTIONS");
  CHECK(as<answer_options>(request(verb::options, room + "/entries")).allow ==
        "GET, HEAD, POST, OPTIONS");
  CHECK(as<answer_options>(request(verb::options, "*")).allow ==
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  refused(request(verb::options, "/nothing"), 404, "path");
}

TEST_CASE("reading waits for entries only if it is told to, up to a minute") {
  auto x = as<wait_for_entries>(request(verb::get, room + "/entries?after=3&limit=7&wait=60"));
  CHECK(x.wait_ms == 60'000);
  CHECK(x.limit == 7);
  CHECK(x.from.from.at == model::seq{3});
  command_of<page_command>(request(verb::get, room + "/entries?wait=0"));
  command_of<page_command>(
      request(verb::head, room + "/entries?wait=9")); // has no body to wait for
  for (const char* wait : {"61", "-1", "1.5", "", "x"})
    refused(request(verb::get, room + "/entries?wait=" + wait), 400, "wait");
}

TEST_CASE("a body of lines is told by its type, and its receipts stream if that is asked for") {
  auto x = request(verb::post, room + "/entries");
  x.set(field::content_type, "application/x-ndjson");
  CHECK_FALSE(as<append_lines>(x).streamed);
  x.set(field::accept, "*/*");
  CHECK_FALSE(as<append_lines>(x).streamed);
  x.set(field::accept, "application/json;q=0.1, application/x-ndjson");
  CHECK(as<append_lines>(x).streamed);
  x.set("Idempotency-Key", "\"k\"");
  CHECK(as<append_lines>(x).key == "k");
  x.set(field::accept, "text/html");
  refused(x, 406, "Accept");
}

TEST_CASE("an answer of another type than is accepted is refused before anything is done") {
  auto asking = [](verb method, const std::string& path, std::string_view accept) {
    auto x = request(method, path, R"({"payload":1})");
    x.set(field::accept, {accept.data(), accept.size()});
    return x;
  };
  refused(asking(verb::get, room + "/entries", "text/html"), 406, "Accept");
  refused(asking(verb::post, room + "/entries", "application/json;q=0"), 406, "Accept");
  refused(asking(verb::get, room + "/events", "application/json"), 406, "Accept");
  as<follow_as_events>(asking(verb::get, room + "/events", "text/event-stream"));
  as<answer_events_head>(asking(verb::head, room + "/events", "*/*"));
  auto packed = request(verb::post, room + "/entries", R"({"payload":1})");
  packed.set(field::content_encoding, "gzip");
  refused(packed, 415, "Content-Encoding");
}

TEST_CASE("a path without anything behind it is not found, and a bad one is refused") {
  for (const char* path : {"/v1", "/v2/ws", "/v1/conversations/a/b", "/v1/conversations/a/b/c",
                           "/healthz/x", "/index.html", "/v1/wsx"})
    refused(request(verb::get, path), 404, "path");
  for (const char* path : {"", "*", "http://x/", "/%", "/v1/conversations/%zz"})
    refused(request(verb::get, path), 400, "path");
  for (const char* name : {"a%20b", "%2e%2e", "a%2F", "__ds", "a%00"})
    refused(request(verb::get, std::string{"/v1/conversations/"} + name), 400, "conversation name");
}

TEST_CASE("pages of other sites write nowhere and open no WebSocket, unless they are allowed") {
  auto from = [](http_request x, std::string_view origin) {
    x.set(field::origin, {origin.data(), origin.size()});
    return x;
  };
  auto post = request(verb::post, room + "/entries", R"({"payload":1})");
  auto ws = handshake("/v1/ws");
  for (const char* origin :
       {"https://evil", "http://here", "http://here:80801", "null", "here:8080"}) {
    refused(from(post, origin), 403, "Origin");
    refused(from(request(verb::delete_, room), origin), 403, "Origin");
    refused(from(ws, origin), 403, "Origin");
  }
  as<ask_backend>(from(post, "http://HERE:8080"));
  as<upgrade_to_websocket>(from(ws, "https://here:8080"));
  as<ask_backend>(from(request(verb::get, room), "https://evil")); // it cannot read the answer
  session_limits limits;
  limits.origins = {"https://friend"};
  as<ask_backend>(from(post, "https://Friend"), limits);
  refused(from(post, "https://evil"), 403, "Origin", limits);
  limits.origins = {"*"};
  as<upgrade_to_websocket>(from(ws, "https://evil"), limits);
}

TEST_CASE("a WebSocket handshake may name its client and subscribe at once") {
  auto x = as<upgrade_to_websocket>(handshake("/v1/ws?client=phone&conversation=room&after=last:5"))
               .options;
  CHECK(x.who.client == "phone");
  REQUIRE(x.subscribe);
  CHECK(x.subscribe->name.text() == "room");
  CHECK(x.subscribe->from->from.count == 5);
  x = as<upgrade_to_websocket>(handshake("/v1/ws?conversation=room")).options;
  CHECK(x.who.passing());
  CHECK_FALSE(x.subscribe->from);
  CHECK_FALSE(as<upgrade_to_websocket>(handshake("/v1/ws")).options.subscribe);
}

TEST_CASE("a WebSocket handshake with a wrong part is refused by its name") {
  refused(request(verb::get, "/v1/ws"), 426, "upgrade");
  for (const std::string& client : {std::string{}, std::string{"~a"}, std::string{"%ff"},
                                    std::string{"a%c0%af"}, std::string(129, 'a')})
    refused(handshake("/v1/ws?client=" + client), 400, "client");
  as<upgrade_to_websocket>(handshake("/v1/ws?client=" + std::string(128, 'a')));
  refused(handshake("/v1/ws?conversation="), 400, "conversation name");
  refused(handshake("/v1/ws?conversation=a&after=x"), 400, "after");
}

TEST_CASE("made-up clients are passing and all different") {
  CHECK(client_identity{.user = "u", .client = made_up_client()}.passing());
  CHECK(made_up_client() != made_up_client());
}

TEST_CASE("a handshake of another version, or without a key, is refused") {
  auto refused = [](field what, std::string_view value) {
    auto x = handshake("/v1/ws");
    x.set(what, {value.data(), value.size()});
    return as<refuse_request>(x).status;
  };
  CHECK(refused(field::sec_websocket_version, "8") == 426);
  CHECK(refused(field::sec_websocket_version, "13, 8") == 426);
  CHECK(refused(field::sec_websocket_key, "") == 400);
  CHECK(refused(field::sec_websocket_key, "c2hvcnQ=") == 400);
  CHECK(refused(field::upgrade, "h2c") == 426);
  auto x = handshake("/v1/ws");
  x.erase(field::host);
  CHECK(as<refuse_request>(x).status == 400);
}
