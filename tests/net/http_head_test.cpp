#include "net/http_head.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace confab;
using namespace confab::net;
using boost::beast::http::field;

namespace {

const std::string host = "Host: here\r\n";

request_head parsed(const std::string& text) {
  CAPTURE(text);
  auto x = parse_head(text);
  REQUIRE(std::holds_alternative<request_head>(x));
  return std::get<request_head>(std::move(x));
}

unsigned refused(const std::string& text) {
  CAPTURE(text);
  auto x = parse_head(text);
  REQUIRE(std::holds_alternative<head_refusal>(x));
  return std::get<head_refusal>(x).status;
}

std::string get(const std::string& fields) {
  return "GET / HTTP/1.1\r\n" + host + fields + "\r\n";
}

/// Decodes a body that arrives in pieces. Nothing: it was refused.
std::optional<std::string> decoded(const std::string& text, std::size_t piece, bool& done,
                                   std::size_t& used) {
  body_decoder x{{body_framing::kind::chunked, 0}};
  std::string in, out;
  used = 0;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    in += text.substr(at, piece);
    while (true) {
      auto step = x.next(in);
      if (step.bad)
        return std::nullopt;
      if (step.used == 0)
        break;
      out += step.piece;
      in.erase(0, step.used);
      used += step.used;
    }
  }
  done = x.done();
  return out;
}

} // namespace

TEST_CASE("a head becomes method, target, version and fields") {
  auto x =
      parsed("POST /a?b=c HTTP/1.1\r\nhost: here:80\r\nX-A:  b c \t\r\nContent-Length: 12\r\n\r\n");
  CHECK(x.request.method_string() == "POST");
  CHECK(x.request.target() == "/a?b=c");
  CHECK(x.request.version() == 11);
  CHECK(x.request[field::host] == "here:80");
  CHECK(x.request["x-a"] == "b c");
  CHECK(x.body.what == body_framing::kind::length);
  CHECK(x.body.length == 12);
  CHECK(parsed(get("Transfer-Encoding: Chunked\r\n")).body.what == body_framing::kind::chunked);
  CHECK(parsed("BREW / HTTP/1.0\r\n\r\n").request.method_string() == "BREW");
}

TEST_CASE("an absolute target counts as its path, and its authority as the host") {
  auto x = parsed("GET http://there:1/a HTTP/1.1\r\n" + host + "\r\n").request;
  CHECK(x.target() == "/a");
  CHECK(x[field::host] == "there:1");
  CHECK(parsed("GET http://there?a HTTP/1.1\r\n" + host + "\r\n").request.target() == "/?a");
  CHECK(parsed("OPTIONS * HTTP/1.1\r\n" + host + "\r\n").request.target() == "*");
}

TEST_CASE("what two readers could understand in two ways is refused") {
  for (const std::string& fields : std::initializer_list<std::string>{
           "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
           "Content-Length: 1\r\nContent-Length: 1\r\n",
           "Content-Length: 1, 1\r\n",
           "Content-Length: +1\r\n",
           "Content-Length: 0x1\r\n",
           "Content-Length:\r\n",
           "Content-Length: 99999999999999999999999\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "A: b\r\n c\r\n",
           "A: b\r\n\tc\r\n",
           "A : b\r\n",
           " A: b\r\n",
           "A: b\rc\r\n",
           "A: b\nB: c\r\n",
           std::string{"A: b\0c\r\n", 8},
           "A\r\n",
           ": b\r\n",
           "A(: b\r\n",
           "Host: other\r\n"})
    CHECK(refused(get(fields)) == 400);
  CHECK(refused(get("Transfer-Encoding: gzip, chunked\r\n")) == 501);
  CHECK(refused("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
}

TEST_CASE("a request line has one form, and a host") {
  for (const char* line :
       {"GET", "GET /", "GET  / HTTP/1.1x", " GET / HTTP/1.1", "G(T / HTTP/1.1", "GET / a HTTP/1.1",
        "GET / http/1.1", "GET /\x7f HTTP/1.1", "", "GET  HTTP/1.1"})
    CHECK(refused(std::string{line} + "\r\n" + host + "\r\n") == 400);
  CHECK(refused("GET / HTTP/2.0\r\n" + host + "\r\n") == 505);
  CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") == 400);
}

TEST_CASE("targets and headers have bounds of their own") {
  auto target = [](std::size_t n) {
    return "GET /" + std::string(n - 1, 'a') + " HTTP/1.1\r\n" + host + "\r\n";
  };
  parsed(target(target_bytes_max));
  CHECK(refused(target(target_bytes_max + 1)) == 414);
  std::string many;
  for (std::size_t i = 0; i < header_fields_max; ++i)
    many += "A: b\r\n";
  CHECK(refused(get(many)) == 431); // with Host
  head_finder finder;
  CHECK(finder.look("GET /" + std::string(9000, 'a')).refused->status == 414);
  finder.restart();
  CHECK(finder.look(get("A: " + std::string(17'000, 'a'))).refused->status == 431);
}

TEST_CASE("the end of a head is found wherever the pieces end, and a bare line end at once") {
  auto text = get("A: b\r\n");
  for (std::size_t piece = 1; piece < 9; ++piece) {
    head_finder finder;
    for (std::size_t n = piece; n < text.size(); n += piece) {
      auto got = finder.look(text.substr(0, n));
      CHECK(got.bytes == 0);
      CHECK_FALSE(got.refused);
    }
    CHECK(finder.look(text + "GET").bytes == text.size());
  }
  CHECK(head_finder{}.look("GET / HTTP/1.1\n").refused->status == 400);
  CHECK(leading_empty_lines("\r\n\r\nGET") == 4);
}

TEST_CASE("chunks are joined wherever the pieces end") {
  std::string text = "3\r\nabc\r\n0000A;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET /";
  for (std::size_t piece = 1; piece < text.size(); ++piece) {
    bool done = false;
    std::size_t used = 0;
    CHECK(decoded(text, piece, done, used) == "abc0123456789");
    CHECK(done);
    CHECK(text.substr(used) == "GET /");
  }
}

TEST_CASE("malformed chunks are refused") {
  for (const std::string& text : std::initializer_list<std::string>{
           "x\r\n", "\r\n", "-1\r\n", "1\na\r\n", "1 \r\na\r\n", "1\r\nab\r\n", "1\r\na\n0\r\n",
           "ffffffffffffffffff\r\n", "1;" + std::string(300, 'a'), "1;\x01\r\na\r\n",
           "0\r\nno colon\r\n", "0\r\nA: b\n\r\n", "0\r\nA: " + std::string(5000, 'a')}) {
    CAPTURE(text);
    bool done = false;
    std::size_t used = 0;
    CHECK_FALSE(decoded(text, 1000, done, used));
  }
}

TEST_CASE("bytes at random are refused or parsed, whole or in pieces alike") {
  std::mt19937_64 random{20261120};
  const std::string alphabet = "GET / HTTP/1.1\r\n\r\n\r\nHost:a; 09af\tx\0\x80";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto n = random() % 60; n > 0; --n)
      text += alphabet[random() % alphabet.size()];
    CAPTURE(i);
    head_finder whole, pieces;
    auto one = whole.look(text);
    head_finder::found many;
    for (std::size_t n = 1; n <= text.size() && !many.bytes && !many.refused; ++n)
      many = pieces.look(std::string_view{text}.substr(0, n));
    CHECK(one.bytes == many.bytes);
    CHECK(one.refused.has_value() == many.refused.has_value());
    if (one.bytes > 0) // either, but no crash
      (void)parse_head(std::string_view{text}.substr(0, one.bytes));
  }
}
