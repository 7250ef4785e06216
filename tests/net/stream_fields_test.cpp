#include "net/stream_fields.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::net;
using model::code;

namespace {

http_request with(std::initializer_list<std::pair<const char*, std::string>> fields) {
  http_request x{boost::beast::http::verb::post, "/v1/stream/s", 11};
  for (const auto& [name, value] : fields)
    x.insert(name, value);
  return x;
}

std::string offset_of(std::string_view text) {
  auto got = parse_offset(text);
  if (!got)
    return std::string{to_string(got.why().what)};
  switch (got->from.what) {
  case model::after::form::start:
    return "start";
  case model::after::form::now:
    return "now";
  default:
    return std::to_string(got->from.at.value) + (got->epoch ? '@' + got->epoch->text : "");
  }
}

} // namespace

TEST_CASE("only the value true closes a stream") {
  CHECK(closing_field(with({{"Stream-Closed", "true"}})));
  CHECK(closing_field(with({{"stream-closed", "TRUE"}})));
  for (const auto* value : {"", "1", "yes", "false", "true,true"})
    CHECK_FALSE(closing_field(with({{"Stream-Closed", value}})));
  CHECK_FALSE(closing_field(with({})));
}

TEST_CASE("a stream lives for plain seconds, or until a timestamp, not both") {
  CHECK(*lifetime_fields(with({})) == model::lifetime{});
  CHECK(lifetime_fields(with({{"Stream-TTL", "0"}}))->ttl_s == 0);
  CHECK(lifetime_fields(with({{"Stream-TTL", "3600"}}))->ttl_s == 3600);
  CHECK(lifetime_fields(with({{"Stream-Expires-At", "1970-01-01T00:00:01Z"}}))->expires_ms == 1000);
  for (const auto* bad : {"", "-1", "+1", "01", "1.0", "1e3", "4294967296", "x"}) {
    CAPTURE(bad);
    CHECK(lifetime_fields(with({{"Stream-TTL", bad}})).why().what == code::bad_request);
  }
  CHECK_FALSE(lifetime_fields(with({{"Stream-Expires-At", "soon"}})));
  CHECK_FALSE(
      lifetime_fields(with({{"Stream-TTL", "1"}, {"Stream-Expires-At", "2030-01-01T00:00:00Z"}})));
  CHECK_FALSE(lifetime_fields(with({{"Stream-TTL", "1"}, {"Stream-TTL", "1"}})));
}

TEST_CASE("a writer's sequence is any text of 1 to 256 bytes") {
  CHECK(stream_seq_field(with({}))->empty());
  CHECK(*stream_seq_field(with({{"Stream-Seq", "Z 9"}})) == "Z 9");
  CHECK(stream_seq_field(with({{"Stream-Seq", std::string(256, 'x')}})));
  CHECK_FALSE(stream_seq_field(with({{"Stream-Seq", std::string(257, 'x')}})));
  CHECK_FALSE(stream_seq_field(with({{"Stream-Seq", ""}})));
  CHECK_FALSE(stream_seq_field(with({{"Stream-Seq", "1"}, {"Stream-Seq", "2"}})));
}

TEST_CASE("a producer gives id, epoch and number, or nothing") {
  auto producer = [](std::string id, std::string epoch, std::string number) {
    return producer_fields(
        with({{"Producer-Id", id}, {"Producer-Epoch", epoch}, {"Producer-Seq", number}}));
  };
  CHECK_FALSE(*producer_fields(with({})));
  auto x = producer("p", "3", "9007199254740991");
  REQUIRE(x);
  CHECK((*x)->id == "p");
  CHECK((*x)->epoch == 3);
  CHECK((*x)->number == 9007199254740991);
  for (const auto& id : {std::string{}, std::string{"~x"}, std::string{"=x"}, std::string(129, 'x'),
                         std::string{"\xc3\xa4"}})
    CHECK(producer(id, "0", "0").why().what == code::bad_producer);
  for (const auto* number : {"", "-1", "1abc", "00", "1.5", "9007199254740992", "1e3"})
    CHECK(producer("p", "0", number).why().what == code::bad_producer);
  CHECK_FALSE(producer("p", "4294967296", "0"));
  CHECK_FALSE(producer_fields(with({{"Producer-Id", "p"}})));
  CHECK_FALSE(producer_fields(with({{"Producer-Epoch", "0"}, {"Producer-Seq", "0"}})));
}

