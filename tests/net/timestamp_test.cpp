#include "net/timestamp.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab::net;

TEST_CASE("an RFC 3339 timestamp means its moment, in any zone and precision") {
  CHECK(parse_timestamp("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_timestamp("2026-11-20T16:20:04.123Z") == 1'795'191'604'123);
  CHECK(parse_timestamp("2026-11-20t16:20:04.123456789z") == 1'795'191'604'123);
  CHECK(parse_timestamp("2026-11-20T17:20:04.1+01:00") == 1'795'191'604'100);
  CHECK(parse_timestamp("2026-11-20T10:50:04-05:30") == 1'795'191'604'000);
  CHECK(parse_timestamp("2024-02-29T23:59:60Z") == parse_timestamp("2024-02-29T23:59:59Z"));
  CHECK(parse_timestamp("1969-12-31T23:59:59.999Z") == -1);
}

TEST_CASE("what is not a timestamp, or a date that does not exist, is none") {
  for (const auto* text : {"",
                           "now",
                           "2026-11-20",
                           "2026-11-20T16:20Z",
                           "2026-11-20 16:20:04Z",
                           "2026-11-20T16:20:04",
                           "2026-02-29T00:00:00Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-10T00:00:00Z",
                           "2026-11-20T24:00:00Z",
                           "2026-11-20T16:60:04Z",
                           "2026-11-20T16:20:61Z",
                           "2026-11-20T16:20:04.Z",
                           "2026-11-20T16:20:04.1234567890Z",
                           "2026-11-20T16:20:04+1:00",
                           "2026-11-20T16:20:04+24:00",
                           "2026-11-20T16:20:04+0100",
                           "2026-11-20T16:20:04Z ",
                           "+026-11-20T16:20:04Z",
                           "20261120T162004Z",
                           "2026-11-20T16:20:-4Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_timestamp(text));
  }
}

TEST_CASE("a moment's text means that moment") {
  CHECK(timestamp_text(1'795'191'604'123) == "2026-11-20T16:20:04.123Z");
  CHECK(timestamp_text(0) == "1970-01-01T00:00:00.000Z");
  std::mt19937_64 random{7};
  for (int i = 0; i < 1000; ++i) {
    auto ms = std::uniform_int_distribution<std::int64_t>{-62'000'000'000'000,
                                                          253'402'300'799'999}(random);
    CAPTURE(ms);
    CHECK(parse_timestamp(timestamp_text(ms)) == ms);
  }
}
