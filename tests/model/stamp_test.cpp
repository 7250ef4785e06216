#include "model/send_times.hpp"
#include "model/stamp.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <set>
#include <string>

using namespace confab::model;

namespace {

stamp any_stamp(std::mt19937_64& random) {
  auto bits = [&](unsigned of) { return random() >> (random() % of) >> (64 - of); };
  return {static_cast<std::uint32_t>(bits(32)), bits(64), static_cast<std::int64_t>(bits(63)),
          static_cast<std::uint32_t>(random())};
}

} // namespace

TEST_CASE("a stamp comes back as it was, at every size that has its full form") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    for (std::size_t bytes = stamp_bytes_min; bytes < stamp_bytes_min + 200; ++bytes) {
      auto x = any_stamp(random);
      std::string out = "before";
      add_stamp(out, x, bytes);
      REQUIRE(out.size() == 6 + bytes);
      CHECK(parse_stamp(out.substr(6)) == x);
    }
  }
}

TEST_CASE("the longest stamp fits the smallest full form") {
  const stamp x{std::numeric_limits<std::uint32_t>::max(),
                std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::int64_t>::max(),
                0xffffffff};
  std::string out;
  add_stamp(out, x, stamp_bytes_min);
  CHECK(out == "\"4294967295-18446744073709551615-9223372036854775807-ffffffff-x\"");
  CHECK(parse_stamp(out) == x);
}

TEST_CASE("a compact stamp keeps what the header promises, in eight bytes and more") {
  std::mt19937_64 random{7};
  for (std::size_t bytes = compact_stamp_bytes_min; bytes < stamp_bytes_min; ++bytes) {
    auto x = any_stamp(random);
    std::string out;
    add_stamp(out, x, bytes);
    REQUIRE(out.size() == bytes);
    CHECK(parse_stamp(out) == compacted(x));
  }
}

TEST_CASE("no text but a whole stamp is one: every changed byte of a small stamp is another stamp "
          "or none") {
  const stamp x{7, 123, 1'700'000'000'000, conversation_check("room/1")};
  for (std::size_t bytes : {std::size_t{10}, std::size_t{12}, std::size_t{64}, std::size_t{100}}) {
    std::string whole;
    add_stamp(whole, x, bytes);
    const auto right = parse_stamp(whole);
    REQUIRE(right);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (int c = 0; c < 256; ++c) {
        auto changed = whole;
        changed[at] = static_cast<char>(c);
        if (changed != whole)
          CHECK(parse_stamp(changed) != right);
      }
      CHECK(parse_stamp(whole.substr(0, at)) != right);
      CHECK_FALSE(parse_stamp(whole.substr(at + 1)) == right);
    }
  }
}

TEST_CASE("texts that only look like stamps are none") {
  auto padded = [](std::string text) {
    text.resize(stamp_bytes_min - 2, 'x');
    return '"' + text + '"';
  };
  CHECK(parse_stamp(padded("7-123-5-0000abcd-")));
  for (const auto* text :
       {"", "x", "07-123-5-0000abcd-", "7-0123-5-0000abcd-", "7-123--5-0000abcd-",
        "+7-123-5-0000abcd-", "7-123-5-0000ABCD-", "7-123-5-0000abcd", "7-123-5-0000abc-",
        "4294967296-123-5-0000abcd-", "7-18446744073709551616-5-0000abcd-",
        "7-123-9223372036854775808-0000abcd-", "7-123-5-0000abcd-y", " 7-123-5-0000abcd-",
        "7 123-5-0000abcd-"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_stamp(padded(text)));
  }
  for (const auto* text : {"", "\"", "\"\"", "\"0000000\"", "\"0000000 \"", "00000000xx",
                           "\"00000000y\"", "\"000000\\u\"", "{\"text\":1}", "[1,2,3,4,5]"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_stamp(text));
  }
}

TEST_CASE(
    "the names of a test's conversations have different checks, also compact ones nearly all") {
  std::set<std::uint32_t> whole, compact;
  for (int i = 0; i < 1000; ++i) {
    auto check = conversation_check("load/room/" + std::to_string(i));
    whole.insert(check);
    compact.insert(check & compact_check_mask);
  }
  CHECK(whole.size() == 1000);
  // 1,000 names on 4,096 values: 888 are expected to be in use.
  CHECK(compact.size() > 800);
}

TEST_CASE("send times are known for the newest numbers of each line, and for no others") {
  constexpr std::int64_t begin = 1'000'000'000'000;
  send_times times{3, 100, begin}; // 128 slots
  for (std::uint64_t n = 1; n <= 1000; ++n)
    times.note(1, n, begin + static_cast<std::int64_t>(n) - 1);
  for (std::uint64_t n = 1; n <= 872; ++n)
    CHECK_FALSE(times.of(1, n));
  for (std::uint64_t n = 873; n <= 1000; ++n)
    CHECK(times.of(1, n) == begin + static_cast<std::int64_t>(n) - 1);
  CHECK_FALSE(times.of(1, 1001));
  CHECK_FALSE(times.of(0, 1000));
  CHECK_FALSE(times.of(2, 1000));
  CHECK_FALSE(times.of(3, 1000));
}