TEST_CASE("a fork names its source by path, and perhaps a place in it") {
  CHECK_FALSE(*fork_fields(with({})));
  auto whole = fork_fields(with({{"Stream-Forked-From", "/v1/stream/a%2Fb/c"}}));
  REQUIRE(whole);
  CHECK((*whole)->source.text() == "a/b/c");
  CHECK_FALSE((*whole)->at);
  auto part = fork_fields(with({{"Stream-Forked-From", "/v1/stream/a"},
                                {"Stream-Fork-Offset", "0000000000000007_e.1_5-0"},
                                {"Stream-Fork-Sub-Offset", "3"}}));
  REQUIRE(part);
  CHECK((*part)->at == model::position{{"e.1"}, {7}, {5, 0}});
  CHECK((*part)->beyond == 3);
  auto zero = fork_fields(with({{"Stream-Forked-From", "/v1/stream/a"},
                                {"Stream-Fork-Offset", "0000000000000000_0000000000000000"}}));
  REQUIRE(zero);
  CHECK((*zero)->at == model::position{});
  for (const auto* path : {"", "a", "/a", "/v1/stream/", "/v1/stream/a?x=1", "/v1/streams/a",
                           "http://here/v1/stream/a", "/v1/stream/a b", "/v1/stream/%zz"}) {
    CAPTURE(path);
    CHECK_FALSE(fork_fields(with({{"Stream-Forked-From", path}})));
  }
  CHECK_FALSE(fork_fields(with({{"Stream-Fork-Offset", "0000000000000007_e.1_5-0"}})));
  CHECK_FALSE(fork_fields(with({{"Stream-Fork-Sub-Offset", "0"}})));
  CHECK_FALSE(
      fork_fields(with({{"Stream-Forked-From", "/v1/stream/a"}, {"Stream-Fork-Sub-Offset", "1"}})));
  CHECK_FALSE(fork_fields(with({{"Stream-Forked-From", "/v1/stream/a"},
                                {"Stream-Fork-Offset", "9999999999999999_9999999999999999"}})));
}

TEST_CASE("an offset is a word of the protocol or one that the server sent") {
  CHECK(offset_of("-1") == "start");
  CHECK(offset_of("now") == "now");
  CHECK(offset_of("0000000000000041_k3f9.1_1698249600123-0") == "41@k3f9.1");
  CHECK(offset_of("0000000000000000_0000000000000000") == "0");
  for (const auto* text : {"", "0", "41", "start", "last:5", "-2", "NOW", "1698249600123-0",
                           "0000000000000041_k3f9.1_1698249600123-0,", "a/b", "41_k3f9.1_1-0",
                           "0000000000000041_K_1-0", "0000000000000041_k_1"}) {
    CAPTURE(text);
    CHECK(offset_of(text) == "bad_after");
  }
}

TEST_CASE("a cursor is the interval of now, or beyond the reader's own") {
  // 2024-10-09 and a hundred intervals of 20 seconds.
  constexpr std::int64_t now = 1'728'432'000'000 + 100 * 20'000;
  CHECK(next_cursor(std::nullopt, now) == 100);
  CHECK(next_cursor(99, now + 19'999) == 100);
  CHECK(next_cursor(std::nullopt, 0) == 0);
  for (std::uint64_t own : {100, 101, 5000})
    for (int i = 0; i < 50; ++i) {
      auto got = next_cursor(own, now);
      CHECK(got > own);
      CHECK(got <= own + 180);
    }
  CHECK(parse_cursor("17") == 17);
  for (const auto* text : {"", "abc", "-1", "1x", "9007199254740992"})
    CHECK_FALSE(parse_cursor(text));
}

TEST_CASE("an entity tag is found in a list, weak or strong, as a whole") {
  CHECK(names_etag("\"a\"", "\"a\""));
  CHECK(names_etag("\"b\" , W/\"a\"", "\"a\""));
  CHECK(names_etag("*", "\"a\""));
  for (const auto* list : {"", "a", "\"A\"", "\"a", "\"ab\"", ",,", "\"b\", \"c\""})
    CHECK_FALSE(names_etag(list, "\"a\""));
}
