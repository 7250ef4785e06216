// From a request to /v1/stream/{name} to one decision.
#include "net/http_route.hpp"
#include "net/wire/formats.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::net;
using boost::beast::http::field;
using boost::beast::http::verb;
using model::code;

namespace {

using fields = std::initializer_list<std::pair<const char*, std::string>>;

http_request request(verb method, std::string_view target, fields more = {},
                     std::string body = {}) {
  http_request x{method, {target.data(), target.size()}, 11};
  x.set(field::host, "here:8080");
  for (const auto& [name, value] : more)
    x.insert(name, value);
  x.body() = std::move(body);
  return x;
}

template <class T>
T as(const http_request& x, const session_limits& limits = {}) {
  auto got = route_of(x, limits);
  if (const auto* no = std::get_if<refuse_request>(&got))
    FAIL(no->why.detail);
  REQUIRE(std::holds_alternative<stream_route>(got));
  REQUIRE(std::holds_alternative<T>(std::get<stream_route>(got)));
  return std::get<T>(std::get<stream_route>(std::move(got)));
}

template <class T>
T command_of(const http_request& x) {
  auto got = as<ask_stream>(x);
  REQUIRE(std::holds_alternative<T>(got.what));
  return std::get<T>(std::move(got.what));
}

unsigned status_of(const http_request& x, const session_limits& limits = {}) {
  auto got = route_of(x, limits);
  REQUIRE(std::holds_alternative<refuse_request>(got));
  const auto& no = std::get<refuse_request>(got);
  return no.status != 0 ? no.status : wire::status_of(no.why.what);
}

http_request append(std::string body, std::string type, fields more = {}) {
  auto x = request(verb::post, "/v1/stream/s", more, std::move(body));
  if (!type.empty())
    x.set(field::content_type, type);
  return x;
}

std::vector<std::string> payloads(const http_request& x) {
  std::vector<std::string> result;
  auto command = command_of<publish_command>(x);
  for (const auto& y : command.drafts->drafts)
    result.push_back(y.payload);
  return result;
}

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("a stream's name has raw slashes, and other paths are none") {
  CHECK(command_of<delete_command>(request(verb::delete_, "/v1/stream/a/b%2Fc:d")).name.text() ==
        "a/b/c:d");
  CHECK(command_of<info_command>(request(verb::head, "/v1/stream/a")).name.text() == "a");
  CHECK(status_of(request(verb::get, "/v1/stream")) == 404);
  CHECK(status_of(request(verb::get, "/v1/stream/__ds/subscriptions/x")) == 404);
  CHECK(status_of(request(verb::get, "/v1/stream/a/../b")) == 400);
  CHECK(status_of(request(verb::patch, "/v1/stream/a")) == 405);
}

TEST_CASE("an append takes JSON apart once, and anything else as it is") {
  CHECK(payloads(append("[1,[2,3],{\"a\":[]}]", "application/json")) ==
        strings{"1", "[2,3]", "{\"a\":[]}"});
  CHECK(payloads(append(" {\"a\": 1}\n", "application/json; charset=utf-8")) ==
        strings{"{\"a\": 1}"});
  CHECK(payloads(append("[1]", "text/plain")) == strings{"[1]"});
  CHECK(payloads(append(std::string{"\0\xff", 2}, "image/png")) == strings{{"\0\xff", 2}});
  auto where =
      command_of<publish_command>(append("x", "text/x", {{"Stream-Seq", "7"}})).drafts->where;
  CHECK(where.must_exist);
  CHECK(where.content_type == "text/x");
  CHECK(where.stream_seq == "7");
  CHECK(where.numbering == model::numbering::from_zero);
  CHECK_FALSE(where.closes);
}

TEST_CASE("an append that says nothing, or not what it is, is refused") {
  CHECK(status_of(append("", "text/plain")) == 400);
  CHECK(status_of(append("[]", "application/json")) == 400);
  CHECK(status_of(append("{", "application/json")) == 400);
  CHECK(status_of(append("x", "")) == 400);
  CHECK(status_of(append("x", "nonsense")) == 400);
  session_limits small;
  small.wire.payload_bytes = 3;
  CHECK(status_of(append("four", "text/plain"), small) == 413);
  CHECK(status_of(append("[1,22222]", "application/json"), small) == 413);
  std::string many = "[0";
  for (std::size_t i = 0; i < model::drafts_max; ++i)
    many += ",0";
  CHECK(status_of(append(many + "]", "application/json")) == 413);
  CHECK(status_of(append("x", "text/plain", {{"Producer-Id", "p"}})) == 400);
}

TEST_CASE("closing needs no body and no content type") {
  auto x = as<ask_stream>(append("", "", {{"Stream-Closed", "true"}}));
  CHECK(x.how.empty);
  const auto& batch = *std::get<publish_command>(x.what).drafts;
  CHECK(batch.drafts.empty());
  CHECK(batch.where.closes);
}

TEST_CASE("an append by a producer carries its number") {
  auto x = as<ask_stream>(append(
      "x", "text/plain", {{"Producer-Id", "p"}, {"Producer-Epoch", "2"}, {"Producer-Seq", "5"}}));
  const auto& batch = *std::get<publish_command>(x.what).drafts;
  CHECK(batch.producer == "p");
  CHECK(batch.producer_epoch == 2);
  CHECK(batch.producer_seq == 5);
  CHECK(x.how.producer->number == 5);
}

TEST_CASE("a created stream has a type, a lifetime, first entries and a location") {
  auto x = as<ask_stream>(request(
      verb::put, "/v1/stream/a/b?x=1",
      {{"Content-Type", "application/json"}, {"Stream-TTL", "60"}, {"Stream-Closed", "true"}},
      "[1,2]"));
  const auto& made = *std::get<create_command>(x.what).what;
  CHECK(made.content_type == "application/json");
  CHECK(made.lifetime.ttl_s == 60);
  CHECK(made.closed);
  CHECK(made.drafts.size() == 2);
  CHECK_FALSE(made.fork);
  CHECK(x.how.location == "http://here:8080/v1/stream/a/b");
  auto plain = command_of<create_command>(request(verb::put, "/v1/stream/a"));
  CHECK(plain.what->content_type == "application/octet-stream");
  CHECK(plain.what->drafts.empty());
  auto empty = command_of<create_command>(
      request(verb::put, "/v1/stream/a", {{"Content-Type", "application/json"}}, "[]"));
  CHECK(empty.what->drafts.empty());
  auto fork = command_of<create_command>(
      request(verb::put, "/v1/stream/a", {{"Stream-Forked-From", "/v1/stream/b"}}));
  CHECK(fork.what->content_type.empty());
  CHECK(fork.what->fork->source.text() == "b");
  CHECK(status_of(request(verb::put, "/v1/stream/a", {{"Stream-Forked-From", "/v1/stream/b"}},
                          "body of no type")) == 400);
  CHECK(status_of(request(verb::put, "/v1/stream/a", {{"Stream-TTL", "1e3"}})) == 400);
}

TEST_CASE("a read is of what is there, of what comes, or both") {
  auto read = as<ask_stream>(request(verb::get, "/v1/stream/a"));
  CHECK(read.how.what == stream_question::kind::read);
  CHECK_FALSE(read.how.at_offset);
  CHECK(std::get<page_command>(read.what).from.from.what == model::after::form::start);
  auto at = as<ask_stream>(request(verb::get, "/v1/stream/a?offset=0000000000000041_e.1_5-0"));
  CHECK(at.how.at_offset);
  CHECK(std::get<page_command>(at.what).from.from.at == model::seq{41});
  auto wait =
      as<wait_on_stream>(request(verb::get, "/v1/stream/a?offset=now&live=long-poll&cursor=17"));
  CHECK(wait.how.what == stream_question::kind::wait);
  CHECK(wait.how.cursor == 17);
  auto follow = as<follow_stream>(request(verb::get, "/v1/stream/a?live=sse&offset=-1&cursor=x"));
  CHECK(follow.from.from.what == model::after::form::start);
  CHECK_FALSE(follow.cursor);
  for (const auto* query : {"?offset=", "?offset=5", "?offset=-1&offset=-1", "?live=sse",
                            "?live=long-poll", "?offset=-1&live=other", "?offset=a,b"}) {
    CAPTURE(query);
    CHECK(status_of(request(verb::get, std::string{"/v1/stream/a"} + query)) == 400);
  }
}
