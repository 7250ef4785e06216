#include "net/wire/json_object.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <random>

using namespace confab;
using net::wire::json_object;

namespace {

json_object object(std::string_view text) {
  auto x = json_object::parse(text, "frame");
  REQUIRE(x);
  return *x;
}

template <class T>
void refused(const model::result<T>& x, std::string_view begin, std::string_view part = "") {
  REQUIRE_FALSE(x);
  CHECK(x.why().what == model::code::bad_request);
  CAPTURE(x.why().detail);
  CHECK(x.why().detail.starts_with(begin));
  CHECK(x.why().detail.find(part) != std::string::npos);
}

} // namespace

TEST_CASE("members are slices of the original text") {
  auto x = object(" { \"a\" : {\"b\": [1, \"}\\\"]\"]} ,\"n\":1e400, "
                  "\"big\":12345678901234567890123 , \"s\":\"\\u00e4\"} ");
  CHECK(x.raw("a") == R"({"b": [1, "}\"]"]})");
  CHECK(x.raw("n") == "1e400");
  CHECK(x.raw("big") == "12345678901234567890123");
  CHECK(x.raw("s") == R"("\u00e4")");
  CHECK_FALSE(x.raw("b"));
  CHECK_FALSE(x.raw(""));
}

TEST_CASE("of a member that stands there twice the last one counts, also when its key is escaped") {
  CHECK(object(R"({"a":1,"a":2})").raw("a") == "2");
  CHECK(object(R"({"a":1,"\u0061":2})").raw("a") == "2");
}

TEST_CASE("what is not one JSON object in UTF-8 is refused by the name of the thing") {
  for (std::string text : {"",
                           " ",
                           "{",
                           "}",
                           "{}{}",
                           "{},",
                           "[]",
                           "1",
                           "\"a\"",
                           "null",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{a:1}",
                           "{\"a\":1,}",
                           "{\"a\":01}",
                           "{\"a\":+1}",
                           "{\"a\":.5}",
                           "{\"a\":1.}",
                           "{\"a\":NaN}",
                           "{'a':1}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\ud800\"}",
                           "{\"a\":\"\xff\"}",
                           "{\"a\":\"\xc0\xaf\"}",
                           "{\"a\":\"\xed\xa0\x80\"}",
                           "{\"\xff\":1}",
                           "\xef\xbb\xbf{}",
                           "{/**/}",
                           "{\"a\":tru}",
                           "{\"a\":1}x"}) {
    CAPTURE(text);
    refused(json_object::parse(text, "frame"), "frame");
  }
  refused(json_object::parse(std::string_view{"{}\0", 3}, "body"), "body");
}

TEST_CASE("nesting ends at 512 levels, and deeper text is refused, not recursed into") {
  auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(net::wire::valid_json(nested(500)));
  CHECK_FALSE(net::wire::valid_json(nested(514)));
  CHECK_FALSE(net::wire::valid_json(nested(1'000'000)));
}

TEST_CASE("absent and null members are the same") {
  auto x = object(R"({"a":null})");
  for (const char* key : {"a", "b"}) {
    CHECK_FALSE(*x.text(key, 9));
    CHECK_FALSE(*x.number(key, 9));
    CHECK_FALSE(*x.truth(key));
  }
}

TEST_CASE("a member of the wrong kind is refused by its name and the kind that it has") {
  auto x = object(R"({"s":"x","n":1,"t":true,"a":[],"o":{}})");
  const std::pair<const char*, const char*> kinds[] = {
      {"n", "is a number"}, {"a", "is an array"}, {"o", "is an object"}};
  for (auto [key, kind] : kinds) {
    CAPTURE(key);
    refused(x.text(key, 9), std::string{key} + ": must be a string", kind);
    refused(x.truth(key), std::string{key} + ": must be true or false", kind);
  }
  refused(x.number("s", 9), "s: must be a whole number from 0 to 9", "is a string");
  refused(x.number("t", 9), "t: must be");
  refused(x.truth("s"), "s: must be", "is a string");
  refused(x.text("t", 9), "t: must be");
}

TEST_CASE("a text is measured in decoded bytes") {
  CHECK(**object(R"({"s":"\u00e4\n"})").text("s", 3) == "\xc3\xa4\n");
  CHECK(**object(R"({"s":""})").text("s", 0) == "");
  refused(object(R"({"s":"\u00e4\n"})").text("s", 2), "s: has 3 bytes", "at most 2");
}

TEST_CASE("a number is whole and within its bound") {
  CHECK(**object(R"({"n":0})").number("n", 0) == 0);
  CHECK(**object(R"({"n":9007199254740991})").number("n", 9007199254740991) == 9007199254740991);
  for (const char* text :
       {"10", "-1", "-0", "1.0", "1e0", "18446744073709551616", "99999999999999999999999"}) {
    CAPTURE(text);
    std::string json = std::string{"{\"n\":"} + text + '}';
    refused(object(json).number("n", 9), "n: must be a whole number from 0 to 9");
  }
}

TEST_CASE("the elements of an array are slices, and other values have none") {
  using slices = std::vector<std::string_view>;
  CHECK(*net::wire::elements("[]") == slices{});
  CHECK(*net::wire::elements(" [ 1 , \"],[\" , [2,3] ,{\"a\":[]} , null ] ") ==
        slices{"1", "\"],[\"", "[2,3]", "{\"a\":[]}", "null"});
  CHECK_FALSE(net::wire::elements("{}"));
  CHECK_FALSE(net::wire::elements("\"[]\""));
}

TEST_CASE("a string that was added parses back") {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    std::string text;
    for (auto n = random() % 20; n > 0; --n) {
      if (random() % 4 == 0)
        text += "\xe2\x82\xac";
      else
        text += static_cast<char>(random() % 128);
    }
    std::string json;
    net::wire::add_string(json, text);
    CHECK(net::wire::valid_json(json));
    CHECK(nlohmann::json::parse(json).get<std::string>() == text);
  }
}

TEST_CASE("damaged JSON is either refused or has readable members") {
  const std::string good =
      R"({"op":"publish","a":[1,{"b":"\u00e4\\"}],"n":-1.5e3,"t":true,"z":null})";
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    auto text = good;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      auto at = random() % text.size();
      if (random() % 2)
        text[at] = good[random() % good.size()];
      else
        text.erase(at, 1);
    }
    auto x = json_object::parse(text, "frame");
    CHECK(static_cast<bool>(x) ==
          (nlohmann::json::accept(text) && nlohmann::json::parse(text).is_object()));
    if (!x)
      continue;
    auto same = nlohmann::json::parse(text);
    for (const auto& [key, value] : same.items()) {
      REQUIRE(x->raw(key));
      CHECK(nlohmann::json::parse(*x->raw(key)) == value);
    }
  }
}
