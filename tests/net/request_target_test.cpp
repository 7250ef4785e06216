#include "net/request_target.hpp"

#include <doctest/doctest.h>

using namespace confab::net;
using texts = std::vector<std::string>;

TEST_CASE("a path is cut at its slashes before it is decoded") {
  CHECK(parse_target("/")->segments.empty());
  CHECK(parse_target("/a/b")->segments == texts{"a", "b"});
  CHECK(parse_target("/a//b")->segments == texts{"a", "", "b"});
  CHECK(parse_target("/room%2F1/x")->segments == texts{"room/1", "x"});
  CHECK(parse_target("/%c3%A4")->segments == texts{"\xc3\xa4"});
  CHECK(parse_target("/a%3Fb?c")->segments == texts{"a?b"});
  CHECK(parse_target("/%252F")->segments == texts{"%2F"});
}

TEST_CASE("plus is a space in the query alone") {
  auto x = parse_target("/a+b?c+d=e+f%2B");
  REQUIRE(x);
  CHECK(x->segments == texts{"a+b"});
  CHECK(x->parameter("c d") == "e f+");
}

TEST_CASE("of a parameter that stands there twice the first value counts") {
  auto x = parse_target("/?a=1&b&a=2&c==&%61=3&d=x?y/z&e=");
  REQUIRE(x);
  CHECK(x->segments.empty());
  CHECK(x->parameter("a") == "1");
  CHECK(x->parameter("b") == "");
  CHECK(x->parameter("c") == "=");
  CHECK(x->parameter("d") == "x?y/z");
  CHECK(x->parameter("e") == "");
  CHECK_FALSE(x->parameter("f"));
}

TEST_CASE("an encoded ampersand or equals sign separates nothing") {
  auto x = parse_target("/?a=1%26b%3D2");
  REQUIRE(x);
  CHECK(x->parameter("a") == "1&b=2");
  CHECK_FALSE(x->parameter("b"));
}

TEST_CASE("a query may be empty") {
  CHECK(parse_target("/a?")->query.empty());
  CHECK(parse_target("/a")->query.empty());
}

TEST_CASE("what is not origin-form, or has a broken percent escape, is none") {
  for (const char* text : {"", "a", "*", "?a", "http://x/a", "/%", "/%4", "/%4g", "/%g4", "/a%",
                           "/a/%zz/b", "/?a=%", "/?%=a", "/?a=1&b=%2", "/%-1", "/% 1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_target(text));
  }
}

TEST_CASE("every byte can be written as an escape") {
  for (int c = 0; c < 256; ++c) {
    CAPTURE(c);
    const char* digits = "0123456789ABCDEF";
    std::string text{'/', '%', digits[c / 16], digits[c % 16]};
    auto x = parse_target(text);
    REQUIRE(x);
    CHECK(x->segments == texts{std::string(1, static_cast<char>(c))});
  }
}
