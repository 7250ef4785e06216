// Names, ids, epochs and positions: what is one, and which hostile texts are not.
#include "model/entry.hpp"
#include "model/name.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab::model;

TEST_CASE("a name holds its allowed characters, in segments that are neither empty nor dots") {
  for (const char* text : {"a", "room:1", "A-Z_a.z/0@9", "a/b/c", "...", "a/.b", "..a", "__dsx",
                           "a/__ds", "_", "@", ":"}) {
    CAPTURE(text);
    auto name = conversation_name::parse(text);
    REQUIRE(name);
    CHECK(name->text() == text);
  }
  for (const char* text : {"",       "/",   "/a",   "a/",     "a//b", ".",    "..",    "a/.",
                           "a/../b", "./a", "__ds", "__ds/a", "a b",  "a\nb", "a%2Fb", "\xc3\xa4",
                           "a?",     "a#",  "a\\b", "a\"",    "a*",   "~a",   "a,b",   "\x7f"}) {
    CAPTURE(text);
    auto name = conversation_name::parse(text);
    REQUIRE_FALSE(name);
    CHECK(name.why().what == code::bad_name);
    CHECK(name.why().detail.starts_with("conversation name: "));
  }
}

TEST_CASE("a name has at most 256 bytes, and no byte outside its alphabet") {
  CHECK(conversation_name::parse(std::string(256, 'a')));
  CHECK_FALSE(conversation_name::parse(std::string(257, 'a')));
  const std::string_view allowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:/@";
  for (int c = 0; c < 256; ++c) {
    CAPTURE(c);
    std::string text{'a', static_cast<char>(c), 'a'};
    auto fine = allowed.find(static_cast<char>(c)) != std::string_view::npos;
    CHECK(static_cast<bool>(conversation_name::parse(text)) == fine);
  }
}

TEST_CASE("an id parses back from its text, and nothing else does") {
  for (auto x :
       {entry_id{}, entry_id{1698249600123, 0}, entry_id{1, 9}, entry_id{~0ull >> 1, ~0ull >> 1}})
    CHECK(parse_entry_id(to_string(x)) == x);
  for (const char* text : {"", "-", "1", "1-", "-1", "1--1", "+1-1", "1-+1", " 1-1", "1-1 ",
                           "1-1-1", "0x1-1", "a-b", "1.5-0", "9223372036854775808-0",
                           "0-9223372036854775808", "99999999999999999999999-0", "1_1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_entry_id(text));
  }
}

TEST_CASE("ids rise, also when the clock stands still, jumps back or is before 1970") {
  CHECK(next_id({}, 1000) == entry_id{1000, 0});
  CHECK(next_id({1000, 0}, 1000) == entry_id{1000, 1});
  CHECK(next_id({1000, 7}, 999) == entry_id{1000, 8});
  CHECK(next_id({}, 0) == entry_id{0, 1});
  CHECK(next_id({}, -5) == entry_id{0, 1});
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    entry_id last;
    for (int i = 0; i < 200; ++i) {
      auto next = next_id(last, static_cast<std::int64_t>(random() % 2000) - 200);
      CHECK(next > last);
      last = next;
    }
  }
}

TEST_CASE("an epoch has 1 to 32 bytes of a-z 0-9 and dots") {
  CHECK(parse_epoch("k3f9.12")->text == "k3f9.12");
  CHECK(parse_epoch(std::string(32, 'z')));
  for (const auto& text :
       {std::string{}, std::string(33, 'z'), std::string{"A"}, std::string{"a_b"},
        std::string{"a b"}, std::string{"a-b"}, std::string{'a', '\0'}}) {
    CAPTURE(text);
    CHECK_FALSE(parse_epoch(text));
  }
}

TEST_CASE("a position parses back from its text, whose order is that of its seq") {
  for (const auto& x :
       {position{}, position{epoch{"k3.1"}, {42}, {1698249600123, 7}}, position{{}, {1}, {}},
        position{epoch{std::string(32, 'z')}, seq_max, {~0ull >> 1, ~0ull >> 1}}}) {
    CAPTURE(to_string(x));
    CHECK(parse_position(to_string(x)) == x);
  }
  CHECK(to_string(position{epoch{"e"}, {42}, {9, 1}}) == "0000000000000042_e_9-1");
  CHECK(to_string(position{epoch{"e"}, {9}, {9, 1}}) <
        to_string(position{epoch{"e"}, {10}, {1, 1}}));
}

TEST_CASE("a text that only resembles a position is none") {
  const std::string good = "0000000000000042_e_9-1";
  REQUIRE(parse_position(good));
  for (const char* text :
       {"", "_", "__", "42_e_9-1", "00000000000000042_e_9-1", "0000000000000042",
        "0000000000000042_e", "0000000000000042_9-1", "0000000000000042_e_", "0000000000000042_e_9",
        "0000000000000042_e_f_9-1", "0000000000000042_E_9-1", "+000000000000042_e_9-1",
        "-000000000000042_e_9-1", " 000000000000042_e_9-1", "9007199254740992_e_9-1",
        "000000000000004x_e_9-1", "0000000000000042_e_9-1\n", "0000000000000042_e_-9-1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_position(text));
  }
  for (std::size_t i = 0; i < good.size(); ++i)
    CHECK_FALSE(parse_position(good.substr(0, i)));
}

TEST_CASE("every parser survives random bytes, and what it takes it writes back alike") {
  const std::string_view alphabet{"0123456789-_.ae+ \0\n\xff", 20};
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    std::string text = random() % 2 ? "" : "0000000000000042_e_9-1";
    for (auto n = random() % 6; n > 0; --n)
      text.insert(random() % (text.size() + 1), 1, alphabet[random() % alphabet.size()]);
    if (auto x = parse_position(text))
      CHECK(parse_position(to_string(*x)) == x);
    if (auto x = parse_entry_id(text))
      CHECK(parse_entry_id(to_string(*x)) == x);
    if (auto x = parse_epoch(text))
      CHECK(x->text == text);
  }
}

TEST_CASE("every text of an entry and a batch counts") {
  entry bare;
  entry x;
  x.sender = x.kind = x.payload = x.producer = x.message = x.source_id = "0123456789";
  CHECK(weight(x) == weight(bare) + 60);
  batch empty;
  batch one{.drafts = {draft{"12", "34", "56", "78", "90"}}, .producer = "abc", .where = {}};
  CHECK(one.bytes() >= empty.bytes() + 13);
}
